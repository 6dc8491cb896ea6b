package cache

import (
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Entry is a key with its value and what is known about them. It is a copy:
// changing it changes nothing in the store. To write it elsewhere:
//
//	err := other.Set(ctx, e.Key, e.Value, e.Options()...)
type Entry[K, V any] struct {
	Key   K
	Value V

	Expiry   time.Time   // zero: never
	Tag      codec.Value // Null: none
	Stored   time.Time   // when the value was written
	Accessed time.Time   // when it was last read, or written; only kept for LeastRecentlyUsed
	Accesses int64       // reads since it was written; only counted for LeastFrequentlyUsed
	Size     int64       // bytes of the encoded value; 8 for a number
}

// Remaining returns how long after now the entry expires, which is negative
// if it has, and false if it never does.
func (e Entry[K, V]) Remaining(now time.Time) (time.Duration, bool) {
	if e.Expiry.IsZero() {
		return 0, false
	}
	return e.Expiry.Sub(now), true
}

// Options returns the options that write an entry with the expiry and the tag
// of e, and without a tag if e has none. They hold also where what is written
// would have others: Options.TTL of the collection, and what Modify and
// CompareAndSwap keep, do not matter. As they say both, another TTL or Tag
// beside them is ErrInvalid, and Touch, which changes no tag, does not take
// them.
func (e Entry[K, V]) Options() []Option {
	expires := NoExpiry()
	if !e.Expiry.IsZero() {
		expires = ExpireAt(e.Expiry)
	}
	return []Option{expires, tagOf{e.Tag}}
}

// tagOf is the tag of an entry, which may be none.
type tagOf struct{ value codec.Value }

func (o tagOf) apply(w *write) error { return w.setTag(o.value) }

// entryOf makes an Entry without key and value.
func entryOf[K, V any](r *driver.Row) Entry[K, V] {
	return Entry[K, V]{
		Expiry:   r.Expire.Time(),
		Tag:      r.Tag,
		Stored:   r.Stored.Time(),
		Accessed: r.Accessed.Time(),
		Accesses: r.Accesses,
		Size:     r.Size,
	}
}

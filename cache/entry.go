package cache

import (
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Entry is a key with its value and what is known about them. It is a copy:
// changing it changes nothing in the store. To write it elsewhere:
//
//	err := other.Set(ctx, e.Key, e.Value, e.Options()...)
type Entry[K, V any] struct {
	Key   K
	Value V
	Info
}

// Info is what is known about an entry, beside its key and its value.
type Info struct {
	Expiry   time.Time // zero: never
	Tag      TagValue
	Stored   time.Time // when the value was written
	Accessed time.Time // when it was last read, or written; only kept for LeastRecentlyUsed
	Accesses int64     // reads since it was written; only counted for LeastFrequentlyUsed
	Size     int64     // bytes of the encoded value; 8 for a number
}

// Options returns the options that give an entry the expiry and the tag of this
// one, for another Set or its like:
//
//   - if this one never expires, neither does the other one, even in a collection
//     with an Options.TTL, and if this one has no tag, the other one has none;
//   - Modify and CompareAndSwap, which keep what no option changes, then keep
//     neither the expiry nor the tag.
//
// No other TTL or Tag can be given beside them, and Touch, which changes no tag,
// does not take them: both are ErrInvalid.
func (i Info) Options() []Option {
	if i.Expiry.IsZero() {
		return []Option{NoExpiry(), i.Tag}
	}
	return []Option{ExpireAt(i.Expiry), i.Tag}
}

// entryOf makes an Entry without key and value.
func entryOf[K, V any](r *driver.Row) Entry[K, V] {
	return Entry[K, V]{Info: infoOf(r)}
}

func infoOf(r *driver.Row) Info {
	return Info{
		Expiry:   r.Expire.Time(),
		Tag:      TagValue{Value: r.Tag},
		Stored:   r.Stored.Time(),
		Accessed: r.Accessed.Time(),
		Accesses: r.Accesses,
		Size:     r.Size,
	}
}

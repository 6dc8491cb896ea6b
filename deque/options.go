package deque

import (
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// Options say how a deque is opened. The zero value of each field is its
// default.
type Options[T any] struct {
	// Values encodes the items. Its name is stored with the deque; another
	// one later is cache.ErrCodecMismatch. Defaults to codec.Default.
	Values codec.Codec[T]

	// MaxLen is the greatest number of ready items. It is stored, for all
	// processes, as Deque.SetMaxLen does, and 0 leaves what is stored. With a
	// negative one there is no limit. Defaults to what is stored, and to no
	// limit in a new deque.
	MaxLen int64

	// MinFileSize is the size in bytes from which an item is kept in a file
	// of its own. It is stored with the deque. With a negative one none is.
	// Defaults to 32 KiB.
	MinFileSize int64

	// SkipUndecodable passes over items that cannot be decoded, perhaps
	// because a type has changed. They stay where they are, and count in Len
	// and in positions; Deque.RemoveAt removes them. Defaults to an error,
	// cache.ErrCodecMismatch.
	SkipUndecodable bool

	// Retry bounds how often an item is claimed, and says where it is put then. Defaults
	// to no bound.
	Retry *RetryPolicy

	// Store opens the store. It is for Open; New refuses it.
	Store *cache.StoreOptions
}

func (o *Options[T]) withDefaults() Options[T] {
	var out Options[T]
	if o != nil {
		out = *o
	}
	if out.Values == nil {
		out.Values = codec.Default[T]()
	}
	return out
}

// Option changes what one call pushes. It is [cache.TTL], [cache.ExpireAt] or
// [cache.NoExpiry], which say when the item vanishes unless it is taken before, or
// [Delay], which says when it comes.
//
// An item that expires vanishes wherever it is: ready, delayed for longer, or back
// from a claim that has ended later. Defaults to never.
type Option interface {
	At(now time.Time) (time.Time, error)
}

// Delay keeps the item out of the deque for d, which must not be negative. It
// is then added at the end at which it was pushed.
func Delay(d time.Duration) Option { return delayOption(d) }

type delayOption time.Duration

// At returns when the item comes if it is pushed at now.
func (o delayOption) At(now time.Time) (time.Time, error) {
	if o < 0 {
		return now, family.Invalid("Delay is negative")
	}
	return now.Add(time.Duration(o)), nil
}

// pushing is what the options of a call say.
type pushing struct {
	expiry time.Time // zero: never
	delay  time.Duration
}

func parse(opts []Option, now time.Time) (p pushing, err error) {
	expires := false
	for _, o := range opts {
		switch o := o.(type) {
		case cache.Expiry:
			if expires {
				return p, family.Invalid("more than one of TTL, ExpireAt and NoExpiry")
			}
			expires = true
			p.expiry, err = o.At(now)
		case delayOption:
			if p.delay > 0 {
				return p, family.Invalid("more than one Delay")
			}
			p.delay = time.Duration(o)
			_, err = o.At(now)
		default:
			return p, family.Invalid("an Option that is none of cache.TTL, cache.ExpireAt, cache.NoExpiry and Delay")
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

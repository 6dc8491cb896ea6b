package deque

import (
	"fmt"
	"time"

	"github.com/go-diskcache/diskcache/cache"
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

// Option changes what one call pushes. All methods that push take the same
// ones.
type Option struct {
	kind option
	d    time.Duration
	at   time.Time
}

type option uint8

const (
	optionTTL option = iota + 1
	optionExpireAt
	optionDelay
)

// TTL makes the item vanish d after it is pushed, if nobody has taken it by then.
// It does so too if it is delayed for longer, or comes back from a claim later.
// d must be positive.
func TTL(d time.Duration) Option { return Option{kind: optionTTL, d: d} }

// ExpireAt is TTL with the time at which the item vanishes.
func ExpireAt(t time.Time) Option { return Option{kind: optionExpireAt, at: t} }

// Delay keeps the item out of the deque for d, which must not be negative. It
// is then added at the end at which it was pushed.
func Delay(d time.Duration) Option { return Option{kind: optionDelay, d: d} }

// pushing is what the options of a call say.
type pushing struct {
	expiry time.Time // zero: never
	delay  time.Duration
}

func parse(opts []Option, now time.Time) (p pushing, err error) {
	for _, o := range opts {
		switch {
		case o.kind == optionDelay && o.d < 0:
			return p, invalid("Delay is negative")
		case o.kind == optionDelay && p.delay > 0:
			return p, invalid("more than one Delay")
		case o.kind == optionDelay:
			p.delay = o.d
		case !p.expiry.IsZero():
			return p, invalid("more than one of TTL and ExpireAt")
		case o.kind == optionTTL && o.d <= 0:
			return p, invalid("TTL is not positive")
		case o.kind == optionTTL:
			p.expiry = now.Add(o.d)
		case o.kind == optionExpireAt && o.at.IsZero():
			return p, invalid("ExpireAt with a zero time")
		case o.kind == optionExpireAt:
			p.expiry = o.at
		default:
			return p, invalid("a zero Option")
		}
	}
	return p, nil
}

// invalid returns a cache.ErrInvalid with details.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{cache.ErrInvalid}, args...)...)
}

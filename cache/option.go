package cache

import (
	"math"
	"reflect"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Option changes what one call writes. All methods and functions that write
// an entry take the same ones; where one has no meaning, or two contradict
// each other, the call fails with ErrInvalid. Without an Option, an entry
// lives for Options.TTL and has no tag.
type Option interface {
	apply(w *write) error
}

// write is what a call's options say.
type write struct {
	expiry    expiry
	ttl       time.Duration
	at        time.Time
	tag       codec.Value
	tagged    bool
	initial   codec.Value
	mustExist bool
}

// expiry is the option that decided when an entry expires.
type expiry uint8

const (
	byDefault expiry = iota
	byTTL
	byTime
	never
)

// parse collects the options of a call.
func parse(opts []Option) (w write, err error) {
	for _, o := range opts {
		if o == nil {
			return w, invalid("nil Option")
		}
		if err := o.apply(&w); err != nil {
			return w, err
		}
	}
	if w.mustExist && !w.initial.IsNull() {
		return w, invalid("MustExist contradicts Initial")
	}
	return w, nil
}

// expire returns when an entry written at now expires; ttl is the
// collection's default, 0 for none.
func (w *write) expire(now driver.Instant, ttl time.Duration) driver.Instant {
	switch w.expiry {
	case byTTL:
		return now.Add(w.ttl)
	case byTime:
		return driver.At(w.at)
	case never:
		return 0
	}
	if ttl > 0 {
		return now.Add(ttl)
	}
	return 0
}

type expiryOption struct {
	expiry expiry
	ttl    time.Duration
	at     time.Time
}

func (o expiryOption) apply(w *write) error {
	switch {
	case w.expiry != byDefault:
		return invalid("more than one of TTL, ExpireAt and NoExpiry")
	case o.expiry == byTTL && o.ttl <= 0:
		return invalid("TTL is not positive; NoExpiry makes an entry stay")
	case o.expiry == byTime && o.at.IsZero():
		return invalid("ExpireAt with a zero time; NoExpiry makes an entry stay, Entry.Options copies an expiry")
	}
	w.expiry, w.ttl, w.at = o.expiry, o.ttl, o.at
	return nil
}

// TTL makes the entry expire after d, which must be positive.
func TTL(d time.Duration) Option { return expiryOption{expiry: byTTL, ttl: d} }

// ExpireAt makes the entry expire at t. It may lie in the past. The zero time
// is ErrInvalid: NoExpiry makes an entry stay, and [Entry.Options] does what
// another entry says.
func ExpireAt(t time.Time) Option { return expiryOption{expiry: byTime, at: t} }

// NoExpiry makes the entry stay until it is removed or evicted, whatever
// Options.TTL says.
func NoExpiry() Option { return expiryOption{expiry: never} }

// TagType is what a tag can be: an integer, a float, a text, bytes, or the
// Tag of an [Entry], which must have one: else it is ErrInvalid, and
// [Entry.Options] is for copying either.
type TagType interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 |
		~float32 | ~float64 | ~string | ~[]byte | codec.Value
}

// TagOption is a tag, as an Option and as an argument of [Cache.Evict] and
// [Cache.Tagged].
type TagOption struct {
	value codec.Value
	err   error
}

func (o TagOption) apply(w *write) error {
	if err := w.setTag(o.value); err != nil {
		return err
	}
	return o.check()
}

// setTag makes a tag, or Null for none, the one that is written.
func (w *write) setTag(tag codec.Value) error {
	if w.tagged {
		return invalid("more than one Tag")
	}
	w.tag, w.tagged = tag, true
	return nil
}

// Value returns the tag as [Entry.Tag] has it, and ErrInvalid if it cannot be
// one. The zero TagOption is Null, for no tag: the function of a memo that
// returns a tag may return it. To methods here it is ErrInvalid.
func (o TagOption) Value() (codec.Value, error) { return o.value, o.err }

// check fails if the tag is none.
func (o TagOption) check() error {
	if o.err == nil && o.value.IsNull() {
		return invalid("Tag of nothing; Entry.Options copies a tag, or that there is none")
	}
	return o.err
}

// Tag marks the entry with t, so that [Cache.Evict] and [Cache.Tagged] find
// it. Tags are equal as keys are: 1 and 1.0 are, "1" is another.
func Tag[T TagType](t T) TagOption {
	switch t := any(t).(type) {
	case string:
		return TagOption{value: codec.TextValue(t)}
	case int:
		return TagOption{value: codec.IntegerValue(int64(t))}
	case codec.Value:
		return TagOption{value: t}
	}
	// The other types of the constraint, and named ones.
	switch v := reflect.ValueOf(t); {
	case v.CanInt():
		return TagOption{value: codec.IntegerValue(v.Int())}
	case v.CanUint() && v.Uint() > math.MaxInt64:
		return TagOption{err: invalid("Tag is larger than the largest integer that is stored, 1<<63 - 1")}
	case v.CanUint():
		return TagOption{value: codec.IntegerValue(int64(v.Uint()))}
	case v.CanFloat() && math.IsNaN(v.Float()):
		return TagOption{err: invalid("Tag is not a number")}
	case v.CanFloat():
		return TagOption{value: codec.RealValue(v.Float())}
	case v.Kind() == reflect.String:
		return TagOption{value: codec.TextValue(v.String())}
	default:
		return TagOption{value: codec.BlobValue(append([]byte{}, v.Bytes()...))}
	}
}

type initialOption struct{ value codec.Value }

func (o initialOption) apply(w *write) error {
	if !w.initial.IsNull() {
		return invalid("more than one Initial")
	}
	if o.value.IsNull() {
		return invalid("Initial is not a number that can be stored")
	}
	w.initial = o.value
	return nil
}

// Initial is the number that [Incr] and [Decr] start from when there is no
// entry. Defaults to 0.
func Initial[N Number](n N) Option { return initialOption{numberValue(n)} }

type mustExistOption struct{}

func (mustExistOption) apply(w *write) error {
	w.mustExist = true
	return nil
}

// MustExist makes [Incr], [Decr] and [Cache.Modify] fail with ErrNotFound
// when there is no entry.
func MustExist() Option { return mustExistOption{} }

// only fails if w has options that an operation has no use for.
func (w *write) only(initial, mustExist, tag bool) error {
	switch {
	case !initial && !w.initial.IsNull():
		return invalid("Initial is for Incr and Decr")
	case !mustExist && w.mustExist:
		return invalid("MustExist is for Incr, Decr and Modify")
	case !tag && w.tagged:
		return invalid("Tag is not changed by this operation")
	}
	return nil
}

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

// Expiry is an Option that says when an entry expires. [TTL], [ExpireAt] and
// [NoExpiry] make one.
type Expiry struct {
	expiry expiry
	ttl    time.Duration
	at     time.Time
}

func (o Expiry) apply(w *write) error {
	if w.expiry != byDefault {
		return invalid("more than one of TTL, ExpireAt and NoExpiry")
	}
	w.expiry, w.ttl, w.at = o.expiry, o.ttl, o.at
	return o.valid()
}

func (o Expiry) valid() error {
	switch {
	case o.expiry == byDefault:
		return invalid("a zero Expiry")
	case o.expiry == byTTL && o.ttl <= 0:
		return invalid("TTL is not positive; NoExpiry makes an entry stay")
	case o.expiry == byTime && o.at.IsZero():
		return invalid("ExpireAt with a zero time; NoExpiry makes an entry stay, Info.Options copies an expiry")
	}
	return nil
}

// At returns when an entry that is written at now expires, the zero time for
// never, or ErrInvalid. It is for packages whose methods take an Expiry, too.
func (o Expiry) At(now time.Time) (time.Time, error) {
	if o.expiry == byTTL {
		return now.Add(o.ttl), o.valid()
	}
	return o.at, o.valid()
}

// TTL makes the entry expire after d, which must be positive.
func TTL(d time.Duration) Expiry { return Expiry{expiry: byTTL, ttl: d} }

// ExpireAt makes the entry expire at t. It may lie in the past. The zero time
// is ErrInvalid: NoExpiry makes an entry stay, and [Info.Options] does what
// another entry says.
func ExpireAt(t time.Time) Expiry { return Expiry{expiry: byTime, at: t} }

// NoExpiry makes the entry stay until it is removed or evicted, whatever
// Options.TTL says.
func NoExpiry() Expiry { return Expiry{expiry: never} }

// TagValue is the tag of an entry: a number, a text, bytes, or none, which is the
// zero TagValue. [Tag] makes one, and the embedded Value tells what it is, as in
// e.Tag.Text(). As an Option it marks the entry, or has it be one without a tag.
// [Cache.Evict] and [Cache.Tagged] find the entries that have it.
//
// Tags are equal as keys are: 1 and 1.0 are, and "1" is another.
type TagValue struct {
	codec.Value
	bad bool // of what cannot be stored
}

// Tag returns the tag t, to mark entries with and to find them by. What cannot be
// stored, NaN and integers above 1<<63 - 1, is ErrInvalid where the tag is used.
func Tag[T Number | ~string | ~[]byte](t T) TagValue {
	switch t := any(t).(type) {
	case string:
		return TagValue{Value: codec.TextValue(t)}
	case int:
		return TagValue{Value: codec.IntegerValue(int64(t))}
	}
	// The other types of the constraint, and named ones.
	switch v := reflect.ValueOf(t); {
	case v.CanInt():
		return TagValue{Value: codec.IntegerValue(v.Int())}
	case v.CanUint() && v.Uint() > math.MaxInt64, v.CanFloat() && math.IsNaN(v.Float()):
		return TagValue{bad: true}
	case v.CanUint():
		return TagValue{Value: codec.IntegerValue(int64(v.Uint()))}
	case v.CanFloat():
		return TagValue{Value: codec.RealValue(v.Float())}
	case v.Kind() == reflect.String:
		return TagValue{Value: codec.TextValue(v.String())}
	default:
		return TagValue{Value: codec.BlobValue(append([]byte{}, v.Bytes()...))}
	}
}

func (t TagValue) apply(w *write) error {
	if w.tagged {
		return invalid("more than one Tag")
	}
	w.tag, w.tagged = t.Value, true
	return t.valid()
}

func (t TagValue) valid() error {
	if t.bad {
		return invalid("a Tag that cannot be stored: it is not a number, or larger than the largest integer, 1<<63 - 1")
	}
	return nil
}

// some fails if t is no tag to look for.
func (t TagValue) some() error {
	if t.IsNull() && !t.bad {
		return invalid("no tag to look for; All and Clear are for all entries")
	}
	return t.valid()
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

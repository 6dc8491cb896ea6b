package memo

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// Options say how results are kept. The zero value of each field is its
// default.
type Options[A, R any] struct {
	// TTL is how long a result is valid. One that was stored more than a minute
	// after now, since the clock was ahead then, is not. Defaults to forever.
	TTL time.Duration

	// Beta has a caller compute the next result before the last one expires,
	// in the background, with a probability that grows towards the end and
	// with the time that a computation takes. 1 is the best value for most;
	// more is earlier. Needs a TTL. Defaults to 0: never.
	Beta float64

	// RefreshAfter is the age from which a result is still returned, but the
	// next one is computed in the background. It has to be less than TTL.
	// Defaults to never.
	RefreshAfter time.Duration

	// StaleIfError is for how long after its TTL a result is returned when
	// computing the next one fails. Needs a TTL. Defaults to not at all.
	StaleIfError time.Duration

	// CacheError says how long an error of the function is returned without
	// calling it again; 0 or less is not at all. Where it is nil no error is
	// kept. What is returned later is a StoredError with the same message,
	// which is stored in plain text also where Values encrypts.
	CacheError func(err error) time.Duration

	// CallOnStoreError calls the function, without anything being kept or
	// shared, when the store fails: when it is full, damaged, or busy for
	// longer than its timeout. Defaults to returning the store's error. A
	// store that was closed is always an error.
	CallOnStoreError bool

	// OnError is told of each error that no caller gets, as a [*cache.Error]: that
	// of a refresh in the background, a panic in it included; that of the
	// function where an old result is returned instead (StaleIfError); that of
	// the store where the function is called all the same (CallOnStoreError),
	// where a damaged result is computed anew, and where an error cannot be
	// kept. Each is also logged, at the level Warn, to the store's Logger, and
	// counted: see [Memo.Stats]. The message has the name of the memo and what
	// the function's error says, and neither the argument nor the result. What
	// fails because the store is being closed is not told.
	//
	// It is called before the result is returned, perhaps while other callers
	// wait for it, and by several goroutines at once: it should not take long.
	// Peek of a [Bound] calls it in the transaction: it must not use the store then.
	// A panic in it is logged. Defaults to nobody.
	OnError func(err error)

	// Batch returns the results for several arguments, in their order, where
	// [Memo.CallMany] finds them neither remembered nor being computed: one request for
	// many things, where the function makes one for each. It is given each argument
	// once, and a context as the function is. An error of it is one of each argument.
	// Defaults to none, without which there is no CallMany.
	Batch func(ctx context.Context, args []A) ([]R, error)

	// Key maps an argument to its key: arguments with the same key share a
	// result. Contradicts Keys. Defaults to the argument itself, as Keys
	// encodes it.
	Key func(arg A) string

	// Tag gives a result the tag with which [Memo.Evict] removes it, such as
	// cache.Tag(r.UserID); the zero cache.TagValue is none. It is called
	// after the function, when that has returned no error, and by several
	// goroutines at once; a panic in it is one of the function. With a
	// tag that cannot be stored, Call is cache.ErrInvalid. There is an index
	// of the tags, so that Evict does not look at every result. Defaults to no
	// tags.
	Tag func(arg A, result R) cache.TagValue

	// Keys and Values encode arguments and results. They default to
	// codec.Default.
	Keys   codec.Codec[A]
	Values codec.Codec[R]

	// Persistent keeps results whatever their volume. Contradicts SizeLimit
	// and Policy.
	Persistent bool

	// SizeLimit and Policy are those of the results' collection: see
	// cache.Options.
	SizeLimit int64
	Policy    cache.Policy
}

func (o *Options[A, R]) withDefaults() (Options[A, R], error) {
	var out Options[A, R]
	if o != nil {
		out = *o
	}
	err := out.validate()
	if out.Key != nil {
		out.Keys = keyed[A]{out.Key}
	}
	if out.Keys == nil {
		out.Keys = codec.Default[A]()
	}
	return out, err
}

func (o *Options[A, R]) validate() error {
	switch {
	case o.TTL < 0 || o.RefreshAfter < 0 || o.StaleIfError < 0:
		return family.Invalid("Options.TTL, RefreshAfter or StaleIfError is negative")
	case !(o.Beta >= 0): // also NaN
		return family.Invalid("Options.Beta is negative or not a number")
	case o.TTL == 0 && (o.Beta > 0 || o.StaleIfError > 0):
		return family.Invalid("Options.Beta and StaleIfError need a TTL")
	case o.TTL > 0 && o.RefreshAfter >= o.TTL:
		return family.Invalid("Options.RefreshAfter is not less than TTL")
	case o.Key != nil && o.Keys != nil:
		return family.Invalid("Options.Key contradicts Keys")
	}
	return nil
}

// keyed encodes an argument as its key. It is never asked for the argument.
type keyed[A any] struct{ key func(A) string }

func (keyed[A]) Name() string { return codec.String[string]().Name() }
func (k keyed[A]) Encode(arg A) (codec.Value, error) {
	return codec.String[string]().Encode(k.key(arg))
}
func (keyed[A]) Decode(codec.Value) (arg A, err error) { return arg, nil }

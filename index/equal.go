package index

import (
	"context"
	"iter"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// Equal reports whether two indexes hold equal entries in the same insertion
// order. Keys and values are equal when x's codecs encode them equally; a codec
// that encodes equal values differently, such as codec.Seal, is
// cache.ErrInvalid. Indexes of one store are compared as of one moment.
func (x *Index[K, V]) Equal(ctx context.Context, other *Index[K, V]) (same bool, err error) {
	if other == nil {
		return false, x.fail(ctx, "Equal", family.Invalid("nil Index"))
	}
	if err := codec.Keyable(x.values); err != nil {
		return false, x.fail(ctx, "Equal", family.Invalid("%w", err))
	}
	if x.tx == nil && other.tx != nil && other.Store() == x.Store() {
		x = x.In(other.tx)
	}
	err = x.c.View(ctx, func(tx *cache.Tx) error {
		if x.Store() == other.Store() {
			same, err = x.equal(x.c.In(tx).All(ctx), other.c.In(tx).All(ctx))
			return err
		}
		return other.c.View(ctx, func(otherTx *cache.Tx) error {
			same, err = x.equal(x.c.In(tx).All(ctx), other.c.In(otherTx).All(ctx))
			return err
		})
	})
	return same && err == nil, x.fail(ctx, "Equal", err)
}

type entries[K, V any] = iter.Seq2[cache.Entry[K, V], error]

func (x *Index[K, V]) equal(a, b entries[K, V]) (bool, error) {
	next, stop := iter.Pull2(b)
	defer stop()
	for e, err := range a {
		if err != nil {
			return false, err
		}
		f, err, ok := next()
		if err != nil || !ok {
			return false, err
		}
		same, err := equal(x.keys, e.Key, f.Key)
		if same && err == nil {
			same, err = equal(x.values, e.Value, f.Value)
		}
		if !same || err != nil {
			return false, err
		}
	}
	_, err, more := next()
	return !more, err
}

// equal reports whether a and b are encoded equally.
func equal[T any](c codec.Codec[T], a, b T) (bool, error) {
	x, err := c.Encode(a)
	if err != nil {
		return false, err
	}
	y, err := c.Encode(b)
	return err == nil && x.Kind() == y.Kind() && codec.Equal(x, y), err
}

// EqualMap reports whether an index holds the entries of a map, whatever their
// order. Values are compared as [Index.Equal] does, as of one moment.
func EqualMap[K comparable, V any](ctx context.Context, x *Index[K, V], m map[K]V) (same bool, err error) {
	if err := codec.Keyable(x.values); err != nil {
		return false, x.fail(ctx, "EqualMap", family.Invalid("%w", err))
	}
	err = x.c.View(ctx, func(tx *cache.Tx) error {
		c := x.c.In(tx)
		n, err := c.Len(ctx)
		if err != nil || n != int64(len(m)) {
			return err
		}
		for k, want := range m {
			v, ok, err := c.Get(ctx, k)
			if err != nil || !ok {
				return err
			}
			if ok, err = equal(x.values, v, want); err != nil || !ok {
				return err
			}
		}
		same = true
		return nil
	})
	return same && err == nil, x.fail(ctx, "EqualMap", err)
}

// fail makes an error of this package's operation of err.
func (x *Index[K, V]) fail(ctx context.Context, op string, err error) error {
	return cache.WrapError(ctx, op, x.Name(), err)
}

package index

import (
	"context"
	"errors"

	"github.com/go-diskcache/diskcache/cache"
)

// Pop removes the entry of k and returns its value, and false if there was
// none. Of several callers at once, one gets it. A value that cannot be decoded
// is not removed.
func (x *Index[K, V]) Pop(ctx context.Context, k K) (V, bool, error) { return x.c.Pop(ctx, k) }

// First returns the entry that was inserted first, and false if there is none.
func (x *Index[K, V]) First(ctx context.Context) (cache.Entry[K, V], bool, error) {
	return x.c.First(ctx)
}

// Last returns the entry that was inserted last, and false if there is none.
func (x *Index[K, V]) Last(ctx context.Context) (cache.Entry[K, V], bool, error) {
	return x.c.Last(ctx)
}

// PopFirst removes the entry that was inserted first and returns it, and false
// if there is none. Of several callers at once, each gets another one. An entry
// that cannot be decoded is not removed. One whose value is lost, as its file is
// missing or damaged, is removed, and is cache.ErrCorrupt, once.
func (x *Index[K, V]) PopFirst(ctx context.Context) (cache.Entry[K, V], bool, error) {
	return x.popEnd(ctx, "PopFirst", (*cache.Cache[K, V]).First)
}

// PopLast removes the entry that was inserted last and returns it: see
// PopFirst.
func (x *Index[K, V]) PopLast(ctx context.Context) (cache.Entry[K, V], bool, error) {
	return x.popEnd(ctx, "PopLast", (*cache.Cache[K, V]).Last)
}

func (x *Index[K, V]) popEnd(ctx context.Context, op string, end func(*cache.Cache[K, V], context.Context) (cache.Entry[K, V], bool, error)) (e cache.Entry[K, V], ok bool, err error) {
	var refused error // having changed nothing, it does not spoil a transaction
	err = x.c.Step(ctx, func(tx *cache.Tx) (err error) {
		c := x.c.In(tx)
		if e, ok, refused = end(c, ctx); !ok || refused != nil && !errors.Is(refused, cache.ErrCorrupt) {
			return nil
		}
		_, err = c.Delete(ctx, e.Key)
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return cache.Entry[K, V]{}, false, x.fail(ctx, op, err)
	}
	return e, ok, nil
}

// Floor returns the entry with the greatest key that is not above k, and false
// if there is none.
func (x *Index[K, V]) Floor(ctx context.Context, k K) (cache.Entry[K, V], bool, error) {
	return x.nearest(ctx, "Floor", x.c.Sorted().To(k).Desc())
}

// Ceiling returns the entry with the least key that is not below k, and false
// if there is none.
func (x *Index[K, V]) Ceiling(ctx context.Context, k K) (cache.Entry[K, V], bool, error) {
	return x.nearest(ctx, "Ceiling", x.c.Sorted().From(k))
}

// nearest returns the first entry of a range. It reads no other one, unless the
// first may be one to skip.
func (x *Index[K, V]) nearest(ctx context.Context, op string, r cache.Range[K, V]) (e cache.Entry[K, V], ok bool, err error) {
	if !x.skip {
		r = r.Limit(1)
	}
	for e, err := range r.All(ctx) {
		return e, err == nil, x.fail(ctx, op, err)
	}
	return e, false, nil
}

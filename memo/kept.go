package memo

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// kept is the collections of a Memo.
type kept[A, R any] struct {
	results  *cache.Cache[A, R]
	errors   *cache.Cache[A, string]  // nil if none are kept
	took     *cache.Cache[A, float64] // seconds of computations; nil: the results' tags, or of no use
	removals removals
}

// in returns the same collections bound to a transaction.
func (k *kept[A, R]) in(tx *cache.Tx) *kept[A, R] {
	bound := &kept[A, R]{results: k.results.In(tx), removals: k.removals.in(tx)}
	if k.errors != nil {
		bound.errors = k.errors.In(tx)
	}
	if k.took != nil {
		bound.took = k.took.In(tx)
	}
	return bound
}

// storable reports whether what a computation has made may be stored. It may not if g is
// no longer held, since Forget has broken the lock or since every caller who waited has
// left, nor if what has one of the hashes was removed since it began.
func (k *kept[A, R]) storable(ctx context.Context, tx *cache.Tx, g *dsync.Guard, began int64, hashes ...uint8) (bool, error) {
	err := g.Check(tx)
	if errors.Is(err, dsync.ErrLost) || errors.Is(err, dsync.ErrNotHeld) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r, err := k.removals.get(ctx)
	return err == nil && !r.since(began, hashes...), err
}

// put remembers the result for arg, and no error any more.
func (k *kept[A, R]) put(ctx context.Context, arg A, v R, took time.Duration, opts []cache.Option) error {
	if k.errors != nil {
		if _, err := k.errors.Delete(ctx, arg); err != nil {
			return err
		}
	}
	if k.took != nil {
		if err := k.took.Set(ctx, arg, took.Seconds(), opts...); err != nil {
			return err
		}
	}
	return k.results.Set(ctx, arg, v, opts...)
}

// delete removes what is remembered for arg, and reports whether there was a result.
func (k *kept[A, R]) delete(ctx context.Context, arg A) (ok bool, err error) {
	if k.errors != nil {
		_, err = k.errors.Delete(ctx, arg)
	}
	if err == nil && k.took != nil {
		_, err = k.took.Delete(ctx, arg)
	}
	if err != nil {
		return false, err
	}
	return k.results.Delete(ctx, arg)
}

// evict removes the results with a tag, and keeps those from being stored that are
// being computed. It returns how many there were.
func (k *kept[A, R]) evict(ctx context.Context, tag cache.TagValue) (n int, err error) {
	if err = k.removals.add(ctx, hashTag(tag.Value)); err != nil {
		return 0, err
	}
	n, err = k.results.Evict(ctx, tag)
	if err == nil && k.took != nil {
		_, err = k.took.Evict(ctx, tag)
	}
	return n, err
}

// clear is evict for everything, errors included.
func (k *kept[A, R]) clear(ctx context.Context) (n int, err error) {
	if err = k.removals.add(ctx); err != nil {
		return 0, err
	}
	n, err = k.results.Clear(ctx)
	if err == nil && k.took != nil {
		_, err = k.took.Clear(ctx)
	}
	if err == nil && k.errors != nil {
		_, err = k.errors.Clear(ctx)
	}
	return n, err
}

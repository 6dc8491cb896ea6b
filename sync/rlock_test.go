package sync_test

import (
	"context"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func TestRLock(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		r, err := dsync.NewRLock(t.Context(), st, "l", nil)
		ok(t, err)
		again, err := dsync.NewRLock(t.Context(), st, "l", nil)
		ok(t, err)
		plain := newLock(t, st, "l", nil)

		outer, err := r.Lock(t.Context())
		ok(t, err)
		if _, got, _ := r.TryLock(t.Context()); got {
			t.Error("a context without the lock takes it again")
		}
		inner, err := again.Lock(outer.Context())
		ok(t, err)
		third, got, err := r.TryLock(inner.Context())
		ok(t, err)
		equal(t, got, true)
		equal(t, inner.Token(), outer.Token())
		equal(t, third.Token(), outer.Token())
		ok(t, outer.Unlock()) // in any order
		is(t, outer.Unlock(), dsync.ErrNotHeld)
		ok(t, third.Unlock())
		is(t, third.Unlock(), dsync.ErrNotHeld)
		ok(t, inner.Context().Err())
		tryLock(t, plain, false)
		ok(t, inner.Unlock())
		is(t, inner.Unlock(), dsync.ErrNotHeld)
		is(t, outer.Context().Err(), context.Canceled)
		ok(t, tryLock(t, plain, true).Unlock())

		// The context of a lock that was released is worth nothing.
		_, err = r.Lock(outer.Context())
		is(t, err, context.Canceled)
	})
}

func TestRLockLost(t *testing.T) {
	st := openDir(t, t.TempDir())
	r, err := dsync.NewRLock(t.Context(), st, "l", nil)
	ok(t, err)
	err = r.Do(t.Context(), func(ctx context.Context) error {
		return r.Do(ctx, func(ctx context.Context) error {
			broken, err := r.Break(ctx)
			ok(t, err)
			equal(t, broken, true)
			within(t, ctx.Done(), "the end of a broken lock")
			_, err = r.Lock(ctx)
			is(t, err, dsync.ErrLost)
			_, _, err = r.TryLock(ctx)
			is(t, err, dsync.ErrLost)
			return nil
		})
	})
	is(t, err, dsync.ErrLost)
	is(t, r.Do(t.Context(), nil), cache.ErrInvalid)
	_, err = dsync.NewRLock(t.Context(), nil, "l", nil)
	is(t, err, cache.ErrInvalid)
}

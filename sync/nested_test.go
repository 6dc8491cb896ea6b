package sync_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// Lock with the context of its own guard fails at once, however far that is derived,
// while others wait, and also through another handle of the store.
func TestLockNested(t *testing.T) {
	dir := t.TempDir()
	st, again := openDir(t, dir), openDir(t, dir)
	l, other := newLock(t, st, "l", nil), newLock(t, st, "m", nil)
	r, err := dsync.NewRLock(t.Context(), st, "l", nil)
	ok(t, err)
	nop := func(context.Context) error { return nil }
	type key struct{}
	inTime, cancel := context.WithTimeout(t.Context(), time.Minute) // for what would wait for itself
	defer cancel()
	ok(t, l.Do(inTime, func(ctx context.Context) error {
		waiting, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			if g, err := l.Lock(waiting); err == nil { // released before it was told to stop
				ok(t, g.Unlock())
			}
		}()
		queued(t, st, 1)
		return other.Do(context.WithValue(ctx, key{}, 1), func(ctx context.Context) error {
			_, err := l.Lock(ctx)
			is(t, err, dsync.ErrRecursive)
			if !strings.Contains(err.Error(), "RLock") {
				t.Errorf("%v does not say what to use", err)
			}
			is(t, l.Do(ctx, nop), dsync.ErrRecursive)
			is(t, newLock(t, st, "l", nil).Do(ctx, nop), dsync.ErrRecursive)
			is(t, newLock(t, again, "l", nil).Do(ctx, nop), dsync.ErrRecursive)
			is(t, r.Do(ctx, nop), dsync.ErrRecursive)
			is(t, other.Do(ctx, nop), dsync.ErrRecursive)
			_, got, err := l.TryLock(ctx) // does not wait
			ok(t, err)
			equal(t, got, false)
			return newLock(t, st, "free", nil).Do(ctx, nop)
		})
	}))
	ok(t, r.Do(inTime, func(ctx context.Context) error {
		is(t, l.Do(ctx, nop), dsync.ErrRecursive)
		return r.Do(ctx, nop)
	}))

	// A lock of the same name in another store is another one.
	elsewhere := newLock(t, openDir(t, t.TempDir()), "l", nil)
	ok(t, l.Do(t.Context(), func(ctx context.Context) error { return elsewhere.Do(ctx, nop) }))

	// What was released, or lost, is not held.
	g := lock(t, l)
	ctx := context.WithoutCancel(g.Context())
	ok(t, g.Unlock())
	ok(t, l.Do(ctx, nop))
	g = lock(t, l)
	ctx = context.WithoutCancel(g.Context())
	_, err = l.Break(t.Context())
	ok(t, err)
	within(t, g.Context().Done(), "the end of a broken lock")
	ok(t, l.Do(ctx, nop))
}

// A holder of permits may ask for more, but not for those that it has.
func TestSemaphoreNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openMemory(t, &memory.Data{})
		s := newSemaphore(t, st, "s", 4)
		outer := acquire(t, s, 2)
		inner, err := s.Acquire(outer.Context())
		ok(t, err)
		is(t, s.Do(context.Background(), func(ctx context.Context) error {
			_, err := s.AcquireN(inner.Context(), 2)
			is(t, err, dsync.ErrRecursive)
			_, err = s.AcquireN(ctx, 4)
			is(t, err, dsync.ErrRecursive)
			_, err = s.AcquireN(context.Background(), 5)
			is(t, err, cache.ErrInvalid)
			return err
		}), cache.ErrInvalid)

		// What was given back can be waited for.
		ok(t, outer.ReleaseN(1))
		others := acquire(t, s, 2)
		got := make(chan *dsync.Permit)
		go func() {
			p, err := s.AcquireN(inner.Context(), 2)
			ok(t, err)
			got <- p
		}()
		synctest.Wait()
		ok(t, others.Release())
		ok(t, (<-got).Release())
		ok(t, inner.Release())
		ok(t, outer.Release())
		free(t, s, 4)
	})
}

func TestKeyLockNested(t *testing.T) {
	st := openDir(t, t.TempDir())
	k, c := newKeyLock(t, st, nil)
	again, err := dsync.NewKeyLock(c, "l", nil)
	ok(t, err)
	nop := func(context.Context) error { return nil }
	inTime, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ok(t, k.Do(inTime, func(ctx context.Context) error {
		is(t, k.Do(ctx, nop), dsync.ErrRecursive)
		other, err := dsync.NewKeyLock(c, "m", nil)
		ok(t, err)
		return other.Do(ctx, func(ctx context.Context) error {
			is(t, again.Do(ctx, nop), dsync.ErrRecursive)
			return nil
		})
	}))
	ok(t, k.Do(t.Context(), nop))
}

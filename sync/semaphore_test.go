package sync_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func newSemaphore(t testing.TB, st *cache.Store, name string, size int64) *dsync.Semaphore {
	t.Helper()
	s, err := dsync.NewSemaphore(t.Context(), st, name, size, nil)
	ok(t, err)
	return s
}

func acquire(t testing.TB, s *dsync.Semaphore, n int64) *dsync.Permit {
	t.Helper()
	p, err := s.AcquireN(t.Context(), n)
	ok(t, err)
	return p
}

func free(t testing.TB, s *dsync.Semaphore, want int64) {
	t.Helper()
	n, err := s.Free(t.Context())
	ok(t, err)
	equal(t, n, want)
}

func TestSemaphore(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		s := newSemaphore(t, st, "s", 3)
		free(t, s, 3)
		one, two := acquire(t, s, 1), acquire(t, s, 2)
		free(t, s, 0)
		if _, got, err := s.TryAcquire(t.Context()); got || err != nil {
			t.Fatal(got, err)
		}
		ok(t, two.ReleaseN(1))
		free(t, s, 1)
		is(t, two.ReleaseN(2), dsync.ErrNotHeld)
		is(t, two.ReleaseN(0), cache.ErrInvalid)
		free(t, s, 1)
		p, got, err := s.TryAcquire(t.Context())
		ok(t, err)
		equal(t, got, true)
		ok(t, st.Update(t.Context(), p.Check))
		if p.Token() <= two.Token() {
			t.Errorf("token %d after %d", p.Token(), two.Token())
		}
		inside := two.Context()
		ok(t, two.Release())
		is(t, inside.Err(), context.Canceled)
		is(t, two.Release(), dsync.ErrNotHeld)
		is(t, two.ReleaseN(1), dsync.ErrNotHeld)
		is(t, (*dsync.Permit)(nil).Release(), dsync.ErrNotHeld)
		is(t, (*dsync.Permit)(nil).ReleaseN(1), dsync.ErrNotHeld)
		ok(t, one.Release())
		ok(t, p.ReleaseN(1))
		free(t, s, 3)
	})
}

func TestSemaphoreMisuse(t *testing.T) {
	st := openDir(t, t.TempDir())
	s := newSemaphore(t, st, "s", 2)
	_, err := dsync.NewSemaphore(t.Context(), st, "s", 3, nil)
	is(t, err, dsync.ErrSize)
	_, err = dsync.NewSemaphore(t.Context(), st, "z", 0, nil)
	is(t, err, cache.ErrInvalid)
	_, err = dsync.NewSemaphore(t.Context(), st, "z", 1, &dsync.LockOptions{MaxHold: -1})
	is(t, err, cache.ErrInvalid)
	_, err = dsync.NewSemaphore(t.Context(), nil, "z", 1, nil)
	is(t, err, cache.ErrInvalid)
	for _, n := range []int64{-1, 0, 3} {
		_, err = s.AcquireN(t.Context(), n)
		is(t, err, cache.ErrInvalid)
		_, _, err = s.TryAcquireN(t.Context(), n)
		is(t, err, cache.ErrInvalid)
	}
	is(t, s.Resize(t.Context(), 0), cache.ErrInvalid)
	is(t, s.Do(t.Context(), nil), cache.ErrInvalid)
	_, err = s.Acquire(cancelled())
	is(t, err, context.Canceled)
	free(t, s, 2)
}

// Who wants many permits is not overtaken for ever by those who want few.
func TestSemaphoreOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		a, b := newSemaphore(t, openMemory(t, &data), "s", 3), newSemaphore(t, openMemory(t, &data), "s", 3)
		one := acquire(t, a, 1)
		got := make(chan *dsync.Permit)
		go func() { got <- acquire(t, a, 3) }()
		synctest.Wait()
		if _, overtaken, _ := b.TryAcquire(t.Context()); overtaken {
			t.Error("TryAcquire overtakes who waits")
		}
		small := make(chan *dsync.Permit)
		go func() { small <- acquire(t, b, 1) }()
		synctest.Wait()
		ok(t, one.Release())
		all := <-got
		synctest.Wait()
		free(t, b, 0)
		ok(t, all.ReleaseN(1))
		ok(t, (<-small).Release())
		ok(t, all.Release())
		free(t, a, 3)
	})
}

func TestResize(t *testing.T) {
	st := openDir(t, t.TempDir())
	s := newSemaphore(t, st, "s", 1)
	p := acquire(t, s, 1)
	got := make(chan *dsync.Permit)
	go func() { got <- acquire(t, s, 1) }()
	queued(t, st, 1)
	ok(t, s.Resize(t.Context(), 2))
	q := <-got
	ok(t, s.Resize(t.Context(), 1))
	free(t, s, 0)
	ok(t, p.Release())
	free(t, s, 0)
	ok(t, q.Release())
	free(t, s, 1)
	newSemaphore(t, st, "s", 1)
}

func TestSemaphoreMaxHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openMemory(t, &memory.Data{})
		s, err := dsync.NewSemaphore(t.Context(), st, "s", 1, &dsync.LockOptions{MaxHold: time.Second})
		ok(t, err)
		// A function that never returns holds up others for MaxHold.
		err = s.Do(t.Context(), func(ctx context.Context) error {
			q := acquire(t, s, 1)
			synctest.Wait()
			is(t, context.Cause(ctx), dsync.ErrLost)
			return q.Release()
		})
		is(t, err, dsync.ErrLost)
	})
}

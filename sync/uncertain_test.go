package sync_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// onUnsure runs fn with a store that is unsure, of what it has committed or not, and
// with another one on the same data.
func onUnsure(t *testing.T, fn func(t *testing.T, e *drivertest.Unsure, st, other *cache.Store)) {
	for _, commits := range []bool{true, false} {
		t.Run(fmt.Sprint("commits=", commits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var data memory.Data
				e := &drivertest.Unsure{Store: data.Open(nil), Commits: commits}
				st := cache.NewStore(e, nil)
				defer func() { ok(t, st.Close()) }()
				fn(t, e, st, openMemory(t, &data))
				equal(t, e.Next.Load(), 0)
			})
		})
	}
}

func TestUncertainLock(t *testing.T) {
	onUnsure(t, func(t *testing.T, e *drivertest.Unsure, st, other *cache.Store) {
		l, theirs := newLock(t, st, "l", nil), newLock(t, other, "l", nil)
		for _, n := range []int64{1, 2} {
			e.Next.Store(n)
			g := lock(t, l)
			tryLock(t, theirs, false)
			ok(t, st.Update(t.Context(), g.Check))
			e.Next.Store(n)
			ok(t, g.Unlock())
			is(t, g.Unlock(), dsync.ErrNotHeld)

			// One waits whose place in the queue is not sure, and then one whom a
			// release tells that is not sure.
			g = lock(t, theirs)
			e.Next.Store(n)
			got := make(chan *dsync.Guard)
			go func() { got <- lock(t, l) }()
			synctest.Wait()
			queued(t, other, 1)
			ok(t, g.Unlock())
			g = <-got
			go func() { got <- lock(t, theirs) }()
			synctest.Wait()
			e.Next.Store(n)
			began := time.Now()
			ok(t, g.Unlock())
			g = <-got
			equal(t, time.Since(began), 0)

			// Break takes it from that holder, and not from the next one.
			go func() { got <- lock(t, theirs) }()
			synctest.Wait()
			e.Next.Store(n)
			broken, err := l.Break(t.Context())
			ok(t, err)
			equal(t, broken, true)
			is(t, g.Unlock(), dsync.ErrLost)
			next := <-got
			equal(t, next.Token(), g.Token()+1)
			g = next
			ok(t, other.Update(t.Context(), g.Check))
			ok(t, g.Unlock())
			e.Next.Store(n)
			ok(t, dsync.DropLock(t.Context(), st, "l"))
		}
	})
}

// A store that stays unsure is an error, and leaves nothing behind.
func TestUncertainAlways(t *testing.T) {
	onUnsure(t, func(t *testing.T, e *drivertest.Unsure, st, other *cache.Store) {
		l := newLock(t, st, "l", nil)
		e.Next.Store(1000)
		_, err := l.Lock(t.Context())
		is(t, err, cache.ErrUncertain)
		e.Next.Store(0)
		ok(t, lock(t, newLock(t, other, "l", nil)).Unlock())
		g := lock(t, l)
		e.Next.Store(1000)
		is(t, g.Unlock(), cache.ErrUncertain)
		e.Next.Store(0)
		ok(t, lock(t, newLock(t, other, "l", nil)).Unlock())
		time.Sleep(time.Second) // the lock manager tries again
		is(t, g.Unlock(), dsync.ErrNotHeld)
	})
}

// What is not known after a try that was uncertain is not known any better if the next
// one cannot begin.
func TestUncertainThenFails(t *testing.T) {
	onUnsure(t, func(t *testing.T, e *drivertest.Unsure, st, other *cache.Store) {
		l, theirs := newLock(t, st, "l", nil), newLock(t, other, "l", nil)
		k, _ := newKeyLock(t, st, nil)
		theirKey, _ := newKeyLock(t, other, nil)
		for _, then := range []error{cache.ErrTimeout, cache.ErrFull, context.DeadlineExceeded} {
			unsure := func() {
				e.Then.Store(&then)
				e.Next.Store(1)
			}
			unsure()
			_, err := l.Lock(t.Context())
			is(t, err, cache.ErrUncertain)
			is(t, err, then)
			g := lock(t, theirs) // nothing is left of it
			ok(t, g.Unlock())

			g = lock(t, l)
			unsure()
			is(t, g.Unlock(), cache.ErrUncertain)
			synctest.Wait()
			time.Sleep(time.Second) // the lock manager tries again
			is(t, g.Unlock(), dsync.ErrNotHeld)
			ok(t, lock(t, theirs).Unlock())

			unsure()
			_, err = k.Lock(t.Context())
			is(t, err, cache.ErrUncertain)
			kg, err := theirKey.Lock(t.Context())
			ok(t, err)
			ok(t, kg.Unlock())

			kg, err = k.Lock(t.Context())
			ok(t, err)
			unsure()
			is(t, kg.Unlock(), cache.ErrUncertain)
			ok(t, kg.Unlock()) // not ErrLost: it was there
			is(t, kg.Unlock(), dsync.ErrNotHeld)
		}
	})
}

func TestUncertainSemaphore(t *testing.T) {
	onUnsure(t, func(t *testing.T, e *drivertest.Unsure, st, other *cache.Store) {
		e.Next.Store(1)
		s := newSemaphore(t, st, "s", 5)
		e.Next.Store(1)
		p := acquire(t, s, 4)
		free(t, s, 1)
		e.Next.Store(1)
		ok(t, p.ReleaseN(1))
		e.Next.Store(1)
		ok(t, p.ReleaseN(1))
		free(t, s, 3)
		is(t, p.ReleaseN(3), dsync.ErrNotHeld)
		e.Next.Store(1)
		ok(t, s.Resize(t.Context(), 7))
		free(t, s, 5)
		e.Next.Store(2)
		ok(t, p.Release())
		free(t, s, 7)
	})
}

func TestUncertainKeyLock(t *testing.T) {
	onUnsure(t, func(t *testing.T, e *drivertest.Unsure, st, other *cache.Store) {
		k, _ := newKeyLock(t, st, nil)
		theirs, c := newKeyLock(t, other, nil)
		e.Next.Store(1)
		g, err := k.Lock(t.Context())
		ok(t, err)
		_, got, err := theirs.TryLock(t.Context())
		ok(t, err)
		equal(t, got, false)
		e.Next.Store(1)
		ok(t, g.Unlock())
		is(t, g.Unlock(), dsync.ErrNotHeld)
		e.Next.Store(3) // it gives up
		if e.Commits {
			e.Next.Store(4) // also while it removes the key
		}
		_, err = k.Lock(t.Context())
		is(t, err, cache.ErrUncertain)
		n, err := c.Len(t.Context())
		ok(t, err)
		equal(t, n, 0)
	})
}

// What counts cannot be repeated: the caller is told that it is not known.
func TestUncertainNumbers(t *testing.T) {
	onUnsure(t, func(t *testing.T, e *drivertest.Unsure, st, other *cache.Store) {
		a, err := dsync.NewAverager(t.Context(), st, "a")
		ok(t, err)
		th := newThrottle(t, st, 2, time.Hour)
		e.Next.Store(1)
		is(t, a.Add(t.Context(), 1), cache.ErrUncertain)
		e.Next.Store(1)
		_, err = th.Allow(t.Context())
		is(t, err, cache.ErrUncertain)
		e.Next.Store(1)
		is(t, th.Wait(t.Context()), cache.ErrUncertain)
		s, err := a.Summary(t.Context())
		ok(t, err)
		equal(t, s.Count == 1, e.Commits)
		allow(t, th, !e.Commits)
		e.Next.Store(1)
		_, err = a.Pop(t.Context())
		is(t, err, cache.ErrUncertain)
	})
}

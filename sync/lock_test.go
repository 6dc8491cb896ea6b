package sync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/codec"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// leaseText reads rows of locks as the text that they are.
type leaseText struct{ codec.Codec[string] }

func (leaseText) Name() string                         { return "lease" }
func (leaseText) Encode(s string) (codec.Value, error) { return codec.TextValue(s), nil }
func (leaseText) Decode(v codec.Value) (string, error) { return v.Text(), nil }

func TestLock(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		a, b, other := newLock(t, st, "l", nil), newLock(t, st, "l", nil), newLock(t, st, "m", nil)
		g := lock(t, a)
		tryLock(t, b, false)
		ok(t, tryLock(t, other, true).Unlock())
		inside := g.Context()
		ok(t, inside.Err())
		ok(t, g.Unlock())
		is(t, inside.Err(), context.Canceled)
		is(t, g.Context().Err(), context.Canceled)
		is(t, g.Unlock(), dsync.ErrNotHeld)
		again := tryLock(t, b, true)
		if again.Token() <= g.Token() {
			t.Errorf("token %d after %d", again.Token(), g.Token())
		}
		is(t, g.Unlock(), dsync.ErrNotHeld) // and not again's
		tryLock(t, a, false)
		ok(t, again.Unlock())
		is(t, (*dsync.Guard)(nil).Unlock(), dsync.ErrNotHeld)
	})
}

// A lock that its holder releases is not taken for one that was lost, though
// the row says the same.
func TestReleasedIsNotLost(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		l := newLock(t, st, "l", nil)
		for range 3000 {
			g := lock(t, l)
			ctx := g.Context()
			ok(t, g.Unlock())
			if err := context.Cause(ctx); err != context.Canceled {
				t.Fatal(err)
			}
			is(t, g.Unlock(), dsync.ErrNotHeld)
		}
	})
}

// Waiters of one process get the lock in the order in which they came.
func TestLockOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openMemory(t, &memory.Data{})
		l := newLock(t, st, "l", nil)
		g := lock(t, l)
		var order []int
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				ok(t, l.Do(t.Context(), func(context.Context) error {
					order = append(order, i)
					return nil
				}))
			})
			synctest.Wait() // i waits now
		}
		ok(t, g.Unlock())
		all.Wait()
		equal(t, fmt.Sprint(order), "[0 1 2 3 4]")
	})
}

// Processes take turns, although one of them has many waiters.
func TestLockTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		var order []string
		var all sync.WaitGroup
		holder := newLock(t, openMemory(t, &data), "l", nil)
		g := lock(t, holder)
		for _, name := range []string{"a", "b"} {
			l := newLock(t, openMemory(t, &data), "l", nil)
			for range map[string]int{"a": 5, "b": 2}[name] {
				all.Go(func() {
					ok(t, l.Do(t.Context(), func(context.Context) error {
						order = append(order, name)
						synctest.Wait() // the next claim of this process is in the row
						return nil
					}))
				})
				synctest.Wait()
			}
		}
		ok(t, g.Unlock())
		all.Wait()
		equal(t, fmt.Sprint(order), "[a b a b a a a]")
	})
}

func TestLockCancel(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		l := newLock(t, st, "l", nil)
		_, err := l.Lock(cancelled())
		is(t, err, context.Canceled)
		_, _, err = l.TryLock(cancelled())
		is(t, err, context.Canceled)

		g := lock(t, l)
		cause := errors.New("not needed any more")
		ctx, cancel := context.WithCancelCause(t.Context())
		errs := make(chan error, 2)
		go func() {
			_, err := l.Lock(ctx)
			errs <- err
		}()
		queued(t, st, 1)
		go func() {
			_, err := l.Lock(ctx) // behind the other, in the local queue
			errs <- err
		}()
		cancel(cause)
		for range 2 {
			err := <-errs
			is(t, err, context.Canceled)
			is(t, err, cause)
		}
		queued(t, st, 0)
		tryLock(t, l, false)
		ok(t, g.Unlock())
		ok(t, tryLock(t, l, true).Unlock())
	})
}

// Unlock works after the context of Lock has ended.
func TestUnlockAfterCancel(t *testing.T) {
	st := openDir(t, t.TempDir())
	l := newLock(t, st, "l", nil)
	ctx, cancel := context.WithCancel(t.Context())
	g, err := l.Lock(ctx)
	ok(t, err)
	cancel()
	is(t, g.Context().Err(), context.Canceled)
	ok(t, g.Unlock())
	ok(t, tryLock(t, l, true).Unlock())
}

// Close of a store gives back what was held through it, also while another
// handle keeps the session alive, and ends those who wait.
func TestLockClose(t *testing.T) {
	dir := t.TempDir()
	mine := openDir(t, dir)
	other, err := cache.OpenStore(t.Context(), dir, nil)
	ok(t, err)
	equal(t, session(t, mine), session(t, other))
	held, wanted := newLock(t, other, "held", nil), newLock(t, other, "wanted", nil)
	g := lock(t, held)
	inside := g.Context()
	blocker := lock(t, newLock(t, mine, "wanted", nil))
	errs := make(chan error)
	go func() {
		_, err := wanted.Lock(t.Context())
		errs <- err
	}()
	queued(t, mine, 1)
	got := make(chan struct{})
	go func() {
		defer close(got)
		ok(t, newLock(t, mine, "held", nil).Do(t.Context(), func(context.Context) error { return nil }))
	}()
	queued(t, mine, 2)

	closed := make(chan error)
	go func() { closed <- other.Close() }()
	is(t, <-errs, cache.ErrClosed)
	ok(t, <-closed)
	within(t, got, "the lock of a closed store")
	queued(t, mine, 0)
	is(t, context.Cause(inside), dsync.ErrLost)
	is(t, g.Unlock(), dsync.ErrLost)
	_, err = held.Lock(t.Context())
	is(t, err, cache.ErrClosed)
	_, _, err = held.TryLock(t.Context())
	is(t, err, cache.ErrClosed)
	_, err = dsync.NewLock(t.Context(), other, "x", nil)
	is(t, err, cache.ErrClosed)
	ok(t, blocker.Unlock())
}

func TestMaxHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		st, late := openMemory(t, &data), openMemory(t, &data)
		totals, err := cache.New[string, int](t.Context(), late, "totals", nil)
		ok(t, err)
		l := newLock(t, late, "l", &dsync.LockOptions{MaxHold: time.Minute})
		began := time.Now()
		g := lock(t, l)
		inside := g.Context()
		ok(t, late.Update(t.Context(), g.Check))

		next := lock(t, newLock(t, st, "l", nil)) // waits
		equal(t, time.Since(began), time.Minute)
		synctest.Wait()
		is(t, context.Cause(inside), dsync.ErrLost)
		if next.Token() <= g.Token() {
			t.Errorf("token %d after %d", next.Token(), g.Token())
		}
		err = late.Update(t.Context(), func(tx *cache.Tx) error {
			if err := totals.In(tx).Set(t.Context(), "sum", 1); err != nil {
				return err
			}
			return g.Check(tx)
		})
		is(t, err, dsync.ErrLost)
		if _, found, _ := totals.Get(t.Context(), "sum"); found {
			t.Error("a late holder has written")
		}
		is(t, g.Unlock(), dsync.ErrLost)
		is(t, g.Unlock(), dsync.ErrLost)
		tryLock(t, l, false)
		ok(t, next.Unlock())

		g = lock(t, l)
		time.Sleep(2 * time.Minute) // nobody wants it
		is(t, late.Update(t.Context(), g.Check), dsync.ErrLost)
		is(t, g.Unlock(), dsync.ErrLost)
		ok(t, tryLock(t, l, true).Unlock())
	})
}

// Check goes by the clock of the store, also before a timer does.
func TestMaxHoldCheck(t *testing.T) {
	var late atomic.Int64
	st := cache.NewStore((&memory.Data{}).Open(nil), &cache.StoreOptions{Now: func() time.Time {
		return time.Unix(1_700_000_000+late.Load(), 0)
	}})
	t.Cleanup(func() { ok(t, st.Close()) })
	l := newLock(t, st, "l", &dsync.LockOptions{MaxHold: time.Minute})
	g := lock(t, l)
	late.Store(59)
	ok(t, st.Update(t.Context(), g.Check))
	tryLock(t, l, false)
	late.Store(60)
	is(t, st.Update(t.Context(), g.Check), dsync.ErrLost)
	next := tryLock(t, l, true)
	is(t, g.Unlock(), dsync.ErrLost)
	ok(t, next.Unlock())
}

func TestBreak(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		l := newLock(t, st, "l", nil)
		broken, err := l.Break(t.Context())
		ok(t, err)
		equal(t, broken, false)
		g := lock(t, l)
		inside := g.Context()
		broken, err = l.Break(t.Context())
		ok(t, err)
		equal(t, broken, true)
		within(t, inside.Done(), "the end of a broken lock")
		is(t, context.Cause(inside), dsync.ErrLost)
		is(t, st.Update(t.Context(), g.Check), dsync.ErrLost)
		is(t, g.Unlock(), dsync.ErrLost)
		ok(t, tryLock(t, l, true).Unlock())
	})
}

// A waiter whose row is removed queues up again.
func TestRowRemoved(t *testing.T) {
	onStores(t, func(t *testing.T, st *cache.Store) {
		l := newLock(t, st, "l", nil)
		g := lock(t, l)
		inside := g.Context()
		got := make(chan *dsync.Guard)
		go func() { got <- lock(t, l) }()
		queued(t, st, 1)
		rows := leases(t, st)
		_, err := rows.Delete(t.Context(), "lock/l")
		ok(t, err)
		next := <-got
		within(t, inside.Done(), "the end of a lock whose row was removed")
		is(t, g.Unlock(), dsync.ErrLost)
		if next.Token() <= g.Token() {
			t.Errorf("token %d after %d", next.Token(), g.Token())
		}
		ok(t, next.Unlock())
	})
}

func TestDo(t *testing.T) {
	st := openDir(t, t.TempDir())
	l := newLock(t, st, "l", nil)
	failed := errors.New("failed")
	var inside context.Context
	equal(t, l.Do(t.Context(), func(ctx context.Context) error {
		inside = ctx
		tryLock(t, l, false)
		return failed
	}), failed)
	is(t, inside.Err(), context.Canceled)
	func() {
		defer func() { equal(t, recover(), any("oops")) }()
		_ = l.Do(t.Context(), func(context.Context) error { panic("oops") })
	}()
	is(t, l.Do(t.Context(), nil), cache.ErrInvalid)
	is(t, l.Do(t.Context(), func(ctx context.Context) error {
		_, err := l.Break(ctx)
		return err
	}), dsync.ErrLost)
	ok(t, tryLock(t, l, true).Unlock())
}

func TestLockMisuse(t *testing.T) {
	st := openDir(t, t.TempDir())
	_, err := dsync.NewLock(t.Context(), nil, "l", nil)
	is(t, err, cache.ErrInvalid)
	_, err = dsync.NewLock(t.Context(), st, "l", &dsync.LockOptions{MaxHold: -1})
	is(t, err, cache.ErrInvalid)
	l := newLock(t, st, "l", nil)
	ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
		_, err := l.Lock(tx.Context())
		is(t, err, cache.ErrInTx)
		_, _, err = l.TryLock(tx.Context())
		is(t, err, cache.ErrInTx)
		return nil
	}))
	g := lock(t, l)
	is(t, g.Check(nil), cache.ErrInvalid)
	ok(t, g.Unlock())
	is(t, st.Update(t.Context(), g.Check), dsync.ErrNotHeld)
}

// A store that others keep busy for longer than its timeout fails an Unlock. The lock
// is still held then, until another Unlock or the lock manager has released it.
func TestUnlockTimeout(t *testing.T) {
	for _, again := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var data memory.Data
			slow := cache.NewStore(data.Open(&memory.Options{Timeout: time.Millisecond}), nil)
			defer func() { ok(t, slow.Close()) }()
			st := openMemory(t, &data)
			l := newLock(t, slow, "l", nil)
			g := lock(t, l)
			ok(t, st.Update(t.Context(), func(*cache.Tx) error {
				is(t, g.Unlock(), cache.ErrTimeout)
				_, err := newLock(t, slow, "m", nil).Lock(t.Context())
				is(t, err, cache.ErrTimeout)
				if !again {
					time.Sleep(time.Second) // more than one try fails
				}
				return nil
			}))
			tryLock(t, newLock(t, st, "l", nil), false)
			if again {
				ok(t, g.Unlock())
				ok(t, tryLock(t, newLock(t, st, "l", nil), true).Unlock())
				return
			}
			next := lock(t, newLock(t, st, "l", nil))
			synctest.Wait()
			is(t, g.Unlock(), dsync.ErrNotHeld)
			is(t, g.Context().Err(), context.Canceled)
			ok(t, next.Unlock())
		})
	}
}

// A caller that gives up while the store is busy leaves nothing behind for long, and
// nothing at all when its store is closed.
func TestWithdrawTimeout(t *testing.T) {
	for _, closes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var data memory.Data
			slow := cache.NewStore(data.Open(&memory.Options{Timeout: time.Millisecond}), nil)
			defer slow.Close()
			st := openMemory(t, &data)
			g := lock(t, newLock(t, st, "l", nil))
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan error)
			go func() {
				_, err := newLock(t, slow, "l", nil).Lock(ctx)
				errs <- err
			}()
			synctest.Wait()
			queued(t, st, 1)
			ok(t, st.Update(t.Context(), func(*cache.Tx) error {
				cancel()
				err := <-errs
				is(t, err, context.Canceled)
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("more than one error: %v", err)
				}
				return nil
			}))
			queued(t, st, 1)
			if closes {
				ok(t, slow.Close())
			} else {
				time.Sleep(time.Second)
			}
			queued(t, st, 0)
			ok(t, g.Unlock())
		})
	}
}

// Rows of locks that are not used any more do not pile up.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openMemory(t, &memory.Data{})
		rows := leases(t, st)
		sem, err := dsync.NewSemaphore(t.Context(), st, "s", 3, nil)
		ok(t, err)
		held := lock(t, newLock(t, st, "held", nil))
		var first *dsync.Guard
		for i := range 1000 {
			g := lock(t, newLock(t, st, fmt.Sprint(i), nil))
			ok(t, g.Unlock())
			if time.Sleep(time.Second); i == 0 {
				first = g
			}
		}
		n, err := rows.Len(t.Context())
		ok(t, err)
		if n > 200 {
			t.Errorf("%d rows", n)
		}
		ok(t, held.Unlock())
		g := lock(t, newLock(t, st, "0", nil)) // a row made anew
		if g.Token() <= first.Token() {
			t.Errorf("token %d after %d", g.Token(), first.Token())
		}
		ok(t, g.Unlock())
		free, err := sem.Free(t.Context())
		ok(t, err)
		equal(t, free, 3)
	})
}

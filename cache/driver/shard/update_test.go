package shard

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/codec"
)

var errOops = errors.New("oops")

// everywhere puts a row into each of n shards, and one each into two
// collections with stores of their own and one in the first shard.
func everywhere(ctx context.Context, tx driver.Tx, n int, c driver.Collection, others ...driver.Collection) error {
	for _, i := range []int{2, 0, 3, 1}[:n] { // in no order
		if err := errOf(tx.Put(ctx, c, driver.Put{Key: keyIn(i, n, 0), Value: number(i), Now: now})); err != nil {
			return err
		}
	}
	for _, o := range others {
		if err := errOf(tx.Put(ctx, o, driver.Put{Key: number(1), Value: number(1), Now: now})); err != nil {
			return err
		}
	}
	return nil
}

// A transaction over many shards and collections happens or does not.
func TestTransaction(t *testing.T) {
	const n = 4
	onEngines(t, n, func(t *testing.T, s *Store, again func() *Store) {
		c, jobs, done, leases := open(t, s, ""), open(t, s, "deque/jobs"), open(t, s, "index/done"), open(t, s, "sync/leases")
		others := []driver.Collection{jobs, done, leases}
		other := again()
		oc, ojobs := open(t, other, ""), open(t, other, "deque/jobs")
		count := func() (sum int64) {
			ok(t, other.View(t.Context(), func(tx driver.Tx) error {
				a, err := tx.Count(t.Context(), oc)
				b, berr := tx.Count(t.Context(), ojobs)
				sum = a + b
				return errors.Join(err, berr)
			}))
			return sum
		}
		for _, mode := range []driver.Mode{driver.Alone, driver.Shared} {
			is(t, s.Update(t.Context(), mode, func(tx driver.Tx) error {
				return errors.Join(everywhere(t.Context(), tx, n, c, others...), errOops)
			}), errOops)
			equal(t, count(), 0)
		}
		func() {
			defer func() { equal(t, recover(), any("boo")) }()
			_ = s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
				ok(t, everywhere(t.Context(), tx, n, c, others...))
				panic("boo")
			})
		}()
		equal(t, count(), 0)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_ = s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
				_ = everywhere(t.Context(), tx, n, c, others...)
				runtime.Goexit()
				return nil
			})
		}()
		<-gone
		equal(t, count(), 0)
		// An operation that fails fails all, also if nobody minds.
		if err := s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
			ok(t, everywhere(t.Context(), tx, n, c, others...))
			_ = errOf(tx.Put(t.Context(), c, driver.Put{Value: number(1), Now: now})) // no key
			return nil
		}); err == nil {
			t.Fatal("committed after a failed operation")
		}
		equal(t, count(), 0)
		// The context ends before the commit.
		ctx, cancel := context.WithCancelCause(t.Context())
		is(t, s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
			ok(t, everywhere(t.Context(), tx, n, c, others...))
			cancel(errOops)
			return nil
		}), errOops)
		equal(t, count(), 0)
		// Nothing was left locked.
		for _, mode := range []driver.Mode{driver.Shared, driver.Alone} {
			ok(t, other.Update(t.Context(), mode, func(tx driver.Tx) error { return everywhere(t.Context(), tx, n, oc, ojobs) }))
			equal(t, count(), n+1)
		}
	})
}

// A Shared function of one key runs in the transaction of that shard only,
// beside those of others.
func TestSharedTakesOneLock(t *testing.T) {
	const n = 3
	onEngines(t, n, func(t *testing.T, s *Store, _ func() *Store) {
		c, jobs := open(t, s, ""), open(t, s, "deque/jobs")
		ok(t, s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
			ok(t, errOf(tx.Put(t.Context(), c, driver.Put{Key: keyIn(1, n, 0), Value: number(1), Now: now})))
			put(t, s, c, keyIn(2, n, 0)) // would wait for itself
			put(t, s, jobs, number(1))
			equal(t, has(t, s, c, keyIn(2, n, 0)), true)
			equal(t, has(t, s, c, keyIn(1, n, 0)), false)
			return nil
		}))
		equal(t, has(t, s, c, keyIn(1, n, 0)), true)
	})
}

// Waits for a shard, the first or another, end in ErrTimeout, and with the
// context.
func TestTimeout(t *testing.T) {
	const n = 3
	var p inMemory
	s, err := newStore(t.Context(), p.with(memory.Options{}), n)
	ok(t, err)
	defer s.Close()
	c := open(t, s, "")
	hasty, err := newStore(t.Context(), p.with(memory.Options{Timeout: time.Millisecond}), n)
	ok(t, err)
	defer hasty.Close()
	hc := open(t, hasty, "")
	for held := range n {
		ok(t, s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
			ok(t, errOf(tx.Put(t.Context(), c, driver.Put{Key: keyIn(held, n, 0), Now: now})))
			is(t, hasty.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
				return errOf(tx.Put(t.Context(), hc, driver.Put{Key: keyIn(held, n, 1), Now: now}))
			}), driver.ErrTimeout)
			is(t, hasty.Update(t.Context(), driver.Alone, func(tx driver.Tx) error { return everywhere(t.Context(), tx, n, hc) }), driver.ErrTimeout)
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errOops)
			is(t, s.Update(ctx, driver.Alone, func(tx driver.Tx) error { return nil }), errOops)
			return nil
		}))
	}
	// Another shard than the first is held by one operation.
	held, let := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.shards[2].store.Update(context.Background(), driver.Alone, func(driver.Tx) error {
			close(held)
			<-let
			return nil
		})
	})
	<-held
	is(t, hasty.Update(t.Context(), driver.Alone, func(tx driver.Tx) error { return everywhere(t.Context(), tx, n, hc) }), driver.ErrTimeout)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Millisecond, func() { cancel(errOops) })
	is(t, s.Update(ctx, driver.Alone, func(tx driver.Tx) error { return everywhere(ctx, tx, n, c) }), errOops)
	close(let)
	wg.Wait()
	for i := range n {
		equal(t, has(t, s, c, keyIn(i, n, 1)), false)
	}
}

// Transactions that take shards in different orders do not wait for each
// other for ever, and what they read is true when they commit.
func TestNoDeadlock(t *testing.T) {
	const n, writers, each = 4, 6, 30
	onEngines(t, n, func(t *testing.T, s *Store, again func() *Store) {
		other := again()
		cs := map[*Store]driver.Collection{s: open(t, s, ""), other: open(t, other, "")}
		var wg sync.WaitGroup
		for w := range writers {
			st := []*Store{s, other}[w%2]
			wg.Go(func() {
				for i := range each {
					err := st.Update(t.Context(), driver.Mode((w/2+i)%2), func(tx driver.Tx) error {
						for j := range n { // move one along, from each shard to the next
							key := keyIn((j*(w%3+1)+i)%n, n, 0)
							r, _, err := tx.Get(t.Context(), cs[st], key, quiet)
							if err != nil {
								return err
							}
							if err := errOf(tx.Put(t.Context(), cs[st], driver.Put{Key: key, Value: number(int(r.Value.Integer()) + 1), Now: now})); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		var sum int64
		for _, r := range scan(t, s, cs[s], driver.Scan{}) {
			sum += r.Value.Integer()
		}
		equal(t, sum, writers*each*n)
	})
}

// A View of this Store sees all of a transaction or nothing.
func TestViewIsOfOneMoment(t *testing.T) {
	const n = 3
	onEngines(t, n, func(t *testing.T, s *Store, _ func() *Store) {
		c, jobs := open(t, s, ""), open(t, s, "deque/jobs")
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				err := s.Update(context.Background(), driver.Mode(i%2), func(tx driver.Tx) error {
					for j := range n {
						if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: keyIn(j, n, 0), Value: number(i), Now: now})); err != nil {
							return err
						}
					}
					return errOf(tx.Put(t.Context(), jobs, driver.Put{Key: number(0), Value: number(i), Now: now}))
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		for range 100 {
			seen := make(map[int64]bool)
			ok(t, s.View(t.Context(), func(tx driver.Tx) error {
				for j := range n {
					r, _, err := tx.Get(t.Context(), c, keyIn(j, n, 0), quiet)
					if err != nil {
						return err
					}
					seen[r.Value.Integer()] = true
				}
				r, _, err := tx.Get(t.Context(), jobs, number(0), quiet)
				seen[r.Value.Integer()] = true
				return err
			}))
			if len(seen) != 1 {
				t.Errorf("a View sees several transactions: %v", seen)
				break
			}
		}
		close(stop)
		wg.Wait()
	})
}

// failing is a store whose commits fail.
type failing struct{ driver.Store }

func (f failing) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, touches ...driver.Collection) error {
	return f.Store.Update(ctx, mode, func(tx driver.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return driver.ErrFull
	}, touches...)
}

// A commit that fails when others are done is an error that says so, and one
// that fails before leaves nothing.
func TestPartialCommit(t *testing.T) {
	const n = 4
	for _, c := range []struct {
		fails, committed int
	}{{1, 0}, {2, 1}, {3, 2}, {0, 3}} {
		var p inMemory
		s, err := newStore(t.Context(), p.with(memory.Options{}), n)
		ok(t, err)
		defer s.Close()
		coll := open(t, s, "")
		m := s.shards[c.fails]
		m.store = failing{m.store}
		err = s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error { return everywhere(t.Context(), tx, n, coll) })
		is(t, err, driver.ErrFull)
		equal(t, errors.Is(err, ErrPartial), c.committed > 0)
		equal(t, len(scan(t, s, coll, driver.Scan{})), c.committed)
		m.store = m.store.(failing).Store
		ok(t, s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error { return everywhere(t.Context(), tx, n, coll) }))
	}
}

// The probe of a Shared function finds out what it can.
func TestProbe(t *testing.T) {
	const n = 3
	var p inMemory
	s, err := newStore(t.Context(), p.with(memory.Options{}), n)
	ok(t, err)
	defer s.Close()
	c, jobs, leases := open(t, s, ""), open(t, s, "deque/jobs"), open(t, s, "sync/leases")
	at := func(rel string) *member {
		m, err := s.at(t.Context(), rel)
		ok(t, err)
		return m
	}
	in := func(i, j int) codec.Value { return keyIn(i, n, j) }
	for name, want := range map[string]struct {
		fn func(tx driver.Tx) error
		m  *member
	}{
		"nothing": {func(tx driver.Tx) error { return nil }, at("000")},
		"put":     {func(tx driver.Tx) error { return errOf(tx.Put(t.Context(), c, driver.Put{Key: in(2, 0)})) }, at("002")},
		"put and put": {func(tx driver.Tx) error {
			return errors.Join(errOf(tx.Put(t.Context(), c, driver.Put{Key: in(2, 0)})), errOf(tx.Put(t.Context(), c, driver.Put{Key: in(2, 1)})))
		}, at("002")},
		"two shards": {func(tx driver.Tx) error {
			return errors.Join(errOf(tx.Put(t.Context(), c, driver.Put{Key: in(2, 0)})), errOf(tx.Put(t.Context(), c, driver.Put{Key: in(1, 1)})))
		}, nil},
		"get":       {func(tx driver.Tx) error { _, _, err := tx.Get(t.Context(), c, in(1, 0), quiet); return err }, at("001")},
		"own store": {func(tx driver.Tx) error { _, err := tx.Count(t.Context(), jobs); return err }, at("deque/jobs")},
		"count":     {func(tx driver.Tx) error { _, err := tx.Count(t.Context(), c); return err }, nil},
		"fence": {func(tx driver.Tx) error {
			_, err := tx.Fence(t.Context())
			return errors.Join(err, errOf(tx.Put(t.Context(), leases, driver.Put{Key: number(1)})))
		}, at("000")},
		"set": {func(tx driver.Tx) error {
			if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: in(1, 0), Now: now})); err != nil {
				return err
			}
			_, err := tx.Cull(t.Context(), c, now, 10, in(1, 0))
			return err
		}, at("001")},
	} {
		if got := s.probe(t.Context(), want.fn); got != want.m {
			t.Errorf("%s: %v, want %v", name, got, want.m)
		}
	}
	equal(t, len(scan(t, s, c, driver.Scan{})), 0)
}

// Once a commit has begun, the end of the context does not stop it half-way.
func TestContextEndsInCommit(t *testing.T) {
	const n = 4
	onEngines(t, n, func(t *testing.T, s *Store, _ func() *Store) {
		c := open(t, s, "")
		ctx, cancel := context.WithCancelCause(t.Context())
		s.committing = func(*member) { cancel(errOops) }
		ok(t, s.Update(ctx, driver.Alone, func(tx driver.Tx) error { return everywhere(ctx, tx, n, c) }))
		equal(t, len(scan(t, s, c, driver.Scan{})), n)
	})
}

// A Shared function that turns out to need another shard runs again as a
// whole, whatever it makes of the error.
func TestSharedNeedsAnother(t *testing.T) {
	const n = 3
	onEngines(t, n, func(t *testing.T, s *Store, _ func() *Store) {
		c := open(t, s, "")
		for _, minds := range []bool{true, false} {
			ok(t, s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
				if _, _, err := tx.Get(t.Context(), c, keyIn(1, n, 0), quiet); err != nil {
					return err // the probe ends here
				}
				if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: keyIn(1, n, 0), Value: number(1), Now: now})); err != nil {
					return err
				}
				err := errOf(tx.Put(t.Context(), c, driver.Put{Key: keyIn(2, n, 0), Value: number(1), Now: now}))
				if minds {
					return err
				}
				return nil
			}))
			equal(t, has(t, s, c, keyIn(1, n, 0)) && has(t, s, c, keyIn(2, n, 0)), true)
			ok(t, s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
				_, err := tx.Remove(t.Context(), c, driver.Filter{}, 9)
				return err
			}))
		}
	})
}

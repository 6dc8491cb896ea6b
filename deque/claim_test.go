package deque_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
)

func TestClaimAck(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", "a", "b"), t.Context()
		c := claim(t, d, time.Minute)
		equal(t, c.Value, "a")
		equal(t, c.Attempt, 1)
		holds(t, d, "b")
		ok(t, c.Ack(ctx))
		is(t, c.Ack(ctx), deque.ErrLost)
		is(t, c.Nack(ctx, 0), deque.ErrLost)
		is(t, c.Extend(ctx, time.Minute), deque.ErrLost)
		e.clock.Advance(time.Hour)
		holds(t, d, "b")
		pops(t, d, "b")
		_, found, err := d.Claim(ctx, time.Minute)
		ok(t, err)
		equal(t, found, false)
	})
}

// A lease that ends brings the item back, to the front, as another attempt.
// Whoever is late then loses the claim, not the item.
func TestLeaseEnds(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", "a", "b", "c"), t.Context()
		first, second := claim(t, d, 2*time.Second), claim(t, d, time.Second)
		e.clock.Advance(2*time.Second - 1)
		ok(t, second.Ack(ctx)) // the lease has ended, but nobody wanted the item
		holds(t, d, "c")
		e.clock.Advance(1)
		holds(t, d, "a", "c")
		is(t, first.Ack(ctx), deque.ErrLost)
		is(t, first.Extend(ctx, time.Second), deque.ErrLost)
		is(t, first.Nack(ctx, 0), deque.ErrLost)
		again := claim(t, d, time.Second)
		equal(t, again.Value, "a")
		equal(t, again.Attempt, 2)
		is(t, first.Ack(ctx), deque.ErrLost)
		ok(t, again.Ack(ctx))
		holds(t, d, "c")
	})
}

// Claims that come back are in the order in which they were claimed.
func TestLeasesEndInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d := open(t, e.st, "", 1, 2, 3, 4, 5)
		for _, lease := range []time.Duration{3, 1, 2, 5} {
			claim(t, d, lease*time.Second)
		}
		e.clock.Advance(3 * time.Second)
		holds(t, d, 1, 2, 3, 5)
		e.clock.Advance(3 * time.Second)
		holds(t, d, 4, 1, 2, 3, 5)
	})
}

func TestExtend(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", "a"), t.Context()
		c := claim(t, d, time.Second)
		for range 3 {
			e.clock.Advance(time.Second - 1)
			ok(t, c.Extend(ctx, time.Second))
		}
		empty(t, d)
		ok(t, c.Extend(ctx, deque.UntilClosed))
		e.clock.Advance(1000 * time.Hour)
		empty(t, d)

		// What is rolled back has not moved the claim.
		failed := errors.New("failed")
		is(t, e.st.Update(ctx, func(tx *cache.Tx) error {
			ok(t, c.In(tx).Extend(ctx, time.Hour))
			ok(t, c.In(tx).Extend(ctx, time.Minute))
			return failed
		}), failed)
		e.clock.Advance(1000 * time.Hour)
		empty(t, d)
		ok(t, c.Extend(ctx, time.Second))
		e.clock.Advance(time.Second)
		pops(t, d, "a")
		is(t, c.Extend(ctx, time.Second), deque.ErrLost)
	})
}

func TestNack(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", "a", "b"), t.Context()
		ok(t, claim(t, d, deque.UntilClosed).Nack(ctx, 0))
		holds(t, d, "a", "b")
		c := claim(t, d, time.Second)
		equal(t, c.Attempt, 2)
		ok(t, c.Nack(ctx, time.Minute))
		is(t, c.Nack(ctx, time.Minute), deque.ErrLost)
		holds(t, d, "b")
		e.clock.Advance(time.Minute)
		holds(t, d, "a", "b")
		c = claim(t, d, time.Second)
		equal(t, c.Value, "a")
		equal(t, c.Attempt, 3)
		ok(t, c.Ack(ctx))

		// The count is the item's own, and goes where it goes.
		c = claim(t, d, time.Second)
		equal(t, c.Attempt, 1)
		ok(t, c.Nack(ctx, 0))
		push(t, d, "c")
		ok(t, d.Reverse(ctx))
		c = claim(t, d, time.Second)
		equal(t, c.Attempt, 1)
		equal(t, claim(t, d, time.Second).Attempt, 2)
		ok(t, second(d.Clear(ctx)))
		is(t, c.Ack(ctx), deque.ErrLost)
		e.clock.Advance(time.Hour)
		holds(t, d)
	})
}

// A maximum length neither drops what comes back nor is exceeded by it.
func TestClaimsAndMaxLen(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", 1, 2, 3, 4), t.Context()
		ok(t, d.SetMaxLen(ctx, 4))
		claim(t, d, time.Second)
		claim(t, d, time.Second)
		push(t, d, 5)
		c := claim(t, d, time.Minute)
		equal(t, c.Value, 3)
		push(t, d, 6, 7)
		ok(t, c.Nack(ctx, 0)) // no room
		is(t, c.Ack(ctx), deque.ErrLost)
		e.clock.Advance(time.Second)
		holds(t, d, 4, 5, 6, 7)
		var got []int
		for range 7 {
			v, found, err := d.PopBack(ctx)
			ok(t, err)
			equal(t, found, true)
			got = append(got, v)
		}
		empty(t, d)
		equal(t, len(got), 7)
		equal(t, got[0], 7)
	})
}

// A claim ends together with what the work has led to, or not at all.
func TestAckInTransaction(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", "a"), t.Context()
		done := must(index.New[string, int](ctx, e.st, "done", nil))(t)
		c := claim(t, d, time.Second)
		finish := func(fail error) error {
			return e.st.Update(ctx, func(tx *cache.Tx) error {
				if err := done.In(tx).Set(ctx, c.Value, 1); err != nil {
					return err
				}
				if err := c.In(tx).Ack(ctx); err != nil {
					return err
				}
				if err := d.In(tx).PushBack(ctx, "next"); err != nil {
					return err
				}
				return fail
			})
		}
		failed := errors.New("failed")
		is(t, finish(failed), failed)
		holds(t, d)
		ok(t, finish(nil))
		holds(t, d, "next")
		is(t, finish(nil), deque.ErrLost)
		equal(t, must(done.Len(ctx))(t), 1)

		// Claiming inside a transaction, too.
		is(t, e.st.Update(ctx, func(tx *cache.Tx) error {
			c = claim(t, d.In(tx), time.Second)
			equal(t, c.Value, "next")
			return failed
		}), failed)
		is(t, c.Ack(ctx), deque.ErrLost)
		holds(t, d, "next")
		ok(t, e.st.Update(ctx, func(tx *cache.Tx) error {
			c = claim(t, d.In(tx), time.Second)
			return nil
		}))
		ok(t, c.Ack(ctx))
		holds(t, d)
	})
}

func session(t *testing.T, st *cache.Store) string {
	t.Helper()
	name, _, err := st.Session(t.Context())
	ok(t, err)
	return name
}

// A session that ends gives back what it has claimed, whatever the lease.
func TestSessionEnds(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open(t, e.st, "", 1, 2, 3), t.Context()
		st := e.reopen(false)
		if session(t, st) == session(t, e.st) {
			t.Skip("stores of one process share a session here")
		}
		other := open[int](t, st, "")
		mine, c := claim(t, d, deque.UntilClosed), claim(t, other, deque.UntilClosed)
		equal(t, c.Value, 2)
		e.clock.Advance(1000 * time.Hour)
		ok(t, st.Close())
		is(t, c.Ack(ctx), cache.ErrClosed)
		_, found, err := other.Claim(ctx, 1)
		equal(t, found, false)
		is(t, err, cache.ErrClosed)
		pops(t, d, 2)
		pops(t, d, 3)
		empty(t, d)
		ok(t, mine.Ack(ctx))
	})
}

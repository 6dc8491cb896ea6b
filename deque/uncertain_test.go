package deque_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/deque"
)

// onUnsure runs fn with a deque in a store that is unsure of n transactions, which it
// has committed or not, and with the same deque in another store.
func onUnsure(t *testing.T, fn func(t *testing.T, u *drivertest.Unsure, now *clock, d, other *deque.Deque[string], n int64)) {
	for _, commits := range []bool{true, false} {
		for n := range int64(3) {
			t.Run(fmt.Sprint("commits=", commits, "/", n), func(t *testing.T) {
				var data memory.Data
				now := &clock{t: time.Unix(1_700_000_000, 0)}
				o := &cache.StoreOptions{Now: now.Now}
				u := &drivertest.Unsure{Store: data.Open(nil), Commits: commits}
				st, others := cache.NewStore(u, o), cache.NewStore(data.Open(nil), o)
				t.Cleanup(func() { ok(t, st.Close()); ok(t, others.Close()) })
				fn(t, u, now, open[string](t, st, ""), open[string](t, others, ""), n)
				equal(t, u.Next.Load(), 0)
			})
		}
	}
}

// wantStats checks how many items there are of each kind.
func wantStats(t *testing.T, d *deque.Deque[string], ready, claimed, delayed int64) {
	t.Helper()
	s := must(d.Stats(t.Context()))(t)
	equal(t, [3]int64{s.Ready, s.Claimed, s.Delayed}, [3]int64{ready, claimed, delayed})
}

// What is not known after a try that was uncertain is not known any better if the next
// one cannot begin.
func TestUncertainThenFails(t *testing.T) {
	onUnsure(t, func(t *testing.T, u *drivertest.Unsure, now *clock, d, other *deque.Deque[string], n int64) {
		if n == 0 {
			return
		}
		ok(t, other.PushBack(t.Context(), "a"))
		timeout := error(cache.ErrTimeout)
		u.Then.Store(&timeout)
		u.Next.Store(n)
		_, _, err := d.Claim(t.Context(), deque.UntilClosed)
		is(t, err, cache.ErrUncertain)
		is(t, err, cache.ErrTimeout)
		wantStats(t, other, 1, 0, 0)

		c := claim(t, d, deque.UntilClosed)
		u.Then.Store(&timeout)
		u.Next.Store(n)
		is(t, c.Ack(t.Context()), cache.ErrUncertain)
	})
}

func TestUncertainClaim(t *testing.T) {
	onUnsure(t, func(t *testing.T, u *drivertest.Unsure, now *clock, d, other *deque.Deque[string], n int64) {
		ok(t, other.PushBack(t.Context(), "a"))
		ok(t, other.PushBack(t.Context(), "b"))
		u.Next.Store(n)
		c := claim(t, d, time.Minute)
		equal(t, c.Value, "a")
		equal(t, c.Attempt, 1)
		wantStats(t, other, 1, 1, 0)

		u.Next.Store(n)
		ok(t, c.Extend(t.Context(), time.Hour))
		now.Advance(2 * time.Minute)
		wantStats(t, other, 1, 1, 0)

		u.Next.Store(n)
		ok(t, c.Nack(t.Context(), time.Minute))
		wantStats(t, other, 1, 0, 1)
		is(t, c.Ack(t.Context()), deque.ErrLost)

		now.Advance(2 * time.Minute)
		u.Next.Store(n) // while it comes back
		equal(t, must(d.Len(t.Context()))(t), 2)
		u.Next.Store(n)
		c = claim(t, d, deque.UntilClosed)
		equal(t, c.Value, "a")
		equal(t, c.Attempt, 2)
		u.Next.Store(n)
		ok(t, c.Nack(t.Context(), 0))
		c = claim(t, d, deque.UntilClosed)
		equal(t, c.Attempt, 3)
		u.Next.Store(n)
		ok(t, c.Ack(t.Context()))
		is(t, c.Ack(t.Context()), deque.ErrLost)
		wantStats(t, other, 1, 0, 0)

		u.Next.Store(n)
		ok(t, d.SetMaxLen(t.Context(), 5))
		equal(t, must(other.MaxLen(t.Context()))(t), 5)
	})
}

// An Ack that is uncertain until the lease has ended is not said to have succeeded: the
// item may have come back.
func TestUncertainAckTooLate(t *testing.T) {
	onUnsure(t, func(t *testing.T, u *drivertest.Unsure, now *clock, d, other *deque.Deque[string], n int64) {
		if n == 0 {
			return
		}
		ok(t, other.PushBack(t.Context(), "a"))
		c := claim(t, d, time.Minute)
		u.Next.Store(1)
		u.After = func() {
			now.Advance(time.Hour)
			_, _, err := other.PopFront(t.Context())
			ok(t, err)
		}
		is(t, c.Ack(t.Context()), cache.ErrUncertain)
		wantStats(t, other, 0, 0, 0)
	})
}

// A store that stays unsure is an error. No item is lost, and none stays claimed.
func TestUncertainAlways(t *testing.T) {
	onUnsure(t, func(t *testing.T, u *drivertest.Unsure, now *clock, d, other *deque.Deque[string], n int64) {
		ok(t, other.PushBack(t.Context(), "a"))
		u.Next.Store(3)
		_, _, err := d.Claim(t.Context(), deque.UntilClosed)
		is(t, err, cache.ErrUncertain)
		wantStats(t, other, 1, 0, 0)
		c := claim(t, d, deque.UntilClosed)
		u.Next.Store(3)
		if u.Commits {
			u.Next.Store(1)
			ok(t, c.Ack(t.Context()))
			wantStats(t, other, 0, 0, 0)
			return
		}
		is(t, c.Ack(t.Context()), cache.ErrUncertain)
		wantStats(t, other, 0, 1, 0)
		ok(t, c.Ack(t.Context()))
	})
}

// A push or a pop is not done once more: the caller is told that it is not known.
func TestUncertainPushPop(t *testing.T) {
	onUnsure(t, func(t *testing.T, u *drivertest.Unsure, now *clock, d, other *deque.Deque[string], n int64) {
		u.Next.Store(1)
		is(t, d.PushBack(t.Context(), "a"), cache.ErrUncertain)
		equal(t, must(other.Len(t.Context()))(t) == 1, u.Commits)
		ok(t, other.PushBack(t.Context(), "b"))
		had := must(other.Len(t.Context()))(t)
		u.Next.Store(1)
		_, _, err := d.PopFront(t.Context())
		is(t, err, cache.ErrUncertain)
		if u.Commits {
			had--
		}
		equal(t, must(other.Len(t.Context()))(t), had)
	})
}

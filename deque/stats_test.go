package deque_test

import (
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
)

func TestStats(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		d := open[string](t, e.st, "")
		want := func(s deque.Stats) {
			t.Helper()
			equal(t, must(d.Stats(ctx))(t), s)
		}
		want(deque.Stats{})
		push(t, d, "a", "b", "c", "d")
		e.clock.Advance(time.Minute)
		want(deque.Stats{Ready: 4, Age: time.Minute})
		ok(t, d.PushFront(ctx, "later", deque.Delay(time.Second), cache.TTL(time.Hour)))
		a := claim(t, d, time.Minute)
		b := claim(t, d, deque.UntilClosed)
		want(deque.Stats{Ready: 2, Claimed: 2, Delayed: 1, Age: time.Minute})
		ok(t, a.Ack(ctx))
		ok(t, b.Nack(ctx, time.Hour))
		want(deque.Stats{Ready: 2, Delayed: 2, Age: time.Minute})
		e.clock.Advance(time.Second) // "later" comes to the front
		want(deque.Stats{Ready: 3, Delayed: 1})

		// What has expired is not ready.
		ok(t, d.PushBack(ctx, "e", cache.TTL(time.Second)))
		want(deque.Stats{Ready: 4, Delayed: 1})
		e.clock.Advance(time.Second)
		want(deque.Stats{Ready: 3, Delayed: 1, Age: time.Second})
		ok(t, d.SetMaxLen(ctx, 1))
		ok(t, d.SetMaxLen(ctx, 2))
		e.clock.Advance(time.Hour)
		want(deque.Stats{Ready: 2})

		c := claim(t, d, time.Second)
		e.clock.Advance(time.Second)
		ok(t, d.View(ctx, func(tx *cache.Tx) error {
			s, err := d.In(tx).Stats(ctx) // it cannot be requeued
			equal(t, s, deque.Stats{Ready: 1, Claimed: 1, Age: time.Hour + time.Minute + 3*time.Second})
			return err
		}))
		want(deque.Stats{Ready: 2})
		is(t, c.Ack(ctx), deque.ErrLost)
		equal(t, must(d.Clear(ctx))(t), 2)
		want(deque.Stats{})

		// At the maximum length nothing comes back.
		ok(t, d.SetMaxLen(ctx, 1))
		push(t, d, "f")
		claim(t, d, time.Second)
		push(t, d, "g")
		e.clock.Advance(time.Second)
		want(deque.Stats{Ready: 1, Claimed: 1, Age: time.Second})
	})
}

// Clear counts what is in flight, too.
func TestClearCounts(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		d := open(t, e.st, "", 1, 2, 3)
		claim(t, d, time.Hour)
		for range 3 {
			ok(t, d.PushBack(ctx, 4, deque.Delay(time.Hour)))
		}
		equal(t, must(d.Clear(ctx))(t), 6)
		equal(t, must(d.Clear(ctx))(t), 0)
		equal(t, must(d.Stats(ctx))(t), deque.Stats{})
	})
}

package deque_test

import (
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/deque"
)

const longest = time.Duration(math.MaxInt64)

// An expiry that nanoseconds cannot hold is not one in the past, and neither is
// the end of a lease or of a delay.
func TestFarFuture(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		for _, far := range []deque.Option{
			cache.ExpireAt(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)),
			cache.ExpireAt(time.Unix(math.MaxInt64, 0)),
			cache.TTL(250 * 365 * 24 * time.Hour),
			cache.TTL(longest),
		} {
			d, ctx := open[int](t, e.st, ""), t.Context()
			ok(t, d.PushBack(ctx, 1, far))
			ok(t, claim(t, d, longest).Nack(ctx, 0))
			c := claim(t, d, time.Minute)
			ok(t, c.Extend(ctx, longest))
			empty(t, d)
			ok(t, c.Nack(ctx, time.Minute))
			e.clock.Advance(time.Minute)
			pops(t, d, 1)

			ok(t, d.PushBack(ctx, 2, far, deque.Delay(time.Second)))
			empty(t, d)
			e.clock.Advance(time.Second)
			pops(t, d, 2)

			ok(t, d.PushBack(ctx, 3, far))
			claim(t, d, time.Minute)
			e.clock.Advance(time.Minute)
			pops(t, d, 3)

			ok(t, d.PushBack(ctx, 4, far, deque.Delay(longest)))
			e.clock.Advance(1000 * time.Hour)
			empty(t, d)
			ok(t, second(d.Clear(ctx)))
		}
	})
}

// What was claimed or delayed while the clock was ahead comes back in its time
// after the clock was set back.
func TestClockSetBack(t *testing.T) {
	const month = 30 * 24 * time.Hour
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		for _, name := range []string{"", "d"} {
			d := open(t, e.st, name, 1, 2, 3, 4, 5)
			claim(t, d, 1000*time.Hour) // before: not concerned
			e.clock.Advance(month)
			claim(t, d, time.Minute)
			ok(t, claim(t, d, time.Hour).Nack(ctx, time.Minute))
			ok(t, claim(t, d, time.Second).Extend(ctx, time.Minute))
			forever := claim(t, d, deque.UntilClosed)
			ok(t, d.PushBack(ctx, 6, deque.Delay(time.Minute)))
			empty(t, d)

			e.clock.Advance(-month)
			empty(t, d)
			e.clock.Advance(time.Minute - time.Millisecond)
			empty(t, d)
			e.clock.Advance(2 * time.Millisecond)
			got := must(cache.Collect(d.All(ctx)))(t)
			slices.Sort(got)
			equal(t, len(got), 4)
			equal(t, slices.Equal(got, []int{2, 3, 4, 6}), true)
			ok(t, forever.Ack(ctx))

			// From now on the clock is right, and everything as usual.
			ok(t, second(d.Clear(ctx)))
			ok(t, d.PushBack(ctx, 7, deque.Delay(time.Minute)))
			e.clock.Advance(time.Minute)
			pops(t, d, 7)
		}
	})
}

// Each way to make a loan notes what the clock says.
func TestClockIsNoted(t *testing.T) {
	const month = 30 * 24 * time.Hour
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		for what, lend := range map[string]func(d *deque.Deque[int], c *deque.Claim[int]) error{
			"Extend": func(d *deque.Deque[int], c *deque.Claim[int]) error { return c.Extend(ctx, time.Minute) },
			"Nack":   func(d *deque.Deque[int], c *deque.Claim[int]) error { return c.Nack(ctx, time.Minute) },
			"PushFront": func(d *deque.Deque[int], c *deque.Claim[int]) error {
				return d.PushFront(ctx, 1, deque.Delay(time.Minute))
			},
			"Claim": func(d *deque.Deque[int], c *deque.Claim[int]) error {
				_, _, err := d.Claim(ctx, time.Minute)
				return err
			},
		} {
			d := open(t, e.st, what, 1, 1)
			c := claim(t, d, 1000*time.Hour)
			if what != "Claim" {
				pops(t, d, 1)
			}
			e.clock.Advance(month)
			ok(t, lend(d, c))
			e.clock.Advance(-month)
			empty(t, d)
			e.clock.Advance(time.Minute)
			if n := must(d.Len(ctx))(t); n != 1 {
				t.Errorf("%s: %d items have come back, want 1", what, n)
			}
		}
	})
}

// More items than are dated anew at once come back all the same.
func TestClockSetBackMany(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		d, ctx := open[int](t, e.st, ""), t.Context()
		e.clock.Advance(1000 * time.Hour)
		items := make([]int, 1200)
		ok(t, d.PushBackMany(ctx, slices.Values(items), deque.Delay(time.Minute)))
		e.clock.Advance(-1000 * time.Hour)
		for range 3 {
			empty(t, d)
		}
		e.clock.Advance(time.Minute)
		for range 3 {
			must(d.Len(ctx))(t)
		}
		equal(t, must(d.Len(ctx))(t), int64(len(items)))
	})
}

// Who waits for an item when the clock is set back gets what was delayed before.
func TestClockSetBackWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var offset atomic.Int64
		offset.Store(int64(1000 * time.Hour))
		var data memory.Data
		st := cache.NewStore(data.Open(nil), &cache.StoreOptions{Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
		defer st.Close()
		d := open[int](t, st, "")
		popped := make(chan int)
		go func() { popped <- must(d.PopFrontWait(t.Context()))(t) }()
		synctest.Wait()
		ok(t, d.PushBack(t.Context(), 1, deque.Delay(time.Minute)))
		offset.Store(0)
		began := time.Now()
		equal(t, <-popped, 1)
		if took := time.Since(began); took < time.Minute || took > 3*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

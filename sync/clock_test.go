package sync_test

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// clock is the time of a test, and of a store.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

// onClock runs fn with a store of its own time, in which sleeping takes none.
func onClock(t *testing.T, fn func(t *testing.T, st *cache.Store, c *clock)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var c clock
		st := cache.NewStore((&memory.Data{}).Open(nil), &cache.StoreOptions{Now: c.now})
		defer func() { ok(t, st.Close()) }()
		fn(t, st, &c)
	})
}

// A throttle that was used while the clock was ahead is as full as it was then.
func TestThrottleClockSetBack(t *testing.T) {
	onClock(t, func(t *testing.T, st *cache.Store, c *clock) {
		th := newThrottle(t, st, 3, 3*time.Second)
		c.set(24 * time.Hour)
		for range 2 {
			allow(t, th, true)
		}
		c.set(0)
		allow(t, th, true)
		allow(t, th, false)
		time.Sleep(time.Second)
		allow(t, th, true)
		allow(t, th, false)

		c.set(24 * time.Hour)
		time.Sleep(3 * time.Second)
		for range 3 {
			allow(t, th, true)
		}
		c.set(0)
		for range 10 { // what is refused changes nothing, and goes on
			allow(t, th, false)
			time.Sleep(time.Second / 10)
		}
		allow(t, th, true)
		allow(t, th, false)

		began := time.Now() // those who queue up are not forgotten
		for range 2 {
			ok(t, th.Wait(t.Context()))
		}
		equal(t, time.Since(began), 2*time.Second)
	})
}

// Nor does it matter if events are taken back after the clock was set back.
func TestThrottleCancelSetBack(t *testing.T) {
	onClock(t, func(t *testing.T, st *cache.Store, c *clock) {
		th := newThrottle(t, st, 2, 2*time.Second)
		c.set(time.Hour)
		_, stale, err := th.Reserve(t.Context(), 1)
		ok(t, err)
		_, cancel, err := th.Reserve(t.Context(), 1)
		ok(t, err)
		c.set(0)
		ok(t, stale()) // changes nothing
		ok(t, cancel())
		allow(t, th, true)
		allow(t, th, false)
		time.Sleep(time.Second)
		allow(t, th, true)
	})
}

// Cancel that fails can be called again.
func TestThrottleCancelFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		st := cache.NewStore(data.Open(&memory.Options{Timeout: time.Second}), nil)
		defer func() { ok(t, st.Close()) }()
		other := cache.NewStore(data.Open(nil), nil)
		defer func() { ok(t, other.Close()) }()
		th := newThrottle(t, st, 1, time.Minute)
		_, cancel, err := th.Reserve(t.Context(), 1)
		ok(t, err)
		ok(t, other.Update(t.Context(), func(*cache.Tx) error {
			is(t, cancel(), cache.ErrTimeout)
			return nil
		}))
		ok(t, cancel())
		allow(t, th, true)
		ok(t, cancel()) // and does nothing now
		allow(t, th, false)
	})
}

// The year of the clock does not matter.
func TestThrottleFarClock(t *testing.T) {
	for _, ahead := range []time.Duration{200 * 365 * 24 * time.Hour, -30 * 365 * 24 * time.Hour} {
		onClock(t, func(t *testing.T, st *cache.Store, c *clock) {
			c.set(ahead)
			th := newThrottle(t, st, 2, 2*time.Second)
			allow(t, th, true)
			allow(t, th, true)
			allow(t, th, false)
			time.Sleep(time.Second)
			allow(t, th, true)
			allow(t, th, false)
		})
	}
	// After 2262 the numbers have come to their end, and say so.
	st := cache.NewStore((&memory.Data{}).Open(nil), &cache.StoreOptions{Now: func() time.Time { return time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) }})
	defer st.Close()
	_, err := newThrottle(t, st, 1, time.Second).Allow(t.Context())
	is(t, err, cache.ErrOverflow)
}

// A hold that began while the clock was ahead does not last longer than twice
// its maximum.
func TestMaxHoldClockSetBack(t *testing.T) {
	onClock(t, func(t *testing.T, st *cache.Store, c *clock) {
		l := newLock(t, st, "l", &dsync.LockOptions{MaxHold: time.Minute})
		c.set(24 * time.Hour)
		g := lock(t, l)
		c.set(0)
		began := time.Now()
		next := lock(t, l)
		equal(t, time.Since(began), time.Minute)
		is(t, g.Unlock(), dsync.ErrLost)

		// While others wait already.
		ok(t, next.Unlock())
		c.set(24 * time.Hour)
		lock(t, l)
		began = time.Now()
		time.AfterFunc(30*time.Second, func() { c.set(0) })
		ok(t, lock(t, l).Unlock())
		equal(t, time.Since(began), 2*time.Minute)

		// Nobody waits, but somebody looks.
		c.set(24 * time.Hour)
		lock(t, l)
		c.set(0)
		tryLock(t, l, false)
		time.Sleep(time.Minute)
		ok(t, tryLock(t, l, true).Unlock())

		// Without a maximum no clock matters.
		free := newLock(t, st, "l", nil)
		c.set(24 * time.Hour)
		g = lock(t, free)
		c.set(0)
		tryLock(t, free, false)
		time.Sleep(time.Hour)
		tryLock(t, free, false)
		ok(t, g.Unlock())
	})
}

// A maximum that a time cannot hold is none.
func TestMaxHoldFar(t *testing.T) {
	onClock(t, func(t *testing.T, st *cache.Store, c *clock) {
		for _, year := range []int{2000, 2261, 2500} {
			c.set(time.Until(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)))
			l := newLock(t, st, "l", &dsync.LockOptions{MaxHold: math.MaxInt64})
			g := lock(t, l)
			time.Sleep(time.Hour)
			tryLock(t, l, false)
			ok(t, st.Update(t.Context(), g.Check))
			ok(t, g.Unlock())
		}
	})
}

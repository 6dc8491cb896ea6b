package sync_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func newThrottle(t testing.TB, st *cache.Store, count int64, period time.Duration) *dsync.Throttle {
	t.Helper()
	th, err := dsync.NewThrottle(t.Context(), st, "t", &dsync.ThrottleOptions{Count: count, Period: period})
	ok(t, err)
	return th
}

func allow(t testing.TB, th *dsync.Throttle, want bool) {
	t.Helper()
	got, err := th.Allow(t.Context())
	ok(t, err)
	equal(t, got, want)
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		st := openMemory(t, &data)
		a, b := newThrottle(t, st, 3, time.Second), newThrottle(t, openMemory(t, &data), 3, time.Second)
		for range 3 {
			allow(t, a, true)
		}
		allow(t, b, false)
		allow(t, newThrottle(t, st, 3, time.Second), false) // opening fills nothing
		time.Sleep(time.Second / 3)
		allow(t, b, false) // a third of a second is rounded up
		time.Sleep(time.Nanosecond)
		allow(t, b, true)
		allow(t, a, false)

		began := time.Now()
		ok(t, a.Wait(t.Context()))
		ok(t, b.Wait(t.Context()))
		if d := time.Since(began); d < 2*time.Second/3 || d > 2*time.Second/3+10 {
			t.Errorf("waited %v", d)
		}
		time.Sleep(time.Hour) // the bucket does not overflow
		for range 3 {
			allow(t, a, true)
		}
		allow(t, a, false)
	})
}

// No more events than asked for, whoever asks.
func TestThrottleRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		var mu sync.Mutex
		var at []time.Duration
		began := time.Now()
		var all sync.WaitGroup
		for range 3 {
			th := newThrottle(t, openMemory(t, &data), 10, time.Second)
			call := dsync.Throttled(th, func(context.Context, int) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(began))
				return 0, nil
			})
			all.Go(func() {
				for range 20 {
					_, err := call(t.Context(), 0)
					ok(t, err)
				}
			})
		}
		all.Wait()
		equal(t, len(at), 60)
		equal(t, at[9], 0)
		for i := range at { // a burst of 10, and one more for each tenth of a second
			for j := i + 10; j < len(at); j++ {
				if at[j]-at[i] < time.Duration(j-i-9)*time.Second/10 {
					t.Fatalf("%d events from %v to %v", j-i+1, at[i], at[j])
				}
			}
		}
		equal(t, at[59].Round(time.Millisecond), 5*time.Second)
	})
}

func TestThrottleWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := cache.NewStore((&memory.Data{}).Open(nil), nil)
		th := newThrottle(t, st, 1, time.Minute)
		ok(t, th.Wait(t.Context()))
		began := time.Now()
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		is(t, th.Wait(soon), context.DeadlineExceeded) // at once
		equal(t, time.Since(began), 0)
		is(t, th.Wait(cancelled()), context.Canceled)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		is(t, th.Wait(ctx), context.Canceled) // and takes no slot
		ok(t, th.Wait(t.Context()))
		equal(t, time.Since(began), time.Minute)

		errs := make(chan error)
		go func() { errs <- th.Wait(t.Context()) }()
		synctest.Wait()
		ok(t, st.Close())
		is(t, <-errs, cache.ErrClosed)
		is(t, th.Wait(t.Context()), cache.ErrClosed)
		_, err := th.Allow(t.Context())
		is(t, err, cache.ErrClosed)
	})
}

func TestThrottleMisuse(t *testing.T) {
	st := openMemory(t, &memory.Data{})
	for _, o := range []*dsync.ThrottleOptions{
		nil, {}, {Count: 1}, {Period: time.Second}, {Count: -1, Period: time.Second}, {Count: 1, Period: -1},
		{Count: 1, Period: time.Second, Burst: -1}, {Count: 1, Period: math.MaxInt64, Burst: math.MaxInt64},
	} {
		_, err := dsync.NewThrottle(t.Context(), st, "t", o)
		is(t, err, cache.ErrInvalid)
	}
	_, err := dsync.NewThrottle(t.Context(), nil, "t", &dsync.ThrottleOptions{Count: 1, Period: 1})
	is(t, err, cache.ErrInvalid)
	_, err = dsync.Throttled[int, int](newThrottle(t, st, 1, 1), nil)(t.Context(), 0)
	is(t, err, cache.ErrInvalid)
	_, err = dsync.Barrier[int, int](nil, nil)(t.Context(), 0)
	is(t, err, cache.ErrInvalid)
}

// Several events at once count as so many, all or none; what was reserved is given back.
func TestThrottleN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(t, openMemory(t, &memory.Data{}), 10, time.Second)
		ctx := t.Context()
		allowN := func(n int64, want bool) {
			t.Helper()
			got, err := th.AllowN(ctx, n)
			ok(t, err)
			equal(t, got, want)
		}
		for _, n := range []int64{-1, 0, 11} {
			_, err := th.AllowN(ctx, n)
			is(t, err, cache.ErrInvalid)
			is(t, th.WaitN(ctx, n), cache.ErrInvalid)
			_, _, err = th.Reserve(ctx, n)
			is(t, err, cache.ErrInvalid)
		}
		allowN(7, true)
		allowN(4, false)
		allowN(3, true)
		began := time.Now()
		ok(t, th.WaitN(ctx, 5))
		equal(t, time.Since(began), 500*time.Millisecond)

		reserve := func(n int64, want time.Duration) (cancel func() error) {
			t.Helper()
			delay, cancel, err := th.Reserve(ctx, n)
			ok(t, err)
			equal(t, delay, want)
			return cancel
		}
		cancel := reserve(10, time.Second)
		ok(t, cancel())
		reserve(10, time.Second)
		ok(t, cancel()) // not those that came in its place
		cancel = reserve(1, 1100*time.Millisecond)
		reserve(1, 1200*time.Millisecond)
		ok(t, cancel()) // somebody has queued up behind it
		reserve(1, 1300*time.Millisecond)
		time.Sleep(time.Hour)
		reserve(10, 0)
	})
}

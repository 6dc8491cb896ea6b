package memo_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/memo"
)

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counted
		m := newMemo(t, openMemory(t, &memory.Data{}), c.call, &memo.Options[string, int64]{TTL: time.Minute})
		calls(t, m, "a", 1, &c, 1)
		time.Sleep(time.Minute - 1000)
		calls(t, m, "a", 1, &c, 1)
		time.Sleep(1000)
		_, found, err := m.Peek(t.Context(), "a")
		ok(t, err)
		equal(t, found, false)
		calls(t, m, "a", 2, &c, 2)
	})
}

// The next result is computed early with the probability that the formula
// says, and by one caller of all.
func TestBeta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		c := counted{takes: 2 * time.Second}
		o := &memo.Options[string, int64]{TTL: time.Minute, Beta: 1.5}
		m := newMemo(t, openMemory(t, &data), c.call, o)
		other := newMemo(t, openMemory(t, &data), c.call, o)
		var random float64
		memo.SetRand(m, func() float64 { return random })
		memo.SetRand(other, func() float64 { return random })
		calls(t, m, "a", 1, &c, 1)
		// delta * beta * -ln(1-r) = 3 s * 4 = 12 s.
		random = 1 - math.Exp(-4)
		time.Sleep(47 * time.Second)
		calls(t, m, "a", 1, &c, 1)
		synctest.Wait()
		equal(t, c.n.Load(), 1)
		time.Sleep(time.Second + time.Millisecond)
		for range 3 { // nobody waits for it
			began := time.Now()
			for _, m := range []*memo.Memo[string, int64]{m, other} {
				v, err := m.Call(t.Context(), "a")
				ok(t, err)
				equal(t, v, 1)
			}
			equal(t, time.Since(began), 0)
			synctest.Wait()
			equal(t, c.n.Load(), 2)
		}
		time.Sleep(3 * time.Second)
		calls(t, other, "a", 2, &c, 2)
	})
}

func TestRefreshAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counted{takes: time.Second}
		m := newMemo(t, openMemory(t, &memory.Data{}), c.call, &memo.Options[string, int64]{TTL: time.Minute, RefreshAfter: 10 * time.Second})
		calls(t, m, "a", 1, &c, 1)
		time.Sleep(10*time.Second - 1000)
		calls(t, m, "a", 1, &c, 1)
		time.Sleep(1000)
		for range 10 {
			v, err := m.Call(t.Context(), "a")
			ok(t, err)
			equal(t, v, 1)
		}
		time.Sleep(2 * time.Second)
		calls(t, m, "a", 2, &c, 2)

		// A refresh that fails leaves the old result, and is tried again.
		c.failWith(errors.New("down"))
		time.Sleep(10 * time.Second)
		for n := range int64(3) {
			v, err := m.Call(t.Context(), "a")
			ok(t, err)
			equal(t, v, 2)
			time.Sleep(2 * time.Second)
			equal(t, c.n.Load(), 3+n)
		}
	})
}

func TestStaleIfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counted
		m := newMemo(t, openMemory(t, &memory.Data{}), c.call, &memo.Options[string, int64]{TTL: time.Minute, StaleIfError: time.Hour})
		calls(t, m, "a", 1, &c, 1)
		down := errors.New("down")
		c.failWith(down)
		time.Sleep(time.Minute)
		_, found, err := m.Peek(t.Context(), "a")
		ok(t, err)
		equal(t, found, false)
		calls(t, m, "a", 1, &c, 2)
		calls(t, m, "a", 1, &c, 3)
		_, err = m.Call(t.Context(), "b")
		is(t, err, down)
		time.Sleep(time.Hour)
		_, err = m.Call(t.Context(), "a")
		is(t, err, down)
		c.failWith(nil)
		calls(t, m, "a", 6, &c, 6)
	})
}

func TestCacheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counted
		missing, down := errors.New("missing"), errors.New("down")
		m := newMemo(t, openMemory(t, &memory.Data{}), c.call, &memo.Options[string, int64]{CacheError: func(err error) time.Duration {
			if errors.Is(err, missing) {
				return time.Minute
			}
			return 0
		}})
		fails := func(want error, n int64) {
			t.Helper()
			_, err := m.Call(t.Context(), "a")
			if err == nil || err.Error() != want.Error() {
				t.Fatalf("got %v, want %v", err, want)
			}
			equal(t, c.n.Load(), n)
		}
		c.failWith(down)
		fails(down, 1)
		fails(down, 2)
		c.failWith(missing)
		fails(missing, 3)
		fails(missing, 3)
		c.failWith(nil)
		_, err := m.Call(t.Context(), "a")
		var stored *memo.StoredError
		if !errors.As(err, &stored) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(time.Minute)
		calls(t, m, "a", 4, &c, 4)

		c.failWith(missing)
		_, err = m.Call(t.Context(), "b")
		is(t, err, missing)
		c.failWith(nil)
		_, err = m.Forget(t.Context(), "b")
		ok(t, err)
		calls(t, m, "b", 6, &c, 6)
	})
}

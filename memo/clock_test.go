package memo_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/memo"
)

const longest = time.Duration(math.MaxInt64)

// Times that do not fit are the longest that do.
func TestFarFuture(t *testing.T) {
	for _, o := range []memo.Options[string, int64]{
		{TTL: time.Hour, StaleIfError: longest},
		{TTL: longest, StaleIfError: longest},
		{TTL: longest, RefreshAfter: longest - 1, Beta: math.MaxFloat64},
		{TTL: longest, CacheError: func(error) time.Duration { return longest }},
	} {
		st := openMemory(t, &memory.Data{})
		var c counted
		m := newMemo(t, st, c.call, &o)
		calls(t, m, "a", 1, &c, 1)
		if o.Beta == 0 { // else the next one is computed in the background
			calls(t, m, "a", 1, &c, 1)
		}
		if o.CacheError == nil {
			continue
		}
		failed := errors.New("failed")
		c.failWith(failed)
		_, err := m.Call(t.Context(), "b")
		is(t, err, failed)
		c.failWith(nil)
		var stored *memo.StoredError
		if _, err = m.Call(t.Context(), "b"); !errors.As(err, &stored) {
			t.Errorf("got %v, want the stored error", err)
		}
	}
}

// What was stored while the clock was ahead is not valid for as much longer.
func TestClockSetBack(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for _, persistent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ahead := time.Duration(0)
			st := cache.NewStore((&memory.Data{}).Open(nil), &cache.StoreOptions{Now: func() time.Time { return time.Now().Add(ahead) }})
			defer func() { ok(t, st.Close()) }()
			failed := errors.New("failed")
			var c counted
			m := newMemo(t, st, c.call, &memo.Options[string, int64]{
				TTL: time.Hour, Persistent: persistent, CacheError: func(error) time.Duration { return time.Hour },
			})
			ahead = month
			calls(t, m, "a", 1, &c, 1)
			c.failWith(failed)
			_, err := m.Call(t.Context(), "b")
			is(t, err, failed)
			c.failWith(nil)
			calls(t, m, "a", 1, &c, 2)

			ahead = 0
			_, found, err := m.Peek(t.Context(), "a")
			ok(t, err)
			equal(t, found, false)
			calls(t, m, "a", 3, &c, 3)
			calls(t, m, "a", 3, &c, 3)
			calls(t, m, "b", 4, &c, 4) // the error is as old as that

			ahead = -time.Minute // moments do not matter
			calls(t, m, "a", 3, &c, 4)

			// Without a TTL it is valid, but as old as no one knows.
			r, err := memo.New(t.Context(), st, "r", c.call, &memo.Options[string, int64]{RefreshAfter: time.Hour, Persistent: persistent})
			ok(t, err)
			ahead = month
			calls(t, r, "a", 5, &c, 5)
			calls(t, r, "a", 5, &c, 5)
			ahead = 0
			v, err := r.Call(t.Context(), "a")
			ok(t, err)
			equal(t, v, 5)
			synctest.Wait()
			calls(t, r, "a", 6, &c, 6)
		})
	}
}

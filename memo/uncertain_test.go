package memo_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/memo"
)

// What is remembered, and forgotten, does not depend on whether commits are certain.
func TestUncertain(t *testing.T) {
	for _, commits := range []bool{true, false} {
		for n := range int64(3) {
			t.Run(fmt.Sprint("commits=", commits, "/", n), func(t *testing.T) {
				var data memory.Data
				u := &drivertest.Unsure{Store: data.Open(nil), Commits: commits}
				st := cache.NewStore(u, nil)
				t.Cleanup(func() { ok(t, st.Close()) })
				var c counted
				o := &memo.Options[string, int64]{Tag: byArg, TTL: time.Hour, CacheError: func(error) time.Duration { return time.Hour }}
				m, theirs := newMemo(t, st, c.call, o), newMemo(t, openMemory(t, &data), c.call, o)
				u.Next.Store(n) // while the lock is taken
				calls(t, m, "a", 1, &c, 1)
				calls(t, theirs, "a", 1, &c, 1)
				u.Skip.Store(1) // that of Break
				u.Next.Store(n)
				was, err := m.Forget(t.Context(), "a")
				ok(t, err)
				equal(t, was, true)
				peek(t, theirs, "a", false)
				was, err = m.Forget(t.Context(), "a")
				ok(t, err)
				equal(t, was, false)

				// While the result is stored, the transaction of Check.
				c.during = func() { u.Next.Store(n) }
				calls(t, m, "b", 2, &c, 2)
				c.during = nil
				calls(t, theirs, "b", 2, &c, 2)

				// While a removal is noted. The rest may be uncertain too, and is told then.
				u.Next.Store(n)
				_, err = m.Evict(t.Context(), cache.Tag("b"))
				ok(t, err)
				peek(t, theirs, "b", false)
				equal(t, u.Next.Load(), 0)
			})
		}
	}
}

// What stays uncertain is an error, and to call again is harmless.
func TestUncertainAlways(t *testing.T) {
	for _, commits := range []bool{true, false} {
		var data memory.Data
		u := &drivertest.Unsure{Store: data.Open(nil), Commits: commits}
		st := cache.NewStore(u, nil)
		var c counted
		m := newMemo(t, st, c.call, nil)
		calls(t, m, "a", 1, &c, 1)
		u.Next.Store(1000)
		_, err := m.Forget(t.Context(), "a")
		is(t, err, cache.ErrUncertain)
		_, err = m.Clear(t.Context())
		is(t, err, cache.ErrUncertain)
		_, err = m.Call(t.Context(), "b")
		is(t, err, cache.ErrUncertain)
		u.Next.Store(0)
		_, err = m.Forget(t.Context(), "a")
		ok(t, err)
		calls(t, m, "a", c.n.Load()+1, &c, c.n.Load()+1)
		ok(t, st.Close())
	}
}

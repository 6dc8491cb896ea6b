package cache_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

func TestTx(t *testing.T) {
	oops := errors.New("oops")
	for name, fn := range map[string]func(t *testing.T, e *env, c *cache.Cache[string, string]){
		"panic rolls back": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			func() {
				defer func() { equal(t, recover(), any("boom")) }()
				_ = e.st.Update(t.Context(), func(tx *cache.Tx) error {
					set(t, c.In(tx), "k", strings.Repeat("v", 40_000))
					panic("boom")
				})
			}()
			has(t, c, "k", "")
			set(t, c, "k", "w") // the store still works
			if r := must(e.st.Check(t.Context(), nil))(t); !r.OK() {
				t.Fatalf("left over: %+v", r.Problems)
			}
		},
		"nested use joins": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
				set(t, c.In(tx), "a", "1")
				ok(t, e.st.Update(tx.Context(), func(in *cache.Tx) error {
					has(t, c.In(in), "a", "1")
					set(t, c.In(in), "b", "2")
					return nil
				}))
				ok(t, c.In(tx).Update(t.Context(), func(in *cache.Tx) error {
					set(t, c.In(in), "c", "3")
					return nil
				}))
				ok(t, e.st.View(tx.Context(), func(in *cache.Tx) error {
					has(t, c.In(in), "b", "2")
					is(t, c.In(in).Set(t.Context(), "d", "4"), cache.ErrReadOnly)
					is(t, e.st.Update(in.Context(), func(*cache.Tx) error { return nil }), cache.ErrReadOnly)
					return nil
				}))
				return nil
			}))
			has(t, c, "c", "3")
		},
		"a joined failure fails all": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			equal(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
				set(t, c.In(tx), "a", "1")
				equal(t, e.st.Update(tx.Context(), func(*cache.Tx) error { return oops }), oops)
				return nil
			}), oops)
			has(t, c, "a", "")
			err := e.st.Update(t.Context(), func(tx *cache.Tx) error {
				defer func() { equal(t, recover(), any("boom")) }()
				_ = c.In(tx).Update(t.Context(), func(tx *cache.Tx) error {
					set(t, c.In(tx), "a", "1")
					panic("boom")
				})
				return nil
			})
			equal(t, err != nil, true)
			has(t, c, "a", "")
		},
		"refusals do not spoil it": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			n := open[string, int8](t, e.st, "n", nil)
			ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
				_, err := cache.Incr(t.Context(), n.In(tx), "n", 100, cache.Initial(100))
				is(t, err, cache.ErrOverflow)
				is(t, c.In(tx).Set(t.Context(), "k", "v", cache.TTL(-1)), cache.ErrInvalid)
				set(t, c.In(tx), "k", "v")
				return nil
			}))
			has(t, c, "k", "v")
		},
		"unbound use is found": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
				ctx := tx.Context()
				is(t, c.Set(ctx, "k", "v"), cache.ErrInTx)
				_, _, err := c.Get(ctx, "k")
				is(t, err, cache.ErrInTx)
				_, err = cache.Collect(c.Keys(ctx))
				is(t, err, cache.ErrInTx)
				is(t, e.st.Compact(ctx), cache.ErrInTx)
				_, err = cache.New[string, string](ctx, e.st, "new", nil)
				is(t, err, cache.ErrInTx)
				other := open[string, string](t, e.reopen(0, false), "", nil)
				_, _, err = other.Get(ctx, "k") // another store's context
				ok(t, err)
				_, err = c.In(tx).Configure(ctx, func(*cache.Settings) {})
				is(t, err, cache.ErrInvalid)
				is(t, c.In(tx).Close(), cache.ErrInvalid)
				return c.In(tx).Set(ctx, "k", "v")
			}))
			has(t, c, "k", "v")
		},
		"use after the end": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			var kept *cache.Tx
			ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error { kept = tx; return nil }))
			is(t, c.In(kept).Set(t.Context(), "k", "v"), cache.ErrTxDone)
			is(t, c.In(kept).Set(t.Context(), "k", strings.Repeat("v", 40_000)), cache.ErrTxDone)
			_, _, err := c.In(kept).Get(t.Context(), "k")
			is(t, err, cache.ErrTxDone)
			is(t, c.In(kept).Update(t.Context(), func(*cache.Tx) error { return nil }), cache.ErrTxDone)
			_, err = kept.Fence()
			is(t, err, cache.ErrTxDone)
			_, _, err = c.In(nil).Get(t.Context(), "k")
			is(t, err, cache.ErrTxDone)
			is(t, c.In(nil).Set(t.Context(), "k", strings.Repeat("v", 40_000)), cache.ErrTxDone)
			is(t, c.In(nil).Update(t.Context(), func(*cache.Tx) error { return nil }), cache.ErrTxDone)
			ok(t, c.Set(kept.Context(), "k", "v")) // the context carries nothing any more
		},
		"another store's": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			ok(t, e.reopen(0, false).View(t.Context(), func(tx *cache.Tx) error {
				_, _, err := c.In(tx).Get(t.Context(), "k")
				is(t, err, cache.ErrInvalid)
				return nil
			}))
		},
		"View": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			set(t, c, "a", "1")
			ok(t, e.st.View(t.Context(), func(tx *cache.Tx) error {
				set(t, c, "a", "2")
				set(t, c, "b", "2")
				in := c.In(tx)
				has(t, in, "a", "1")
				equal(t, strings.Join(must(cache.Collect(in.Keys(t.Context())))(t), ""), "a")
				is(t, in.Set(t.Context(), "k", "v"), cache.ErrReadOnly)
				_, err := tx.Fence()
				is(t, err, cache.ErrReadOnly)
				equal(t, tx.Store(), e.st)
				return nil
			}))
			equal(t, e.st.View(t.Context(), func(*cache.Tx) error { return oops }), oops)
		},
		"Fence": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			for want := int64(1); want < 4; want++ {
				ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
					equal(t, must(tx.Fence())(t), want)
					return nil
				}))
			}
		},
		"AfterCommit": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			calls := 0
			run := func(result error) {
				_ = e.st.Update(t.Context(), func(tx *cache.Tx) error {
					tx.AfterCommit(func() { calls++; set(t, c, "k", "v") })
					tx.AfterCommit(nil)
					return result
				})
			}
			run(oops)
			equal(t, calls, 0)
			run(nil)
			equal(t, calls, 1)
		},
		"writes while iterating": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			for _, k := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
				set(t, c, k, "1")
			}
			seen := ""
			for ent, err := range c.All(t.Context()) {
				ok(t, err)
				seen += ent.Key
				set(t, c, ent.Key, "2") // keeps its place
				must(c.Delete(t.Context(), "z"))(t)
			}
			equal(t, seen, "abcdefghijklmnopqrstuvwxy")
			ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
				for ent, err := range c.In(tx).Backward(t.Context()) {
					ok(t, err)
					must(c.In(tx).Delete(t.Context(), ent.Key))(t)
				}
				return nil
			}))
			length(t, c, 0)
		},
		"nil function": func(t *testing.T, e *env, c *cache.Cache[string, string]) {
			is(t, e.st.Update(t.Context(), nil), cache.ErrInvalid)
			is(t, e.st.View(t.Context(), nil), cache.ErrInvalid)
			ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
				is(t, c.In(tx).Update(t.Context(), nil), cache.ErrInvalid)
				return nil
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEngines(t, func(t *testing.T, e *env) { fn(t, e, open[string, string](t, e.st, "", nil)) })
		})
	}
}

func TestSessions(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		other, reader := e.reopen(0, false), e.reopen(0, true)
		session, _, err := other.Session(t.Context())
		ok(t, err)
		ended, stop, err := reader.WatchSession(session)
		ok(t, err)
		defer stop()
		equal(t, must(reader.Alive(t.Context(), session))(t), true)
		_, _, err = other.Session(cancelled())
		is(t, err, context.Canceled)
		_, _, err = reader.Session(t.Context())
		is(t, err, cache.ErrReadOnly)
		ok(t, other.Close())
		ok(t, e.st.Close())
		<-ended
		equal(t, must(reader.Alive(t.Context(), session))(t), false)
		_, _, err = other.Session(t.Context())
		is(t, err, cache.ErrClosed)
		ok(t, reader.Close())
		_, _, err = reader.WatchSession(session)
		is(t, err, cache.ErrClosed)
	})
}

func TestWatch(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		c := open[string, string](t, e.st, "", nil)
		changed, stop, err := c.Watch()
		ok(t, err)
		defer stop()
		set(t, open[string, string](t, e.reopen(0, false), "", nil), "k", "v")
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatal("no signal")
		}
		has(t, c, "k", "v")
	})
}

package cache_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

func TestAtClose(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		st := e.reopen(0, false)
		c := open[string, string](t, st, "c", nil)
		var got []string
		for _, name := range []string{"first", "second", "third"} {
			cancel, err := st.AtClose(func() {
				got = append(got, name)
				set(t, c, name, "v") // the store can still be used
			})
			ok(t, err)
			if name == "second" {
				cancel()
			}
		}
		ok(t, st.Close())
		if !slices.Equal(got, []string{"third", "first"}) {
			t.Errorf("called %v", got)
		}
		_, err := st.AtClose(func() { t.Error("called after Close") })
		is(t, err, cache.ErrClosed)
		ok(t, st.Close())
		equal(t, len(got), 2)
		has(t, open[string, string](t, e.st, "c", nil), "third", "v")
		if !e.st.Now().Equal(e.clock.Now()) {
			t.Error("Now is not the clock's")
		}
	})
}

// A user reads the name of what was called, once, whatever it consists of.
func TestErrorsNameTheOperation(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		c := open[string, string](t, e.st, "c", nil)
		ok(t, e.st.Close())
		keep := func(v string, ok bool) (string, bool, error) { return v, true, nil }
		errs := map[string]error{
			"Update": c.Update(ctx, func(*cache.Tx) error { return nil }),
			"View":   c.View(ctx, func(*cache.Tx) error { return nil }),
		}
		_, errs["PushBack"] = c.Queue("q").PushBack(ctx, "v")
		_, errs["Keys"] = cache.Collect(c.Sorted().Keys(ctx))
		_, errs["Configure"] = c.Configure(ctx, func(*cache.Settings) {})
		_, _, errs["Modify"] = c.Modify(ctx, "k", keep)
		for op, err := range errs {
			is(t, err, cache.ErrClosed)
			if got, direct := err.(*cache.Error); !direct || got.Op != op || got.Collection != "cache/c" || strings.Count(err.Error(), "cache: ") != 1 {
				t.Errorf("%s: %v", op, err)
			}
		}
	})
	_, err := cache.Open[string, string](t.Context(), "", nil)
	if got, direct := err.(*cache.Error); !direct || got.Op != "Open" {
		t.Errorf("Open: %v", err)
	}
}

func TestWrapError(t *testing.T) {
	cause := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	ok(t, cache.WrapError(ctx, "Add", "sync/x", nil))
	inner := cache.WrapError(t.Context(), "Set", "cache/c", cause)
	for _, err := range []error{cause, inner, cache.WrapError(ctx, "Get", "", cause)} {
		err = cache.WrapError(ctx, "Add", "sync/x", err)
		is(t, err, cause)
		is(t, err, context.Canceled)
		equal(t, err.Error(), `cache: Add in "sync/x": context canceled: why`)
	}
	equal(t, inner.Error(), `cache: Set in "cache/c": why`)
}

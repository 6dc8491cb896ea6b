package index_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/index"
)

// A user reads the name of what was called, once, whatever it consists of.
func TestErrorsNameTheOperation(t *testing.T) {
	onEngines(t, func(t *testing.T, st *cache.Store) {
		ctx := t.Context()
		x := open[string, string](t, st, "n")
		ok(t, st.Close())
		m := map[string]string{"k": "v"}
		errs := map[string]error{
			"Set":     x.Set(ctx, "k", "v"),
			"SetMany": x.SetMany(ctx, maps.All(m)),
			"Update":  x.Update(ctx, func(*cache.Tx) error { return nil }),
			"View":    x.View(ctx, func(*cache.Tx) error { return nil }),
		}
		_, _, errs["GetOrSet"] = x.GetOrSet(ctx, "k", "v")
		_, _, errs["Modify"] = x.Modify(ctx, "k", func(v string, _ bool) (string, bool, error) { return v, true, nil })
		_, _, errs["PopFirst"] = x.PopFirst(ctx)
		_, _, errs["Floor"] = x.Floor(ctx, "k")
		_, _, errs["Ceiling"] = x.Ceiling(ctx, "k")
		_, errs["Equal"] = x.Equal(ctx, x)
		_, errs["EqualMap"] = index.EqualMap(ctx, x, m)
		_, errs["All"] = cache.Collect(x.All(ctx))
		_, errs["New"] = index.New[string, string](ctx, st, "n", nil)
		for op, err := range errs {
			is(t, err, cache.ErrClosed)
			if got, direct := err.(*cache.Error); !direct || got.Op != op || got.Collection != "index/n" || strings.Count(err.Error(), "cache: ") != 1 {
				t.Errorf("%s: %v", op, err)
			}
		}
	})
	_, err := index.Open[string, string](t.Context(), "", nil)
	if got, direct := err.(*cache.Error); !direct || got.Op != "Open" {
		t.Errorf("Open: %v", err)
	}
}

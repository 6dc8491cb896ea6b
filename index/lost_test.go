package index_test

import (
	"os"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

// TestLostEntry has the values at the ends of an index lost.
func TestLostEntry(t *testing.T) {
	st := must(cache.OpenStore(t.Context(), t.TempDir(), nil))(t)
	defer closing(t, st)
	ctx := t.Context()
	x := open[string, string](t, st, "x")
	for _, k := range []string{"a", "b", "c", "d"} {
		ok(t, x.Set(ctx, k, strings.Repeat(k, 40_000)))
	}
	for _, k := range []string{"a", "d"} {
		f, _, err := x.Cache().OpenValue(ctx, k)
		ok(t, err)
		ok(t, f.Close())
		ok(t, os.Remove(f.Name()))
	}
	_, _, err := x.PopFirst(ctx)
	is(t, err, cache.ErrCorrupt)
	_, _, err = x.PopLast(ctx)
	is(t, err, cache.ErrCorrupt)
	e, _, err := x.PopFirst(ctx)
	ok(t, err)
	if e.Key != "b" {
		t.Errorf("first is %q", e.Key)
	}
	e, _, err = x.PopLast(ctx)
	ok(t, err)
	if e.Key != "c" {
		t.Errorf("last is %q", e.Key)
	}
}

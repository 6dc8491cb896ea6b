package cache_test

import (
	"os"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

var inFile = strings.Repeat("x", 40_000)

// lose removes the file of an entry's value, or all but a part of it.
func lose[K any](t *testing.T, c *cache.Cache[K, string], k K, all bool) {
	t.Helper()
	f, found, err := c.OpenValue(t.Context(), k)
	ok(t, err)
	if !found || f.Name() == "" {
		t.Fatal("the value is in no file")
	}
	ok(t, f.Close())
	if all {
		ok(t, os.Remove(f.Name()))
	} else {
		ok(t, os.Truncate(f.Name(), 1000))
	}
}

// TestLostItem has the values of items in a queue lost. Whoever comes upon one
// is told, once, and it is not in the way of the others.
func TestLostItem(t *testing.T) {
	for _, all := range []bool{true, false} {
		st := must(cache.OpenStore(t.Context(), t.TempDir(), nil))(t)
		defer func() { ok(t, st.Close()) }()
		ctx := t.Context()
		c := must(cache.New(ctx, st, "c", &cache.Options[string, string]{Persistent: true}))(t)
		q := c.Queue("q")
		var keys []string
		for _, v := range []string{"a", "lost", "b", "lost", "c", "lost"} {
			keys = append(keys, must(q.PushBack(ctx, v+inFile))(t))
		}
		for _, i := range []int{1, 3, 5} {
			lose(t, c, keys[i], all)
		}
		pull := func(back bool, want string) {
			t.Helper()
			fn := q.PopFront
			if back {
				fn = q.PopBack
			}
			e, found, err := fn(ctx)
			switch {
			case want == "lost" && !found:
				is(t, err, cache.ErrCorrupt)
			case err != nil || found != (want != "") || found && e.Value != want+inFile:
				t.Fatalf("pulled %.5q, %v, %v, want %q", e.Value, found, err, want)
			}
		}
		e, found, err := c.Last(ctx)
		is(t, err, cache.ErrCorrupt)
		if !found || e.Key != keys[5] || e.Value != "" {
			t.Errorf("last is %.20q, %v", e.Key, found)
		}
		pull(true, "lost")
		pull(false, "a")
		e, found, err = q.PeekFront(ctx)
		is(t, err, cache.ErrCorrupt)
		if !found || e.Key != keys[1] {
			t.Errorf("first is %.20q, %v", e.Key, found)
		}
		// In a transaction the function decides.
		ok(t, st.Update(ctx, func(tx *cache.Tx) error {
			_, _, err := q.In(tx).PopFront(ctx)
			is(t, err, cache.ErrCorrupt)
			return nil
		}))
		pull(false, "b")
		err = st.Update(ctx, func(tx *cache.Tx) error {
			_, _, err := q.In(tx).PopFront(ctx)
			return err
		})
		is(t, err, cache.ErrCorrupt)
		pull(false, "lost")
		pull(true, "c")
		pull(false, "")
		if n := must(c.Len(ctx))(t); n != 0 {
			t.Errorf("%d entries are left", n)
		}
		if r := must(st.Check(ctx, nil))(t); !r.OK() {
			t.Errorf("%+v", r.Problems)
		}
	}
}

package cache_test

import (
	"slices"
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

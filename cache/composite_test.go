package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// Ranges of composite keys go by their first parts.
func TestCompositeKeys(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		keys := codec.Tuple3(codec.String[string](), codec.Desc(codec.Int[int]()), codec.Bool[bool]())
		type key = codec.Triple[string, int, bool]
		c := open[key, string](t, e.st, "composite", &cache.Options[key, string]{Keys: keys})
		for _, a := range []string{"", "a", "a\x00", "b", "bb", "c"} {
			for n := range 2 {
				for _, last := range []bool{false, true} {
					k := keys.Of(a, n, last)
					ok(t, c.Set(t.Context(), k, fmt.Sprintf("%q %d %v", a, n, last)))
				}
			}
		}
		r := c.Sorted()
		all := func(firsts ...string) (want []string) {
			for _, a := range firsts {
				for _, rest := range []string{"1 false", "1 true", "0 false", "0 true"} {
					want = append(want, fmt.Sprintf("%q %s", a, rest))
				}
			}
			return want
		}
		for i, tt := range []struct {
			r    cache.Range[key, string]
			want []string
		}{
			{r, all("", "a", "a\x00", "b", "bb", "c")},
			{r.Prefix(keys.First("a")), all("a")},
			{r.Prefix(keys.First("")), all("")},
			{r.Prefix(keys.First("nobody")), nil},
			{r.Prefix(keys.FirstTwo("b", 1)), []string{`"b" 1 false`, `"b" 1 true`}},
			{r.Prefix(keys.FirstTwo("b", 1)).Desc().Limit(1), []string{`"b" 1 true`}},
			{r.From(keys.First("b")), all("b", "bb", "c")},
			{r.After(keys.First("b")), all("bb", "c")},
			{r.To(keys.First("a\x00")), all("", "a", "a\x00")},
			{r.Before(keys.First("a\x00")), all("", "a")},
			{r.After(keys.First("a")).Before(keys.First("bb")), all("a\x00", "b")},
			{r.After(keys.FirstTwo("a", 1)).To(keys.First("a")), []string{`"a" 0 false`, `"a" 0 true`}},
			{r.From(keys.Of("a", 1, true)).Before(keys.Of("a", 0, true)), []string{`"a" 1 true`, `"a" 0 false`}},
		} {
			var got []string
			for e, err := range tt.r.All(t.Context()) {
				ok(t, err)
				got = append(got, e.Value)
			}
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("%d: got %q, want %q", i, got, tt.want)
			}
		}
		is(t, c.Set(t.Context(), keys.First("a"), "v"), codec.ErrEncode)
		_, _, err := c.Get(t.Context(), keys.FirstTwo("a", 1))
		is(t, err, codec.ErrEncode)
		_, err = cache.Collect(r.Prefix(keys.Of("a", 1, true)).Keys(t.Context()))
		is(t, err, cache.ErrInvalid)
	})
}

// A pair is stored by its default codec as its parts are, and not as JSON.
func TestCompositeDefault(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		type key = codec.Pair[string, time.Time]
		c := open[key, int](t, e.st, "visits", nil)
		at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
		for i, k := range []key{{First: "bob", Second: at}, {First: "ann", Second: at.Add(1)}, {First: "ann", Second: at}} {
			ok(t, c.Set(t.Context(), k, i))
		}
		visits := codec.Tuple2(codec.String[string](), codec.Time())
		_ = open[key, int](t, e.st, "visits", &cache.Options[key, int]{Keys: visits})
		keys, err := cache.Collect(c.Sorted().Prefix(visits.First("ann")).Keys(t.Context()))
		ok(t, err)
		equal(t, fmt.Sprint(keys), fmt.Sprint([]key{visits.Of("ann", at), visits.Of("ann", at.Add(1))}))
	})
}

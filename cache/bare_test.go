package cache_test

import (
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// bare is an engine with nothing but what every engine has.
type bare struct{ driver.Store }

func TestBareEngine(t *testing.T) {
	ctx := t.Context()
	st := cache.NewStore(bare{memory.New(nil)}, &cache.StoreOptions{MaxValueSize: 1 << 20})
	defer st.Close()
	c := open[string, string](t, st, "", nil)

	// Large values are in their rows.
	large := strings.Repeat("large", 100_000)
	set(t, c, "set", large)
	ok(t, c.SetMany(ctx, maps.All(map[string]string{"many": large})))
	ok(t, c.SetFrom(ctx, "from", strings.NewReader(large)))
	is(t, c.SetFrom(ctx, "from", strings.NewReader(strings.Repeat("x", 1<<20+1))), cache.ErrTooLarge)
	for _, key := range []string{"set", "many", "from"} {
		has(t, c, key, large)
		f, found, err := c.OpenValue(ctx, key)
		ok(t, err)
		equal(t, found, true)
		b := must(io.ReadAll(f))(t)
		equal(t, string(b) == large, true)
		equal(t, f.Name(), "")
		ok(t, f.Close())
	}
	_, _, err := c.Modify(ctx, "set", func(v string, _ bool) (string, bool, error) { return v + "!", true, nil })
	ok(t, err)
	has(t, c, "set", large+"!")

	equal(t, st.Dir(), "")
	is(t, st.Backup(ctx, t.TempDir()), errors.ErrUnsupported)
	_, err = st.Volume(ctx)
	is(t, err, errors.ErrUnsupported)
	_, err = c.Volume(ctx)
	is(t, err, errors.ErrUnsupported)
	ok(t, st.Compact(ctx)) // it does that by itself
	report := must(st.Check(ctx, nil))(t)
	equal(t, report.OK(), true)
	equal(t, report.Rows, 3) // the values can be decoded
}

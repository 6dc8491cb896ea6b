package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

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
	ok(t, st.Compact(ctx)) // it does that by itself
	report := must(st.Check(ctx, nil))(t)
	equal(t, report.OK(), true)
	equal(t, report.Rows, 3) // the values can be decoded
}

// told is an engine that keeps its own time, remembers how collections are opened,
// and does not know what became of a transaction.
type told struct {
	driver.Store
	now   time.Time
	specs map[string]driver.Spec
}

func (e *told) Now() time.Time { return e.now }

func (e *told) Open(ctx context.Context, name string, s driver.Spec) (driver.Collection, error) {
	e.specs[name] = s
	return e.Store.Open(ctx, name, s)
}

func (e *told) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, touches ...driver.Collection) error {
	if err := e.Store.Update(ctx, mode, fn, touches...); err != nil {
		return err
	}
	return fmt.Errorf("connection reset: %w", driver.ErrUncertain)
}

func TestWhatEnginesAreToldAndTell(t *testing.T) {
	e := &told{Store: memory.New(nil), now: time.Unix(1_900_000_000, 0), specs: map[string]driver.Spec{}}
	st := cache.NewStore(e, nil)
	defer st.Close()
	if got := st.Now(); !got.Equal(e.now) {
		t.Errorf("it is %v by the store, and %v by its engine", got, e.now)
	}
	entries := open[string, string](t, st, "entries", nil)
	open[string, string](t, st, "kept", &cache.Options[string, string]{Persistent: true})
	equal(t, e.specs["cache/entries"].Durable, false)
	equal(t, e.specs["cache/kept"].Durable, true)

	err := entries.Set(t.Context(), "k", "v", cache.TTL(time.Minute))
	is(t, err, cache.ErrUncertain)
	if !strings.Contains(err.Error(), "look whether it was") {
		t.Errorf("%v does not say what to do", err)
	}
	has(t, entries, "k", "v")
	e.now = e.now.Add(time.Minute)
	_, found, err := entries.Get(t.Context(), "k")
	ok(t, err)
	equal(t, found, false)
}

package cache_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

func TestMetrics(t *testing.T) {
	ctx := t.Context()
	st, err := cache.OpenStore(ctx, t.TempDir(), &cache.StoreOptions{SQLite: &sqlite.Options{MaxWALSize: 1 << 20}})
	ok(t, err)
	c := open[int, []byte](t, st, "pages", &cache.Options[int, []byte]{Statistics: true, SizeLimit: 40_000})
	const n = 100
	var writers sync.WaitGroup
	for i := range n {
		writers.Go(func() {
			if err := c.Set(ctx, i, make([]byte, 1000)); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	for range 3 {
		_, _, err := c.Get(ctx, -1)
		ok(t, err)
	}
	m := st.Metrics()
	if m.Commits.Sum < n || m.Commits.Count() > int64(m.Commits.Sum) {
		t.Errorf("%d commits of %v writes", m.Commits.Count(), m.Commits.Sum)
	}
	// A commit waits once. What opens a store commits, too.
	if waits := m.LockWaits; waits.Count() < m.Commits.Count() || waits.Sum <= 0 || waits.Sum > time.Minute.Seconds() {
		t.Errorf("%d waits of %v s, %d commits", waits.Count(), waits.Sum, m.Commits.Count())
	}
	if m.Evicted == 0 || m.Expired != 0 {
		t.Errorf("%d evicted, %d expired", m.Evicted, m.Expired)
	}
	equal(t, m.Collections["cache/pages"], driver.Stats{Misses: 3})
	if near := m.Near; runtime.GOOS != "windows" && (near.Bytes == 0 || near.Hits+near.Misses < 3) {
		t.Errorf("near cache %+v", near)
	}
	if m.Log.Bytes == 0 {
		t.Error("there is no log")
	}
	for range 500 { // much more than the log may have
		ok(t, c.Set(ctx, n, make([]byte, 30_000)))
	}
	if m = st.Metrics(); m.Log.Checkpoints == 0 || m.Log.CheckpointTime <= 0 {
		t.Errorf("%d checkpoints took %v s", m.Log.Checkpoints, m.Log.CheckpointTime)
	}
	ok(t, st.Close())
	equal(t, st.Metrics().Commits.Count(), 0)
}

func TestObserve(t *testing.T) {
	ctx := t.Context()
	type key struct{}
	var seen []cache.Observation
	st, err := cache.OpenStore(ctx, t.TempDir(), &cache.StoreOptions{Observe: func(ctx context.Context, o cache.Observation) {
		if ctx.Value(key{}) != nil {
			seen = append(seen, o)
		}
	}})
	ok(t, err)
	defer st.Close()
	c := open[string, string](t, st, "pages", nil)
	ctx = context.WithValue(ctx, key{}, true)
	failure := errors.New("failure")
	steps := []struct {
		want cache.Observation // without its times
		do   func() error
	}{
		{cache.Observation{Kind: cache.UpdateOperation, Collection: "cache/pages"}, func() error { return c.Set(ctx, "k", "v") }},
		{cache.Observation{Kind: cache.GetOperation, Collection: "cache/pages", Found: true}, func() error { _, _, err := c.Get(ctx, "k"); return err }},
		{cache.Observation{Kind: cache.GetOperation, Collection: "cache/pages"}, func() error { _, err := c.Contains(ctx, "absent"); return err }},
		{cache.Observation{Kind: cache.ViewOperation, Collection: "cache/pages"}, func() error { _, err := c.Len(ctx); return err }},
		{cache.Observation{Kind: cache.ViewOperation}, func() error { return st.View(ctx, func(*cache.Tx) error { return nil }) }},
		{cache.Observation{Kind: cache.UpdateOperation, Err: failure}, func() error {
			err := st.Update(ctx, func(tx *cache.Tx) error {
				return errors.Join(c.In(tx).Set(ctx, "k", "w"), failure) // the Set is a part of it
			})
			if !errors.Is(err, failure) {
				return err
			}
			return nil
		}},
		{cache.Observation{Kind: cache.GetOperation, Collection: "cache/pages", Err: context.Canceled}, func() error {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, _, err := c.Get(ended, "k")
			if !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}},
	}
	for i, s := range steps {
		seen = nil
		began := time.Now()
		ok(t, s.do())
		if len(seen) != 1 {
			t.Fatalf("step %d: %+v", i, seen)
		}
		got := seen[0]
		if got.Began.Before(began) || got.Took < 0 || got.Took > time.Since(began) {
			t.Errorf("step %d: began %v, took %v", i, got.Began, got.Took)
		}
		if !errors.Is(got.Err, s.want.Err) {
			t.Errorf("step %d: error %v", i, got.Err)
		}
		got.Began, got.Took, got.Err, s.want.Err = time.Time{}, 0, nil, nil
		equal(t, got, s.want)
	}

	seen = nil
	func() {
		defer func() { _ = recover() }()
		_ = st.Update(ctx, func(*cache.Tx) error { panic("user") })
	}()
	if len(seen) != 1 || seen[0].Err == nil {
		t.Errorf("a panic is observed as %+v", seen)
	}
}

// Where nobody observes, a Get that is answered from memory allocates nothing, and
// neither does the observation of one.
func TestObserveAllocates(t *testing.T) {
	ctx := t.Context()
	for name, observe := range map[string]func(context.Context, cache.Observation){"nobody": nil, "somebody": func(context.Context, cache.Observation) {}} {
		st, err := cache.OpenStore(ctx, t.TempDir(), &cache.StoreOptions{Observe: observe})
		ok(t, err)
		c := open[int, int](t, st, "numbers", nil)
		ok(t, c.Set(ctx, 1, 1))
		if n := testing.AllocsPerRun(100, func() {
			if _, found, err := c.Get(ctx, 1); err != nil || !found {
				t.Error(found, err)
			}
		}); n != 0 && !raceEnabled {
			t.Errorf("%s: %v allocations", name, n)
		}
		ok(t, st.Close())
	}
}

package adapter_test

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/adapter"
)

// open returns a collection in a directory, and its clock.
func open[V any](t *testing.T, dir string) (*cache.Cache[string, V], *time.Time) {
	t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := cache.Open(t.Context(), dir, &cache.Options[string, V]{
		Persistent: true,
		Store:      &cache.StoreOptions{Now: func() time.Time { return now }},
	})
	ok(t, err)
	t.Cleanup(func() { ok(t, c.Close()) })
	return c, &now
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errMiss = errors.New("miss")

func TestSCS(t *testing.T) {
	c, now := open[[]byte](t, t.TempDir())
	s := adapter.NewSCS(c)
	find := func(token string, want string, found bool) {
		t.Helper()
		b, got, err := s.Find(token)
		ok(t, err)
		if string(b) != want || got != found {
			t.Errorf("%q, %v", b, got)
		}
	}
	all := func(want ...string) {
		t.Helper()
		m, err := s.All()
		ok(t, err)
		if got := slices.Sorted(maps.Keys(m)); m == nil || !slices.Equal(got, want) {
			t.Errorf("all: %q", m)
		}
	}
	all()
	find("absent", "", false)
	ok(t, s.Delete("absent"))
	ok(t, s.Commit("a", []byte("1"), now.Add(time.Minute)))
	ok(t, s.Commit("b", []byte("2"), now.Add(time.Hour)))
	ok(t, s.Commit("b", []byte("3"), now.Add(2*time.Minute)))
	find("a", "1", true)
	find("b", "3", true)
	all("a", "b")
	*now = now.Add(time.Minute - time.Microsecond)
	find("a", "1", true)
	*now = now.Add(time.Microsecond)
	find("a", "", false)
	all("b")
	ok(t, s.Delete("b"))
	find("b", "", false)
}

func TestAutocert(t *testing.T) {
	c, _ := open[[]byte](t, t.TempDir())
	a := adapter.NewAutocert(c, errMiss)
	ctx := t.Context()
	if _, err := a.Get(ctx, "k"); err != errMiss {
		t.Errorf("error %v", err)
	}
	ok(t, a.Put(ctx, "k", []byte("v")))
	b, err := a.Get(ctx, "k")
	ok(t, err)
	if string(b) != "v" {
		t.Errorf("%q", b)
	}
	ok(t, a.Delete(ctx, "k"))
	ok(t, a.Delete(ctx, "k"))
	ok(t, c.Close())
	if _, err := a.Get(ctx, "k"); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestHTTPCache(t *testing.T) {
	c, _ := open[[]byte](t, t.TempDir())
	var failed []error
	h := adapter.NewHTTPCache(c, func(err error) { failed = append(failed, err) })
	if _, found := h.Get("k"); found {
		t.Error("found")
	}
	h.Set("k", []byte("v"))
	if b, found := h.Get("k"); !found || string(b) != "v" {
		t.Errorf("%q, %v", b, found)
	}
	h.Delete("k")
	h.Delete("k")
	if _, found := h.Get("k"); found || len(failed) > 0 {
		t.Error(found, failed)
	}
	ok(t, c.Close())
	h.Set("k", nil)
	h.Get("k")
	h.Delete("k")
	if len(failed) != 3 || !errors.Is(failed[0], cache.ErrClosed) {
		t.Errorf("told of %v", failed)
	}
	adapter.NewHTTPCache(c, nil).Set("k", nil) // nobody wants to know
}

func TestConn(t *testing.T) {
	c, _ := open[[]byte](t, t.TempDir())
	h := adapter.NewConn(c, errMiss)
	if _, err := h.Get("k"); err != errMiss {
		t.Errorf("error %v", err)
	}
	ok(t, h.Set("k", []byte("v")))
	b, err := h.Get("k")
	ok(t, err)
	if string(b) != "v" {
		t.Errorf("%q", b)
	}
	ok(t, h.Delete("k"))
	if err := h.Delete("k"); err != errMiss {
		t.Errorf("error %v", err)
	}
}

func TestFiber(t *testing.T) {
	c, now := open[[]byte](t, t.TempDir())
	f := adapter.NewFiber(c)
	get := func(key, want string) {
		t.Helper()
		b, err := f.Get(key)
		ok(t, err)
		if string(b) != want || want == "" && b != nil {
			t.Errorf("%q is %q", key, b)
		}
	}
	get("k", "")
	get("", "")
	ok(t, f.Set("", []byte("v"), 0))
	ok(t, f.Set("k", nil, 0))
	if n, err := c.Len(t.Context()); n != 0 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	ok(t, f.Set("ever", []byte("v"), 0))
	ok(t, f.Set("k", []byte("v"), time.Minute))
	get("k", "v")
	*now = now.Add(time.Minute)
	get("k", "")
	*now = now.Add(1000 * 24 * time.Hour)
	get("ever", "v")
	ok(t, f.Delete("absent"))
	ok(t, f.Set("other", []byte("v"), 0))
	ok(t, f.Delete("other"))
	get("other", "")
	ok(t, f.Reset())
	get("ever", "")
	ok(t, f.Close())
	if _, err := f.Get("k"); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestHTTPRate(t *testing.T) {
	dir := t.TempDir()
	first, now := open[int64](t, dir)
	second, _ := open[int64](t, dir) // of another program, say
	counters := []*adapter.HTTPRate{adapter.NewHTTPRate(first), adapter.NewHTTPRate(second)}
	window := time.Minute
	current := now.Truncate(window)
	var all sync.WaitGroup
	for _, h := range counters {
		h.Config(100, window)
		for range 20 {
			all.Go(func() {
				if err := errors.Join(h.Increment("k", current), h.IncrementBy("k", current, 2), h.Increment("other", current)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	get := func(at time.Time, wantNow, wantBefore int) {
		t.Helper()
		n, before, err := counters[0].Get("k", at, at.Add(-window))
		ok(t, err)
		if n != wantNow || before != wantBefore {
			t.Errorf("%d and %d before", n, before)
		}
	}
	get(current, 120, 0)
	*now = current.Add(2*window - time.Microsecond)
	get(current.Add(window), 0, 120)
	*now = current.Add(2 * window) // nobody needs them any more
	get(current.Add(window), 0, 0)
	n, err := first.Expire(t.Context())
	ok(t, err)
	if n != 2 {
		t.Errorf("%d counts were removed", n)
	}
}

package index_test

import (
	"context"
	"errors"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/index"
)

// onEngines runs fn with a new store of each engine.
func onEngines(t *testing.T, fn func(t *testing.T, st *cache.Store)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		var data memory.Data
		st := cache.NewStore(data.Open(&memory.Options{RunTwice: true, Declared: true}), nil)
		defer closing(t, st)
		fn(t, st)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		st := must(cache.OpenStore(t.Context(), t.TempDir(), nil))(t)
		defer closing(t, st)
		fn(t, st)
	})
}

func closing(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	ok(t, c.Close())
}

func open[K, V any](t *testing.T, st *cache.Store, name string) *index.Index[K, V] {
	t.Helper()
	return must(index.New[K, V](t.Context(), st, name, nil))(t)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

func is(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %v", err, target)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// has checks what Get returns for a key; want "" stands for a miss.
func has(t *testing.T, x *index.Index[string, string], k, want string) {
	t.Helper()
	v, found, err := x.Get(t.Context(), k)
	ok(t, err)
	if v != want || found != (want != "") {
		t.Fatalf("Get = %q, %v, want %q", v, found, want)
	}
}

// spell returns the keys and values of entries, as one string.
func spell(t *testing.T, es []cache.Entry[string, string], err error) string {
	t.Helper()
	ok(t, err)
	s := ""
	for _, e := range es {
		s += e.Key + e.Value
	}
	return s
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

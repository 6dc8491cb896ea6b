package deque_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/deque"
)

// clock is the time of a test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// env is a store to test with.
type env struct {
	st    *cache.Store
	clock *clock

	// reopen opens the store's data once more.
	reopen func(readOnly bool) *cache.Store
}

// onEngines runs fn with a new store of each engine.
func onEngines(t *testing.T, fn func(t *testing.T, e *env)) {
	run := func(name string, open func(t *testing.T, o *cache.StoreOptions) *cache.Store) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &env{clock: &clock{t: time.Unix(1_700_000_000, 0)}}
			e.reopen = func(readOnly bool) *cache.Store {
				st := open(t, &cache.StoreOptions{Now: e.clock.Now, ReadOnly: readOnly})
				t.Cleanup(func() { ok(t, st.Close()) })
				return st
			}
			e.st = e.reopen(false)
			fn(t, e)
		})
	}
	var mu sync.Mutex
	data := map[*testing.T]*memory.Data{}
	run("memory", func(t *testing.T, o *cache.StoreOptions) *cache.Store {
		mu.Lock()
		defer mu.Unlock()
		if data[t] == nil {
			data[t] = &memory.Data{}
		}
		return cache.NewStore(data[t].Open(&memory.Options{ReadOnly: o.ReadOnly, RunTwice: true, Declared: true}), o)
	})
	dirs := map[*testing.T]string{}
	run("sqlite", func(t *testing.T, o *cache.StoreOptions) *cache.Store {
		mu.Lock()
		defer mu.Unlock()
		if dirs[t] == "" {
			dirs[t] = t.TempDir()
		}
		return must(cache.OpenStore(t.Context(), dirs[t], o))(t)
	})
}

// open opens a deque with items.
func open[T any](t *testing.T, st *cache.Store, name string, items ...T) *deque.Deque[T] {
	t.Helper()
	d := must(deque.New[T](t.Context(), st, name, nil))(t)
	push(t, d, items...)
	return d
}

func push[T any](t *testing.T, d *deque.Deque[T], items ...T) {
	t.Helper()
	ok(t, d.PushBackMany(t.Context(), slices.Values(items)))
}

// holds checks all items, from both ends.
func holds[T comparable](t *testing.T, d *deque.Deque[T], want ...T) {
	t.Helper()
	got := must(cache.Collect(d.All(t.Context())))(t)
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	got = must(cache.Collect(d.Backward(t.Context())))(t)
	slices.Reverse(got)
	if !slices.Equal(got, want) {
		t.Fatalf("from the back: got %v, want %v", got, want)
	}
	equal(t, must(d.Len(t.Context()))(t), int64(len(want)))
}

// pops checks what PopFront returns for a deque that is not empty.
func pops[T comparable](t *testing.T, d *deque.Deque[T], want T) {
	t.Helper()
	v, found, err := d.PopFront(t.Context())
	ok(t, err)
	if !found || v != want {
		t.Fatalf("PopFront = %v, %v, want %v", v, found, want)
	}
}

func empty[T any](t *testing.T, d *deque.Deque[T]) {
	t.Helper()
	v, found, err := d.PopFront(t.Context())
	ok(t, err)
	if found {
		t.Fatalf("PopFront = %v, want nothing", v)
	}
}

// claim claims an item, which must be there.
func claim[T any](t *testing.T, d *deque.Deque[T], lease time.Duration) *deque.Claim[T] {
	t.Helper()
	c, found, err := d.Claim(t.Context(), lease)
	ok(t, err)
	if !found {
		t.Fatal("nothing to claim")
	}
	return c
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// must returns v, or fails the test.
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

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

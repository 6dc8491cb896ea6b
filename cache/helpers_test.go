package cache_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// clock is the time of a test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Unix(1_700_000_000, 0)} }

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

	// reopen opens the store's data once more, with a time limit on waits and
	// perhaps for reading only.
	reopen func(timeout time.Duration, readOnly bool) *cache.Store

	// engine opens the engine below.
	engine func() (driver.Store, error)
}

type engine struct {
	name string
	open func(t *testing.T) func(timeout time.Duration, readOnly bool) (driver.Store, error)
}

// engines returns those that every test runs with.
func engines(t *testing.T) []engine {
	mem := func(twice bool) func(*testing.T) func(time.Duration, bool) (driver.Store, error) {
		return func(*testing.T) func(time.Duration, bool) (driver.Store, error) {
			var data memory.Data
			return func(timeout time.Duration, readOnly bool) (driver.Store, error) {
				return data.Open(&memory.Options{Timeout: timeout, ReadOnly: readOnly, RunTwice: twice, Declared: twice}), nil
			}
		}
	}
	return append([]engine{{"memory", mem(false)}, {"memory-twice", mem(true)}}, diskEngines...)
}

// onEngines runs fn with a new store of each engine.
func onEngines(t *testing.T, fn func(t *testing.T, e *env)) {
	oneByOne(t, func(t *testing.T, e *env) {
		t.Parallel()
		fn(t, e)
	})
}

// oneByOne is onEngines for what cannot run in parallel.
func oneByOne(t *testing.T, fn func(t *testing.T, e *env)) {
	for _, eng := range engines(t) {
		t.Run(eng.name, func(t *testing.T) {
			e := &env{clock: newClock()}
			open := eng.open(t)
			e.reopen = func(timeout time.Duration, readOnly bool) *cache.Store {
				d, err := open(timeout, readOnly)
				if err != nil {
					t.Fatal(err)
				}
				st := cache.NewStore(d, &cache.StoreOptions{Now: e.clock.Now})
				t.Cleanup(func() {
					if err := st.Close(); err != nil {
						t.Error(err)
					}
				})
				return st
			}
			e.engine = func() (driver.Store, error) { return open(0, false) }
			e.st = e.reopen(0, false)
			fn(t, e)
		})
	}
}

// open opens a collection, or fails the test.
func open[K, V any](t *testing.T, st *cache.Store, name string, o *cache.Options[K, V]) *cache.Cache[K, V] {
	t.Helper()
	c, err := cache.New(t.Context(), st, name, o)
	if err != nil {
		t.Fatal(err)
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

// has checks what Get returns for a key; want "" stands for a miss.
func has(t *testing.T, c *cache.Cache[string, string], k, want string) {
	t.Helper()
	v, found, err := c.Get(t.Context(), k)
	ok(t, err)
	if v != want || found != (want != "") {
		t.Fatalf("Get = %q, %v, want %q", v, found, want)
	}
}

func set(t *testing.T, c *cache.Cache[string, string], k, v string, opts ...cache.Option) {
	t.Helper()
	ok(t, c.Set(t.Context(), k, v, opts...))
}

func length[K, V any](t *testing.T, c *cache.Cache[K, V], want int64) {
	t.Helper()
	n, err := c.Len(t.Context())
	ok(t, err)
	equal(t, n, want)
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// logged is a log to be looked at.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

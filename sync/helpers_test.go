package sync_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	dsync "github.com/go-diskcache/diskcache/sync"
)

func openDir(t testing.TB, dir string) *cache.Store {
	t.Helper()
	st, err := cache.OpenStore(t.Context(), dir, nil)
	ok(t, err)
	t.Cleanup(func() { ok(t, st.Close()) })
	return st
}

// openMemory opens a store that runs steps twice, and that refuses what they have not
// declared.
func openMemory(t testing.TB, data *memory.Data) *cache.Store {
	t.Helper()
	st := cache.NewStore(data.Open(&memory.Options{RunTwice: true, Declared: true}), nil)
	t.Cleanup(func() { ok(t, st.Close()) })
	return st
}

// onStores runs fn with an empty store of each engine.
func onStores(t *testing.T, fn func(t *testing.T, st *cache.Store)) {
	t.Run("memory", func(t *testing.T) { fn(t, openMemory(t, &memory.Data{})) })
	t.Run("sqlite", func(t *testing.T) { fn(t, openDir(t, t.TempDir())) })
}

func session(t testing.TB, st *cache.Store) string {
	t.Helper()
	name, _, err := st.Session(t.Context())
	ok(t, err)
	return name
}

func newLock(t testing.TB, st *cache.Store, name string, o *dsync.LockOptions) *dsync.Lock {
	t.Helper()
	l, err := dsync.NewLock(t.Context(), st, name, o)
	ok(t, err)
	return l
}

func lock(t testing.TB, l *dsync.Lock) *dsync.Guard {
	t.Helper()
	g, err := l.Lock(t.Context())
	ok(t, err)
	return g
}

// tryLock checks what TryLock reports, and returns the guard.
func tryLock(t testing.TB, l *dsync.Lock, want bool) *dsync.Guard {
	t.Helper()
	g, got, err := l.TryLock(t.Context())
	ok(t, err)
	if got != want || (g != nil) != want {
		t.Fatalf("TryLock reports %v, want %v", got, want)
	}
	return g
}

func is(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %v", err, target)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// leases returns the rows of the locks and semaphores of st, as text.
func leases(t testing.TB, st *cache.Store) *cache.Cache[string, string] {
	t.Helper()
	rows, err := cache.New(t.Context(), st, "leases", &cache.Options[string, string]{Family: "sync", Persistent: true, Values: leaseText{}})
	ok(t, err)
	return rows
}

// queued waits until n claims wait in the rows of st.
func queued(t testing.TB, st *cache.Store, n int) {
	t.Helper()
	rows := leases(t, st)
	changed, stop, err := rows.Watch()
	ok(t, err)
	defer stop()
	for {
		got := 0
		for e, err := range rows.All(t.Context()) {
			ok(t, err)
			got += strings.Count(e.Value, "\n-")
		}
		if got == n {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("%d claims wait, want %d", got, n)
		}
	}
}

// within fails the test if ch is not closed soon. What is waited for comes at
// once or never; the time is for slow machines.
func within(t testing.TB, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(time.Minute):
		t.Fatal("still waiting for " + what)
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

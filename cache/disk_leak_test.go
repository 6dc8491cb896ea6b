//go:build linux

package cache_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// goroutines returns those of the engine, by their numbers.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	all := map[string]string{}
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "diskcache/cache/driver/sqlite") {
			name, _, _ := strings.Cut(g, " [")
			all[name] = g
		}
	}
	return all
}

// leaks returns the descriptors and mappings of this process that lead into a
// directory, and the goroutines of the engine that were not there before. It
// cannot run in parallel with other tests.
func leaks(t *testing.T, dir string, before map[string]string) (found []string) {
	t.Helper()
	for _, e := range must(os.ReadDir("/proc/self/fd"))(t) {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(to, dir) {
			found = append(found, "descriptor of "+to)
		}
	}
	for line := range strings.Lines(string(must(os.ReadFile("/proc/self/maps"))(t))) {
		if i := strings.Index(line, dir); i >= 0 {
			found = append(found, "mapping of "+line[i:])
		}
	}
	for name, g := range goroutines() {
		if _, there := before[name]; !there {
			found = append(found, g)
		}
	}
	return found
}

// noLeaks demands that nothing of a store in dir is left, soon.
func noLeaks(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second) // a goroutine that has closed its channel may still be there
	for {
		found := leaks(t, dir, before)
		if len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left: %s", strings.Join(found, "\n"))
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestNothingStays opens stores, uses them and closes them, and has opening
// fail. No goroutine, no descriptor and no file is left.
func TestNothingStays(t *testing.T) {
	ctx := t.Context()
	before := goroutines() // of earlier tests that failed

	t.Run("used", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "store")
		st := must(cache.OpenStore(ctx, dir, nil))(t)
		second := must(cache.OpenStore(ctx, dir, nil))(t)
		reader := must(cache.OpenStore(ctx, dir, &cache.StoreOptions{ReadOnly: true}))(t)
		c := must(openCollections(ctx, st))(t)
		set(t, c.lru, "k", "v")
		set(t, c.named, "big", strings.Repeat("v", 40_000))
		has(t, c.lru, "k", "v")
		changed, stop, err := c.lru.Watch()
		ok(t, err)
		defer stop()
		set(t, c.lru, "k", "w")
		<-changed
		f, _, err := c.named.OpenValue(ctx, "big")
		ok(t, err)
		ok(t, f.Close())
		_, _, err = st.Session(ctx)
		ok(t, err)
		ok(t, st.Backup(ctx, filepath.Join(t.TempDir(), "backup")))
		ok(t, st.Compact(ctx))
		must(st.Check(ctx, &cache.CheckOptions{Mend: true}))(t)
		is(t, c.st.Update(ctx, func(*cache.Tx) error { return errCause }), errCause)
		for range 3 { // more readers than are kept
			ok(t, st.View(ctx, func(*cache.Tx) error {
				return second.View(ctx, func(*cache.Tx) error {
					return st.View(ctx, func(*cache.Tx) error { return nil })
				})
			}))
		}
		ok(t, errors.Join(reader.Close(), second.Close(), st.Close(), st.Close()))
		noLeaks(t, dir, before)
		clean(t, dir)
	})

	t.Run("not opened", func(t *testing.T) {
		for _, name := range []string{"text", "newer", "other", "cut"} {
			dir := t.TempDir()
			db := filepath.Join(dir, "cache.db")
			switch name {
			case "text":
				ok(t, os.WriteFile(db, []byte(strings.Repeat("text ", 1000)), 0o600))
			case "newer":
				makeStore(t, dir)
				database(t, dir, "PRAGMA user_version = 3")
			case "other":
				database(t, dir, "CREATE TABLE users (name TEXT)")
			case "cut":
				makeStore(t, dir)
				ok(t, os.Truncate(db, 4096))
			}
			for _, readOnly := range []bool{false, true} {
				if _, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{ReadOnly: readOnly}); err == nil {
					t.Errorf("%s was opened", name)
				}
			}
			noLeaks(t, dir, before)
		}
	})

	t.Run("timed out", func(t *testing.T) {
		for _, how := range []string{"transaction", "stranger", "lock"} {
			dir := t.TempDir()
			if how == "stranger" {
				makeStore(t, dir)
			}
			holder := spawn(t, "hold", dir, how)
			holder.expect("holds")
			st, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Timeout: 10 * time.Millisecond})
			if err == nil {
				var c *cache.Cache[string, string]
				if c, err = cache.New[string, string](ctx, st, "", nil); err == nil {
					err = c.Set(ctx, "k", strings.Repeat("v", 40_000))
				}
				ok(t, st.Close())
			}
			is(t, err, cache.ErrTimeout)
			holder.say("let go")
			holder.expect("released")
			holder.finish()
			noLeaks(t, dir, before)
			clean(t, dir)
		}
	})
}

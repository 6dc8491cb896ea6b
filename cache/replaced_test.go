package cache_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// A process that only reads finds out that the store was removed or replaced,
// also while it waits for a change, and though the near cache has what it reads.
func TestReadsOfReplacedStore(t *testing.T) {
	if !removable(t) {
		return // nobody can replace a store that is open, then
	}
	// What makes a file meanwhile, as the store does in the background, is as good as
	// a second remover: it is removed again.
	removed := func(dir string) (err error) {
		for range 100 {
			if err = os.RemoveAll(dir); err == nil {
				return nil
			}
		}
		return err
	}
	moved := func(dir string) error { return os.Rename(dir, dir+"-moved") }
	replaced := func(dir string) error {
		if err := removed(dir); err != nil {
			return err
		}
		c, err := cache.Open[string, string](context.Background(), dir, nil)
		if err != nil {
			return err
		}
		return errors.Join(c.Set(context.Background(), "k", "new"), c.Close())
	}
	shards := func(dir string) error {
		found, err := filepath.Glob(dir + "/*/cache.db")
		for _, db := range found {
			err = errors.Join(err, removed(filepath.Dir(db)))
		}
		return err
	}
	for _, c := range []struct {
		name    string
		replace func(dir string) error
		o       cache.StoreOptions
	}{
		{"removed", removed, cache.StoreOptions{}},
		{"moved", moved, cache.StoreOptions{}},
		{"replaced", replaced, cache.StoreOptions{}},
		{"removed, read only", removed, cache.StoreOptions{ReadOnly: true}},
		{"moved, read only", moved, cache.StoreOptions{ReadOnly: true}},
		{"replaced, read only", replaced, cache.StoreOptions{ReadOnly: true}},
		{"removed, no near cache", removed, cache.StoreOptions{SQLite: &sqlite.Options{NearCache: -1}}},
		{"removed, shards", removed, cache.StoreOptions{Shards: 3}},
		{"moved, shards", moved, cache.StoreOptions{Shards: 3}},
		{"the shards removed", shards, cache.StoreOptions{Shards: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			testReadsOfReplaced(t, c.o, c.replace)
		})
	}
}

func testReadsOfReplaced(t *testing.T, o cache.StoreOptions, replace func(dir string) error) {
	ctx, dir := t.Context(), t.TempDir()+"/s"
	readOnly := o.ReadOnly
	o.ReadOnly = false
	st := must(cache.OpenStore(ctx, dir, &o))(t)
	c := open[string, string](t, st, "", nil)
	ok(t, c.Set(ctx, "k", "old"))
	ok(t, c.Set(ctx, "long", strings.Repeat("x", 100_000)))
	many := map[string]string{}
	for i := range 3000 {
		many["m"+string(rune(i+1000))] = "v"
	}
	ok(t, c.SetMany(ctx, maps.All(many)))
	if readOnly {
		o.ReadOnly = true
		two := must(cache.OpenStore(ctx, dir, &o))(t)
		c = open[string, string](t, two, "", nil)
		ok(t, st.Close())
		st = two
	}
	defer st.Close() // perhaps with an error: there is nothing to write to
	has(t, c, "k", "old")
	has(t, c, "k", "old")
	changed, stop, err := c.Watch()
	ok(t, err)
	defer stop()
	next, end := iter.Pull2(c.All(ctx))
	defer end()
	if _, err, _ := next(); err != nil {
		t.Fatal(err)
	}
	ok(t, replace(dir))

	// A reader that waits for a change is woken.
	for deadline := time.After(time.Minute); err == nil; {
		select {
		case <-changed:
			_, _, err = c.Get(ctx, "k")
		case <-deadline:
			t.Fatal("nobody has told")
		}
	}
	is(t, err, cache.ErrNotStore)
	reads := map[string]func() error{
		"Get":      func() error { _, _, err := c.Get(ctx, "k"); return err },
		"GetEntry": func() error { _, _, err := c.GetEntry(ctx, "k"); return err },
		"Contains": func() error { _, err := c.Contains(ctx, "k"); return err },
		"GetMany":  func() error { _, err := c.GetMany(ctx, "k"); return err },
		"Len":      func() error { _, err := c.Len(ctx); return err },
		"All":      func() error { _, err := cache.Collect(c.All(ctx)); return err },
		"OpenValue": func() error {
			r, _, err := c.OpenValue(ctx, "long")
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				err = errors.Join(err, r.Close())
			}
			return err
		},
		"View": func() error {
			return st.View(ctx, func(tx *cache.Tx) error { _, _, err := c.In(tx).Get(ctx, "k"); return err })
		},
		"Watch":       func() error { _, _, err := c.Watch(); return err },
		"Volume":      func() error { _, err := st.Volume(ctx); return err },
		"Collections": func() error { _, err := st.Collections(ctx); return err },
		"New":         func() error { _, err := cache.New[string, string](ctx, st, "another", nil); return err },
		"Backup":      func() error { return st.Backup(ctx, t.TempDir()+"/b") },
	}
	deadline := time.Now().Add(time.Minute)
	for range 2 {
		for what, read := range reads {
			err := read()
			for err == nil && o.Shards > 0 && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond) // each shard is looked at by itself
				err = read()
			}
			if !errors.Is(err, cache.ErrNotStore) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	for err = nil; err == nil; { // what was begun before goes on for a while
		var more bool
		if _, err, more = next(); !more {
			t.Fatal("All has come to its end")
		}
	}
	is(t, err, cache.ErrNotStore)
	if _, err := os.Stat(dir + "-moved"); err == nil { // and back
		_ = os.RemoveAll(dir) // a read of a shard may have made it anew
		ok(t, os.Rename(dir+"-moved", dir))
		has(t, c, "k", "old")
	}
}

// removable reports whether a file that is open can be removed.
func removable(t *testing.T) bool {
	f := must(os.Create(t.TempDir() + "/f"))(t)
	err := os.Remove(f.Name())
	ok(t, f.Close())
	return err == nil
}

// A reader that comes now and then finds out within a second, though nobody tells.
func TestReadsOfReplacedStoreInTime(t *testing.T) {
	if !removable(t) {
		return
	}
	ctx, dir := t.Context(), t.TempDir()+"/s"
	c := must(cache.Open[string, string](ctx, dir, nil))(t)
	defer c.Close()
	ok(t, c.Set(ctx, "k", "old"))
	has(t, c, "k", "old")
	ok(t, os.RemoveAll(dir))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		v, _, err := c.Get(ctx, "k")
		if err != nil {
			is(t, err, cache.ErrNotStore)
			break
		}
		equal(t, v, "old")
		if time.Now().After(deadline) {
			t.Fatal("it still reads what was removed")
		}
	}
}

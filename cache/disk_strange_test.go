//go:build linux

package cache_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/sqlitetest"
)

// database runs statements in the database of a store.
func database(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db := must(sqlitetest.Open(filepath.Join(dir, "cache.db")))(t)
	for _, s := range statements {
		if err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	ok(t, db.Close())
}

// TestNotAStore opens directories that hold something else. They are refused
// with an error that says why, and nothing is written to them.
func TestNotAStore(t *testing.T) {
	write := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { ok(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)) }
	}
	run := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { database(t, dir, statements...) }
	}
	spoil := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			makeStore(t, dir)
			database(t, dir, statements...)
		}
	}
	cut := func(n int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			makeStore(t, dir)
			ok(t, os.Truncate(filepath.Join(dir, "cache.db"), n))
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string)
		want []error // one of these
	}{
		{"file", func(t *testing.T, dir string) {
			ok(t, os.Remove(dir))
			ok(t, os.WriteFile(dir, []byte("text"), 0o600))
		}, []error{cache.ErrNotStore}},
		{"other files", write("thesis.tex", "text"), []error{cache.ErrNotStore}},
		{"other folders", func(t *testing.T, dir string) { ok(t, os.Mkdir(filepath.Join(dir, "src"), 0o700)) }, []error{cache.ErrNotStore}},
		{"database is emptied", func(t *testing.T, dir string) {
			cut(0)(t, dir)
			ok(t, os.MkdirAll(filepath.Join(dir, "01/23"), 0o700))
		}, []error{cache.ErrNotStore}},
		{"log is a folder", func(t *testing.T, dir string) {
			makeStore(t, dir)
			ok(t, os.Mkdir(filepath.Join(dir, "cache.db-wal"), 0o700))
		}, []error{cache.ErrNotStore}},
		{"database is a folder", func(t *testing.T, dir string) { ok(t, os.Mkdir(filepath.Join(dir, "cache.db"), 0o700)) }, []error{cache.ErrNotStore}},
		{"database is text", write("cache.db", strings.Repeat("some text ", 1000)), []error{cache.ErrNotStore}},
		{"database is short", write("cache.db", "SQLite"), []error{cache.ErrNotStore}},
		{"database is a header", write("cache.db", "SQLite format 3\x00"), []error{cache.ErrNotStore, cache.ErrCorrupt}},
		{"database is zeros", write("cache.db", strings.Repeat("\x00", 8192)), []error{cache.ErrNotStore}},
		{"another program's", run("CREATE TABLE users (name TEXT)", "INSERT INTO users VALUES ('x')"), []error{cache.ErrNotStore}},
		{"another program's with a log", run("PRAGMA journal_mode = wal", "CREATE TABLE users (name TEXT)"), []error{cache.ErrNotStore}},
		{"another program's version", run("PRAGMA user_version = 4711", "CREATE TABLE users (name TEXT)"), []error{cache.ErrNotStore}},
		{"another program's version 1", run("PRAGMA user_version = 1", "CREATE TABLE users (name TEXT)"), []error{cache.ErrNotStore}},
		{"another program's version 3", run("PRAGMA user_version = 3", "CREATE TABLE users (name TEXT)"), []error{cache.ErrNotStore, cache.ErrNewerFormat}},
		{"another program's Cache", run("CREATE TABLE Cache (name TEXT)"), []error{cache.ErrNotStore}},
		{"another program's Cache and Settings", run("CREATE TABLE Cache (name TEXT)", "CREATE TABLE Settings (name TEXT)"), []error{cache.ErrNotStore}},
		{"another program's empty database", run("PRAGMA user_version = 4711", "CREATE TABLE x (y)", "DROP TABLE x"), []error{cache.ErrNotStore}},
		{"newer format", spoil("PRAGMA user_version = 3"), []error{cache.ErrNewerFormat}},
		{"cut to 10 bytes", cut(10), []error{cache.ErrNotStore}},
		{"cut to 1000 bytes", cut(1000), []error{cache.ErrCorrupt, cache.ErrNotStore}},
		{"cut to 4096 bytes", cut(4096), []error{cache.ErrCorrupt}},
		{"cut to 20000 bytes", cut(20_000), []error{cache.ErrCorrupt}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "dir")
			ok(t, os.Mkdir(dir, 0o700))
			c.make(t, dir)
			before := contents(t, dir)
			for _, readOnly := range []bool{true, false} {
				st, err := cache.OpenStore(t.Context(), dir, &cache.StoreOptions{ReadOnly: readOnly})
				if err == nil {
					err = st.Close()
					t.Errorf("read-only %v: it was opened; closing: %v", readOnly, err)
					continue
				}
				var detail *cache.Error
				if !errors.As(err, &detail) || detail.Op != "OpenStore" {
					t.Errorf("read-only %v: not a *cache.Error: %v", readOnly, err)
				}
				good := false
				for _, want := range c.want {
					good = good || errors.Is(err, want)
				}
				if !good || !strings.HasSuffix(err.Error(), ")") {
					t.Errorf("read-only %v: error %q, want one that is %v, with advice", readOnly, err, c.want)
				}
				after := contents(t, dir)
				for name := range after { // SQLite's own, which it may leave when it finds damage
					if strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm") {
						delete(after, name)
						if b, ok := before[name]; ok {
							after[name] = b
						}
					}
				}
				same(t, before, after)
			}
		})
	}
}

// A process may die before it has written anything: an empty database is one
// to be made.
func TestEmptyDatabase(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, "cache.db"), nil, 0o600))
	_, err := cache.OpenStore(t.Context(), dir, &cache.StoreOptions{ReadOnly: true})
	failed(t, err, cache.ErrNotStore, "OpenStore", "")
	makeStore(t, dir)
	clean(t, dir)
}

// A directory cannot lie below a file.
func TestBelowFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(file, []byte("text"), 0o600))
	for _, o := range []cache.StoreOptions{{}, {ReadOnly: true}} {
		_, err := cache.OpenStore(t.Context(), filepath.Join(file, "store"), &o)
		var detail *cache.Error
		if !errors.Is(err, cache.ErrNotStore) || !errors.As(err, &detail) {
			t.Errorf("read-only %v: %v", o.ReadOnly, err)
		}
	}
}

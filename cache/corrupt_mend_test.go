//go:build linux

package cache_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/sqlitetest"
)

// TestMend damages stores in each way that a check knows. It is found, changes
// nothing until it is to be mended, is mended then, and nothing else is lost.
func TestMend(t *testing.T) {
	run := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { database(t, dir, statements...) }
	}
	// valueOf returns the value file of a key.
	valueOf := func(t *testing.T, dir, table, key string) string {
		t.Helper()
		db := must(sqlitetest.Open(filepath.Join(dir, "cache.db")))(t)
		defer db.Close()
		row := must(db.Row("SELECT filename FROM " + table + " WHERE key = '" + key + "'"))(t)
		return filepath.Join(dir, row[0].Text())
	}
	at := func(rel string, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			ok(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, rel)), 0o700))
			ok(t, os.WriteFile(filepath.Join(dir, rel), []byte(content), 0o600))
			old := time.Now().Add(-48 * time.Hour) // what is young may be about to get its row
			ok(t, os.Chtimes(filepath.Join(dir, rel), old, old))
		}
	}
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		kind   driver.ProblemKind
		n      int    // problems
		lost   string // a key of the default collection that is gone afterwards
		where  string // the collection that is named
	}{
		{"short file", func(t *testing.T, dir string) {
			ok(t, os.Truncate(valueOf(t, dir, "Cache", "big"), 39_000))
		}, driver.WrongSize, 1, "big", ""},
		{"long file", func(t *testing.T, dir string) {
			ok(t, os.WriteFile(valueOf(t, dir, "Cache", "big"), make([]byte, 50_000), 0o600))
		}, driver.WrongSize, 1, "big", ""},
		{"missing file", func(t *testing.T, dir string) {
			ok(t, os.Remove(valueOf(t, dir, "Cache", "big")))
		}, driver.MissingFile, 1, "big", ""},
		{"unknown file", at("ab/cd/0123456789012345678901234567.val", "v"), driver.UnknownFile, 1, "", ""},
		{"unknown file of a named collection", at("cache.db-values/ab/cd/0123456789012345678901234567.val", "v"), driver.UnknownFile, 1, "", ""},
		{"strange file", at("notes.txt", "text"), driver.UnknownFile, 1, "", ""},
		{"empty directory", func(t *testing.T, dir string) { ok(t, os.MkdirAll(filepath.Join(dir, "ab/cd"), 0o700)) }, driver.EmptyDirectory, 1, "", ""},
		{"temporary file", at("cache.db-sessions/0123456789abcdef01234567/01234567890123456789012345678901.val", "v"), driver.LeftOver, 1, "", ""},
		{"wrong count", run("UPDATE Settings SET value = 17 WHERE key = 'count'"), driver.WrongCount, 1, "", ""},
		{"wrong count of a named collection", run("UPDATE Settings_1 SET value = -1 WHERE key = 'count'"), driver.WrongCount, 1, "", "cache/named"},
		{"no count", run("DELETE FROM Settings WHERE key = 'count'"), driver.WrongCount, 1, "", ""},
		{"count is text", run("UPDATE Settings SET value = 'many' WHERE key = 'count'"), driver.WrongCount, 1, "", ""},
		{"wrong volume", run("UPDATE Settings SET value = value + 1 WHERE key = 'size'"), driver.WrongVolume, 1, "", ""},
		{"wrong volume of a named collection", run("UPDATE Settings_1 SET value = 0 WHERE key = 'size'"), driver.WrongVolume, 1, "", "cache/named"},
		{"unknown mode", run("UPDATE Cache SET mode = 9 WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"mode is text", run("UPDATE Cache SET mode = 'x' WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"no key", run("UPDATE Cache SET key = NULL WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"unknown raw", run("UPDATE Cache SET raw = 7 WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"time is text", run("UPDATE Cache SET store_time = 'noon' WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"expiry is text", run("UPDATE Cache SET expire_time = 'noon' WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"file outside", run("UPDATE Cache SET mode = 2, filename = '../../victim' WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"absolute file", run("UPDATE Cache SET mode = 2, filename = '/etc/passwd' WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"file without a name", run("UPDATE Cache SET mode = 2, filename = NULL WHERE key = 'a'"), driver.BadRow, 1, "a", ""},
		{"file is a directory", func(t *testing.T, dir string) {
			file := valueOf(t, dir, "Cache", "big")
			ok(t, os.Remove(file))
			ok(t, os.Mkdir(file, 0o700))
		}, driver.MissingFile, 1, "big", ""},
		{"row is not in the index", breakIndex, driver.CorruptDatabase, 0, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			above := t.TempDir()
			dir := filepath.Join(above, "one", "store")
			victim := filepath.Join(above, "victim")
			ok(t, os.WriteFile(victim, []byte("text"), 0o600))
			st := must(cache.OpenStore(ctx, dir, nil))(t)
			def := open[string, string](t, st, "", nil)
			named := open[string, string](t, st, "named", nil)
			for _, coll := range []*cache.Cache[string, string]{def, named} {
				set(t, coll, "a", "v")
				set(t, coll, "b", "w")
				set(t, coll, "big", strings.Repeat("v", 40_000))
				set(t, coll, "other", strings.Repeat("w", 40_000))
			}
			ok(t, st.Close())
			c.damage(t, dir)
			before := contents(t, dir)

			// Read-only, so that nothing is swept before.
			st = must(cache.OpenStore(ctx, dir, &cache.StoreOptions{ReadOnly: true}))(t)
			problems := must(st.Check(ctx, nil))(t).Problems
			ok(t, st.Close())
			found := 0
			for _, p := range problems {
				if p.Mended {
					t.Errorf("mended without being told to: %+v", p)
				}
				if p.Kind == c.kind && p.Collection == c.where {
					found++
				}
			}
			if found < max(c.n, 1) || c.n > 0 && found > c.n {
				t.Errorf("%d problems of kind %q in %q, want %d: %+v", found, c.kind, c.where, c.n, problems)
			}
			after := contents(t, dir)
			for _, name := range []string{"/cache.db-shm", "/cache.db-wal"} {
				delete(after, name)
			}
			same(t, before, after)

			st = must(cache.OpenStore(ctx, dir, nil))(t)
			r := must(st.Check(ctx, &cache.CheckOptions{Mend: true}))(t)
			for _, p := range r.Problems {
				if !p.Mended {
					t.Errorf("not mended: %+v", p)
				}
			}
			if r := must(st.Check(ctx, nil))(t); !r.OK() {
				t.Errorf("after mending: %+v", r.Problems)
			}
			def, named = open[string, string](t, st, "", nil), open[string, string](t, st, "named", nil)
			lost := int64(0)
			for _, k := range []string{"a", "b", "big", "other"} {
				for _, coll := range []*cache.Cache[string, string]{def, named} {
					v, there, err := coll.Get(ctx, k)
					ok(t, err)
					switch {
					case coll == def && k == c.lost:
						equal(t, there, false)
						lost++
					case !there:
						t.Errorf("%q in %q is lost", k, coll.Name())
					case len(k) == 1 && len(v) != 1:
						t.Errorf("%q has another value", k)
					}
				}
			}
			length(t, def, 4-lost)
			length(t, named, 4)
			// Everything works again.
			for _, coll := range []*cache.Cache[string, string]{def, named} {
				for _, k := range []string{"a", "big", "new"} {
					set(t, coll, k, strings.Repeat("x", 35_000))
					has(t, coll, k, strings.Repeat("x", 35_000))
				}
			}
			ok(t, st.Close())
			clean(t, dir)
			equal(t, string(must(os.ReadFile(victim))(t)), "text")
		})
	}
}

// A process that was killed before it committed a large value has left a file,
// perhaps under the name that the value was to have: only the temporary name
// tells that it is of no use, young as it is.
func TestMendOfKilledWriter(t *testing.T) {
	dir := t.TempDir()
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	for _, root := range []string{"", "cache.db-values"} {
		c := open[string, string](t, st, root, nil)
		set(t, c, "big", strings.Repeat("v", 40_000))
		final := filepath.Join(dir, root, "01/23/4567890123456789012345678901.val")
		session := filepath.Join(dir, "cache.db-sessions/0123456789abcdef01234567")
		left := filepath.Join(t.TempDir(), "session") // in one step: the sweep of opening may be under way
		for _, d := range []string{filepath.Dir(final), filepath.Dir(session), left} {
			ok(t, os.MkdirAll(d, 0o700))
		}
		ok(t, os.WriteFile(final, []byte("v"), 0o600))
		ok(t, os.Link(final, filepath.Join(left, "01234567890123456789012345678901.val")))
		ok(t, os.Rename(left, session))
		must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t)
		if r := must(st.Check(t.Context(), nil))(t); !r.OK() {
			t.Errorf("left over: %+v", r.Problems)
		}
		has(t, c, "big", strings.Repeat("v", 40_000))
	}
	ok(t, st.Close())
	clean(t, dir)
}

// breakIndex hides the index of keys from SQLite while a row changes.
func breakIndex(t *testing.T, dir string) {
	t.Helper()
	db := must(sqlitetest.Open(filepath.Join(dir, "cache.db")))(t)
	row := must(db.Row("SELECT name, tbl_name, rootpage, sql FROM sqlite_master WHERE name = 'Cache_key_raw'"))(t)
	name, table, root, text := row[0].Text(), row[1].Text(), row[2].Integer(), row[3].Text()
	ok(t, db.Close())
	database(t, dir, "PRAGMA writable_schema = on", "DELETE FROM sqlite_master WHERE name = 'Cache_key_raw'")
	database(t, dir, "UPDATE Cache SET key = 'c' WHERE key = 'b'", "UPDATE Cache SET key = 'b' WHERE key = 'c'",
		"DELETE FROM Cache WHERE key = 'a'", "INSERT INTO Cache (rowid, key, raw, store_time, mode, value) VALUES (100, 'a', 1, 1, 1, 'v')")
	database(t, dir, "PRAGMA writable_schema = on",
		fmt.Sprintf("INSERT INTO sqlite_master VALUES ('index', '%s', '%s', %d, '%s')", name, table, root, text))
}

// A damaged page costs what is on it. What is elsewhere can be read, Check
// tells what is wrong, and there is no end of the process.
func TestDamagedPage(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	c := open[int, string](t, st, "", nil)
	other := open[string, string](t, st, "other", nil)
	for i := range 300 {
		ok(t, c.Set(ctx, i, fillValue(i, 500)))
	}
	set(t, other, "k", "v")
	ok(t, st.Close())
	db := must(os.ReadFile(filepath.Join(dir, "cache.db")))(t)
	i := strings.Index(string(db), fillValue(150, 500))
	page := i / 4096 * 4096
	copy(db[page:page+4096], strings.Repeat("\xff", 4096))
	ok(t, os.WriteFile(filepath.Join(dir, "cache.db"), db, 0o600))

	st = must(cache.OpenStore(ctx, dir, nil))(t)
	c = open[int, string](t, st, "", nil)
	damaged := 0
	for i := range 300 {
		v, found, err := c.Get(ctx, i)
		if err != nil {
			failed(t, err, cache.ErrCorrupt, "Get", "")
			damaged++
			continue
		}
		equal(t, found && v == fillValue(i, 500), true)
	}
	if damaged == 0 || damaged > 20 {
		t.Errorf("%d of 300 entries cannot be read because of one page", damaged)
	}
	_, err := cache.Collect(c.All(ctx))
	failed(t, err, cache.ErrCorrupt, "All", "")
	has(t, open[string, string](t, st, "other", nil), "k", "v")
	r, err := st.Check(ctx, nil)
	if r.OK() {
		t.Errorf("a check finds nothing (%v)", err)
	}
	ok(t, st.Close())
}

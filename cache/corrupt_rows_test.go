//go:build linux

package cache_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/sqlitetest"
)

// odd are values that do not belong into most columns.
var odd = []string{
	"NULL", "''", "'text'", "'/x'", "'..'", "'cache.db'", "x'00ff'", "-1", "0", "1.5", "9e999", "-9e999",
	"9223372036854775807", "-9223372036854775808", "'" + strings.Repeat("a/", 20_000) + "x'",
}

// oddSchema has one collection with tables of its own and one that shares them,
// each with every kind of row.
func oddStore(t *testing.T, dir string) {
	t.Helper()
	manyCollections(t, dir, 34) // the last two share tables, and have a key in common
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	for _, name := range []string{"", "c0", "c32"} {
		c := open[string, string](t, st, name, nil)
		for i := range 8 {
			set(t, c, fmt.Sprintf("key %03d", i), "v", cache.Tag(1))
			set(t, c, fmt.Sprintf("big %03d", i), strings.Repeat("v", 40_000))
		}
	}
	ok(t, st.Close())
	database(t, dir, "INSERT INTO Trash (path) VALUES ('aa/bb/cc.val')")
}

// TestOddRows puts odd values into each column of each table. Whatever is done
// with the store, it ends, without a panic, and errors are those that programs
// can tell. A check mends it.
func TestOddRows(t *testing.T) {
	sound := quickDir(t)
	oddStore(t, sound)
	files := contents(t, sound)
	maps.DeleteFunc(files, func(_, content string) bool { return content == "a folder" })
	const row = "coll key raw store_time expire_time access_time access_count tag size mode filename value rowid"
	tables := map[string]string{
		"Cache": row, "Cache_1": row, "Cache_shared": row,
		"Settings": "value value value value value value value value value value value value value value value value key", "Settings_1": "value value value value value value value value value value key",
		"Settings_shared": "value value value value value value value value value value value coll key",
		"Collections":     "id name key_codec value_codec id name", "Meta": "value", "Trash": "id path", "sqlite_sequence": "seq seq name",
	}
	// In each round each column gets an odd value, in a row of its own, and one in
	// all rows. With DISKCACHE_TEST_ALL each has had all of them in the end.
	for round := range len(odd) {
		if os.Getenv("DISKCACHE_TEST_ALL") == "" && (round%6 != 1 || raceEnabled && round > 1) {
			continue
		}
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			for table, columns := range tables {
				dir := quickDir(t)
				write(t, dir, files)
				db := must(sqlitetest.Open(filepath.Join(dir, "cache.db")))(t)
				id := "rowid"
				if table == "Meta" || table == "Settings_shared" {
					id = "key"
				}
				var done []string
				for i, column := range strings.Fields(columns) {
					statement := fmt.Sprintf("UPDATE OR IGNORE %s SET %s = %s", table, column, odd[(round+i)%len(odd)])
					if i != round { // else in all rows
						statement += fmt.Sprintf(" WHERE %s IN (SELECT %[1]s FROM %s LIMIT 1 OFFSET %d)", id, table, i)
					}
					if db.Exec(statement) == nil {
						done = append(done, fmt.Sprintf("%.150s", statement))
					}
				}
				ok(t, db.Close())
				what := strings.Join(done, "\n")
				if wrong := useDamaged(t, dir, nil, false); wrong != "" {
					t.Errorf("%s\n%s", what, wrong)
				}
				mended(t, dir, what)
				ok(t, os.RemoveAll(dir))
				if t.Failed() {
					return
				}
			}
		})
	}
}

// mended checks that a store which was mended is sound, and works.
func mended(t *testing.T, dir, what string) {
	t.Helper()
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t)
	for _, p := range must(st.Check(t.Context(), nil))(t).Problems {
		if p.Kind != driver.Undecodable && p.Kind != driver.UnknownFile { // young ones
			t.Errorf("%s\nafter mending: %+v", what, p)
		}
	}
	for _, name := range []string{"", "c0", "c32", "new"} {
		c, err := cache.New(t.Context(), st, name, &cache.Options[string, string]{SizeLimit: 1 << 30})
		if errors.Is(err, cache.ErrCodecMismatch) {
			continue // that of Collections
		}
		ok(t, err)
		must(c.Clear(t.Context()))(t)
		set(t, c, "k", "v")
		set(t, c, "big", strings.Repeat("v", 40_000))
		has(t, c, "k", "v")
		length(t, c, 2)
	}
	ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
		_, err := tx.Fence()
		return err
	}))
	ok(t, st.Close())
}

// A setting that is no number is told of once, and what DiskCache has by default
// is taken in its place: a size limit of NULL, which reads as 0, would evict
// everything.
func TestDamagedSettings(t *testing.T) {
	for _, value := range []string{"NULL", "'many'", "x'01'"} {
		dir := t.TempDir()
		manyCollections(t, dir, 1)
		database(t, dir, "UPDATE Settings SET value = "+value+" WHERE key <> 'count'", "UPDATE Settings_1 SET value = "+value)
		var log logged
		st := must(cache.OpenStore(t.Context(), dir, &cache.StoreOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}))(t)
		for _, name := range []string{"", "c0"} {
			c := open[string, string](t, st, name, nil)
			for i := range 20 {
				set(t, c, fmt.Sprint(i), "v")
			}
			for i := range 20 {
				has(t, c, fmt.Sprint(i), "v")
			}
			equal(t, c.Settings().SizeLimit, 1<<30)
		}
		if n := strings.Count(log.String(), "a setting is damaged"); n != 2 {
			t.Errorf("told %d times, want once for each collection:\n%s", n, log.String())
		}
		found := 0
		for _, p := range must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t).Problems {
			if p.Kind == driver.BadRow && strings.Contains(p.Detail, `"size_limit"`) {
				found++
			}
		}
		equal(t, found, 2)
		if r := must(st.Check(t.Context(), nil))(t); !r.OK() {
			t.Errorf("after mending: %+v", r.Problems)
		}
		ok(t, st.Close())
	}
}

// The number of entries is not made up, and fences are not given twice.
func TestDamagedCounters(t *testing.T) {
	for _, value := range []string{"NULL", "'many'", "x'01'", "-1", "1.5", "9e999", "9223372036854775807"} {
		dir := t.TempDir()
		makeStore(t, dir)
		st := must(cache.OpenStore(t.Context(), dir, nil))(t)
		fence := func() (n int64, err error) {
			err = st.Update(t.Context(), func(tx *cache.Tx) error {
				n, err = tx.Fence()
				return err
			})
			return n, err
		}
		first := must(fence())(t)
		database(t, dir, "UPDATE Meta SET value = "+value, "UPDATE Settings SET value = "+value+" WHERE key = 'count'")
		_, err := fence()
		failed(t, err, cache.ErrCorrupt, "Fence", "")
		c := open[string, string](t, st, "", nil)
		if value != "9223372036854775807" { // a number
			_, err = c.Len(t.Context())
			failed(t, err, cache.ErrCorrupt, "Len", "")
		}
		must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t)
		length(t, c, 2)
		second := must(fence())(t)
		// A mended counter goes on at a number that has the time in it, in milliseconds.
		for mended := time.Now().UnixMilli(); time.Now().UnixMilli() <= mended; {
			runtime.Gosched()
		}
		database(t, dir, "DELETE FROM Meta")
		must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t)
		if third := must(fence())(t); first >= second || second >= third {
			t.Errorf("fences %d, %d, %d", first, second, third)
		}
		ok(t, st.Close())
	}
}

// TestDuplicates takes the index of keys away, and stores a key twice. A check
// finds that; it keeps what was stored last, and makes the index again.
func TestDuplicates(t *testing.T) {
	insert := func(table, coll string, id int64, stored float64, value string) string {
		columns := ""
		if coll != "" {
			columns, coll = "coll, ", coll+", "
		}
		return fmt.Sprintf("INSERT INTO %s (rowid, %skey, raw, store_time, access_time, mode, value) VALUES (%d, %s'twice', 1, %g, 1, 1, '%s')",
			table, columns, id, coll, stored, value)
	}
	for _, c := range []struct{ collection, table, coll string }{
		{"", "Cache", ""}, {"c0", "Cache_1", ""}, {"c32", "Cache_shared", "1"},
	} {
		for name, broken := range map[string]bool{"missing index": false, "broken index": true} {
			t.Run(name+" of "+c.table, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				oddStore(t, dir)
				at := int64(0)
				if c.coll != "" {
					at = 1 << 40
				}
				index := c.table + "_key_raw"
				db := must(sqlitetest.Open(filepath.Join(dir, "cache.db")))(t)
				row := must(db.Row("SELECT rootpage, sql FROM sqlite_master WHERE name = '" + index + "'"))(t)
				ok(t, db.Close())
				hide := []string{"DROP INDEX " + index}
				if broken {
					hide = []string{"PRAGMA writable_schema = on", "DELETE FROM sqlite_master WHERE name = '" + index + "'"}
				}
				database(t, dir, hide...)
				database(t, dir,
					insert(c.table, c.coll, at+100, 1000, "newest by time"), insert(c.table, c.coll, at+101, 999, "older"), insert(c.table, c.coll, at+102, 1000, "newest"),
					"UPDATE "+c.table+" SET mode = 2, value = NULL, filename = 'aa/bb/cc.val', size = 1 WHERE value = 'older'")
				if broken {
					database(t, dir, "PRAGMA writable_schema = on",
						fmt.Sprintf("INSERT INTO sqlite_master VALUES ('index', '%s', '%s', %d, '%s')", index, c.table, row[0].Integer(), row[1].Text()))
				}
				st := must(cache.OpenStore(t.Context(), dir, nil))(t)
				double := func(r *cache.Report) (rows int) {
					for _, p := range r.Problems {
						if p.Kind == driver.BadRow && strings.Contains(p.Detail, "same key") {
							rows++
						}
					}
					return rows
				}
				equal(t, double(must(st.Check(t.Context(), nil))(t)), 2)
				r := must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t)
				equal(t, double(r), 2)
				found := false
				for _, p := range r.Problems {
					found = found || p.Kind == driver.CorruptDatabase && strings.Contains(p.Detail, index)
				}
				if !found {
					t.Errorf("nothing about the index: %+v", r.Problems)
				}
				if r := must(st.Check(t.Context(), nil))(t); !r.OK() {
					t.Errorf("after mending: %+v", r.Problems)
				}
				coll := open[string, string](t, st, c.collection, nil)
				has(t, coll, "twice", "newest")
				length(t, coll, 18)
				ok(t, st.Close())
				db = must(sqlitetest.Open(filepath.Join(dir, "cache.db")))(t)
				defer db.Close()
				must(db.Row("SELECT 1 FROM sqlite_master WHERE name = '" + index + "'"))(t)
			})
		}
	}
}

// A part of the schema that is missing is made again.
func TestMissingParts(t *testing.T) {
	dir := t.TempDir()
	oddStore(t, dir)
	database(t, dir, "DROP TRIGGER Settings_count_insert", "DROP TRIGGER Settings_1_size_delete", "DROP TRIGGER Settings_shared_count_delete",
		"DROP INDEX Cache_expire_time", "DROP INDEX Cache_shared_expire_time")
	var log logged
	st := must(cache.OpenStore(t.Context(), dir, &cache.StoreOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}))(t)
	if n := strings.Count(log.String(), "are missing"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	r := must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t)
	equal(t, len(r.Problems), 5)
	for _, p := range r.Problems {
		if p.Kind != driver.CorruptDatabase || !p.Mended {
			t.Errorf("%+v", p)
		}
	}
	if r := must(st.Check(t.Context(), nil))(t); !r.OK() {
		t.Errorf("%+v", r.Problems)
	}
	ok(t, st.Close())
	mended(t, dir, "")
}

// A directory of Python's in which the index of keys is missing can be opened,
// and mended.
func TestPythonDuplicates(t *testing.T) {
	dir := t.TempDir()
	database(t, dir, "CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)",
		"CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL, access_time REAL,"+
			" access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB)",
		"INSERT INTO Cache (key, raw, store_time, access_time, mode, value) VALUES ('k', 1, 1, 1, 1, 'old'), ('k', 1, 2, 2, 1, 'new')",
		"INSERT INTO Settings VALUES ('count', 2)")
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t)
	has(t, open[string, string](t, st, "", nil), "k", "new")
	if r := must(st.Check(t.Context(), nil))(t); !r.OK() {
		t.Errorf("%+v", r.Problems)
	}
	ok(t, st.Close())
}

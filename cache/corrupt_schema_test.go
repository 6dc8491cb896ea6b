//go:build linux

package cache_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/sqlitetest"
)

// endless is an expression that never has a value.
const endless = "(WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c)"

// forge puts a line into the schema as SQLite would not.
func forge(kind, name, table, sql string) []string {
	return []string{"PRAGMA writable_schema = on",
		fmt.Sprintf("INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('%s', '%s', '%s', 0, '%s')", kind, name, table, strings.ReplaceAll(sql, "'", "''"))}
}

// TestIntruders puts things into the database's schema that would run when the
// store is used. The store is refused with an error that names them, and nothing
// is written.
func TestIntruders(t *testing.T) {
	evil := func(sql string) []string { return []string{"CREATE TRIGGER evil " + sql} }
	rename := []string{"ALTER TABLE Cache RENAME TO Old"}
	for name, c := range map[string]struct {
		statements []string
		want       error
		object     string
	}{
		"trigger that never ends":      {evil("AFTER INSERT ON Cache BEGIN UPDATE Settings SET value = " + endless + "; END"), cache.ErrCorrupt, `trigger "evil"`},
		"trigger on updates":           {evil("AFTER UPDATE ON Cache BEGIN DELETE FROM Cache_1; END"), cache.ErrCorrupt, `trigger "evil"`},
		"trigger on a named table":     {evil("BEFORE INSERT ON Cache_1 BEGIN SELECT RAISE(ROLLBACK, 'x'); END"), cache.ErrCorrupt, `trigger "evil"`},
		"trigger on a shared table":    {evil("BEFORE INSERT ON Cache_shared BEGIN SELECT RAISE(IGNORE); END"), cache.ErrCorrupt, `trigger "evil"`},
		"trigger on Trash":             {evil("AFTER INSERT ON Trash BEGIN DELETE FROM Cache; END"), cache.ErrCorrupt, `trigger "evil"`},
		"trigger on the catalog":       {evil("AFTER INSERT ON Collections BEGIN DELETE FROM Cache; END"), cache.ErrCorrupt, `trigger "evil"`},
		"trigger on a table of others": {append([]string{"CREATE TABLE t (a)"}, evil("AFTER INSERT ON t BEGIN DELETE FROM Cache; END")...), cache.ErrCorrupt, `trigger "evil"`},
		"trigger of ours that does more": {[]string{"DROP TRIGGER Settings_count_insert",
			"CREATE TRIGGER Settings_count_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN UPDATE Settings SET value = value + 1 WHERE key = 'count'; DELETE FROM Cache_1; END"},
			cache.ErrCorrupt, `trigger "Settings_count_insert"`},
		"trigger of ours with another condition": {[]string{"DROP TRIGGER Settings_size_insert",
			"CREATE TRIGGER Settings_size_insert AFTER INSERT ON Cache FOR EACH ROW WHEN NEW.size <> 0 BEGIN UPDATE Settings SET value = value + NEW.size WHERE key = size; END"},
			cache.ErrCorrupt, `trigger "Settings_size_insert"`},
		"trigger of ours on another table": {[]string{"DROP TRIGGER Settings_1_count_insert",
			"CREATE TRIGGER Settings_1_count_insert AFTER INSERT ON Cache_1 FOR EACH ROW BEGIN UPDATE Settings SET value = value + 1 WHERE key = 'count'; END"},
			cache.ErrCorrupt, `trigger "Settings_1_count_insert"`},
		"view":                    {[]string{"CREATE VIEW v AS SELECT 1"}, cache.ErrCorrupt, `view "v"`},
		"view in place of Trash":  {[]string{"DROP TABLE Trash", "CREATE VIEW Trash AS SELECT 1 AS id, 'a' AS path"}, cache.ErrCorrupt, `view "Trash"`},
		"view in place of Cache":  {append(rename, "CREATE VIEW Cache AS SELECT * FROM Old"), cache.ErrNotStore, ""},
		"names with commas":       {[]string{`CREATE TABLE "x,Collections,Meta,Trash,x" (a)`, "DROP TABLE Trash"}, cache.ErrCorrupt, `table "Trash"`},
		"virtual table":           {[]string{"CREATE VIRTUAL TABLE f USING fts5(a)"}, cache.ErrCorrupt, `virtual table "f"`},
		"virtual table for Cache": {[]string{"DROP TABLE Cache", "CREATE VIRTUAL TABLE Cache USING fts5(key, raw)"}, cache.ErrNotStore, `"Cache"`},
		"generated column":        {[]string{"ALTER TABLE Cache ADD COLUMN x GENERATED ALWAYS AS (hex(zeroblob(100))) VIRTUAL"}, cache.ErrNotStore, `table "Cache"`},
		"generated column of a named table": {[]string{"ALTER TABLE Cache_1 ADD COLUMN x GENERATED ALWAYS AS (hex(zeroblob(100))) VIRTUAL"},
			cache.ErrCorrupt, `table "Cache_1"`},
		"constraint": {[]string{"DROP TABLE Meta", "CREATE TABLE Meta (key TEXT PRIMARY KEY CHECK (length(hex(zeroblob(1000))) > 0), value) WITHOUT ROWID"},
			cache.ErrCorrupt, `table "Meta"`},
		"default":             {[]string{"DROP TABLE Trash", "CREATE TABLE Trash (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL DEFAULT (hex(randomblob(9))))"}, cache.ErrCorrupt, `table "Trash"`},
		"index of a function": {[]string{"CREATE INDEX x ON Cache (length(hex(value)))"}, cache.ErrCorrupt, `index "x"`},
		"index of a sum":      {[]string{"CREATE INDEX x ON Cache_1 (key, size + 1)"}, cache.ErrCorrupt, `index "x"`},
		"partial index":       {[]string{"CREATE INDEX x ON Cache (key) WHERE length(hex(value)) > 1"}, cache.ErrCorrupt, `index "x"`},
		"unique index":        {[]string{"CREATE UNIQUE INDEX x ON Cache (tag)"}, cache.ErrCorrupt, `index "x"`},
		"index of keys that allows two": {[]string{"DROP INDEX Cache_key_raw", "CREATE UNIQUE INDEX Cache_key_raw ON Cache (key, raw, rowid)"},
			cache.ErrCorrupt, `index "Cache_key_raw"`},
		"table for the next collection": {[]string{"CREATE TABLE Cache_99 (x)"}, cache.ErrCorrupt, `table "Cache_99"`},
		"trigger called an index":       {forge("index", "i", "t", "CREATE TRIGGER evil AFTER INSERT ON Cache BEGIN DELETE FROM Cache_1; END"), cache.ErrCorrupt, "(i)"},
		"trigger called a table":        {forge("table", "t", "t", "CREATE TRIGGER evil AFTER INSERT ON Cache BEGIN DELETE FROM Cache_1; END"), cache.ErrCorrupt, ""},
		"view called nothing":           {forge("", "t", "t", "CREATE VIEW t AS SELECT 1"), cache.ErrCorrupt, "(t)"},
		"index of another table": {append([]string{"CREATE TABLE t (a)", "CREATE INDEX i ON Cache (length(key))", "PRAGMA writable_schema = on"},
			"UPDATE sqlite_master SET tbl_name = 't' WHERE name = 'i'"), cache.ErrCorrupt, "(i)"},
		"SQL that is none": {[]string{"PRAGMA writable_schema = on", "UPDATE sqlite_master SET sql = 'CREATE TABLE Cache(x' WHERE name = 'Cache'"}, cache.ErrCorrupt, "Cache"},
		"another encoding": {nil, cache.ErrNotStore, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if name == "another encoding" {
				database(t, dir, "PRAGMA encoding = 'UTF-16le'", "CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)",
					"CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL, access_time REAL,"+
						" access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB)")
			} else {
				manyCollections(t, dir, 40)
			}
			database(t, dir, c.statements...)
			before := contents(t, dir)
			for _, readOnly := range []bool{true, false} {
				st, err := cache.OpenStore(t.Context(), dir, &cache.StoreOptions{ReadOnly: readOnly, Timeout: 10 * time.Second})
				if err == nil {
					t.Fatalf("read-only %v: it was opened; closing: %v", readOnly, st.Close())
				}
				failed(t, err, c.want, "OpenStore", "")
				if !strings.Contains(err.Error(), c.object) {
					t.Errorf("%q does not name the %s", err, c.object)
				}
				after := contents(t, dir)
				for name := range after { // SQLite's own, which it may leave
					if strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm") {
						delete(after, name)
					}
				}
				same(t, before, after)
			}
		})
	}
}

// manyCollections makes a store with so many named collections.
func manyCollections(t *testing.T, dir string, n int) {
	t.Helper()
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	set(t, open[string, string](t, st, "", nil), "k", "v")
	for i := range n {
		set(t, open[string, string](t, st, fmt.Sprint("c", i), nil), "k", fmt.Sprint(i))
	}
	ok(t, st.Close())
}

// What runs nothing may be in the database: ANALYZE's tables, a replicator's,
// an index that somebody has added. It stays, and the log tells.
func TestHarmlessSchema(t *testing.T) {
	dir := t.TempDir()
	manyCollections(t, dir, 40)
	database(t, dir,
		"CREATE TABLE _replica_seq (id INTEGER PRIMARY KEY, seq INTEGER CHECK (seq > 0))",
		"CREATE TABLE [my notes] (text TEXT UNIQUE DEFAULT (upper('x')))",
		"CREATE INDEX notes ON [my notes] (length(text))",
		"CREATE INDEX by_size ON Cache (size DESC, key)",
		"CREATE INDEX by_tag ON Cache_shared (tag) WHERE tag IS NOT NULL",
		"CREATE INDEX trashed ON Trash (path)",
		"ANALYZE")
	var log logged
	st := must(cache.OpenStore(t.Context(), dir, &cache.StoreOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}))(t)
	for _, name := range []string{"_replica_seq", "my notes", "by_size", "by_tag", "trashed"} {
		if !strings.Contains(log.String(), name) {
			t.Errorf("the log does not tell of %q", name)
		}
	}
	for i := range 40 {
		c := open[string, string](t, st, fmt.Sprint("c", i), nil)
		has(t, c, "k", fmt.Sprint(i))
		set(t, c, "other", "v")
	}
	if r := must(st.Check(t.Context(), &cache.CheckOptions{Mend: true}))(t); !r.OK() {
		t.Errorf("%+v", r.Problems)
	}
	ok(t, st.Compact(t.Context()))
	ok(t, st.Close())
	db := must(sqlitetest.Open(filepath.Join(dir, "cache.db")))(t)
	n := must(db.Row("SELECT count(*) FROM sqlite_master WHERE name IN ('_replica_seq', 'my notes', 'notes', 'by_size', 'by_tag', 'trashed')"))(t)
	equal(t, n[0].Integer(), 6)
	ok(t, db.Close())
}

// What comes into the schema while a store is open is found before the next
// write, and when it is gone, the store can be written again.
func TestIntruderWhileOpen(t *testing.T) {
	dir := t.TempDir()
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	c := open[string, string](t, st, "", nil)
	set(t, c, "a", "v")
	for range 2 {
		database(t, dir, "CREATE TRIGGER evil BEFORE INSERT ON Cache BEGIN DELETE FROM Cache; END")
		for range 2 {
			err := c.Set(t.Context(), "b", "v")
			failed(t, err, cache.ErrCorrupt, "Set", "")
			if !strings.Contains(err.Error(), "evil") {
				t.Error(err)
			}
		}
		has(t, c, "a", "v")
		length(t, c, 1)
		database(t, dir, "DROP TRIGGER evil")
		set(t, c, "c", "v")
		must(c.Delete(t.Context(), "c"))(t)
	}
	ok(t, st.Close())
}

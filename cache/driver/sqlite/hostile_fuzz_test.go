//go:build unix

package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// FuzzHostile has somebody who may write to the directory of a store prepare it:
// files and folders and what is in them, rows, and the schema. Then everything is
// done with it that can be done. Nothing outside is changed, nothing takes longer
// than its context, nothing panics.
func FuzzHostile(f *testing.F) {
	for _, seed := range []string{
		"", "0123456789", "hostile", "\x01\x02\x03\x04\x05\x06\x07\x08", "\xff\xfe\xfd\xfc\xfb\xfa\xf9",
		"\x00\x00\x00\x00", "\x00\x08\x00\x00", "\x01\x00\x00", "\x02\x00\x00\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	for i := range byte(numQueries) {
		f.Add([]byte{3, i, i, i, i, i, i})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 40 {
			return // what takes more steps finds nothing that fewer do not
		}
		a := &adversary{t: t, h: newHostile(t), data: data}
		for len(a.data) > 0 {
			a.step()
		}
		exercise(t, a.h.dir)
		a.h.intact(t)
		if t.Failed() {
			t.Logf("steps:\n%s", strings.Join(a.done, "\n"))
		}
	})
}

// adversary makes choices by data.
type adversary struct {
	t    *testing.T
	h    *hostile
	data []byte
	done []string
}

func (a *adversary) choose(n int) int {
	if len(a.data) == 0 {
		return 0
	}
	b := a.data[0]
	a.data = a.data[1:]
	return int(b) % n
}

func pick[T any](a *adversary, all []T) T { return all[a.choose(len(all))] }

func (a *adversary) step() {
	switch a.choose(4) {
	case 0:
		name, kind := pick(a, a.places()), pick(a, kinds)
		a.note("a %s in the place of %s", kind, name)
		root, err := os.OpenRoot(a.h.dir)
		if err != nil {
			a.t.Fatal(err)
		}
		defer root.Close()
		if root.MkdirAll(filepath.Dir(name), 0o700) == nil && root.RemoveAll(name) == nil { // unless a link is in the way
			strange[kind](a.h, a.path(name))
		}
	case 1:
		name, mode := pick(a, a.places()), pick(a, []os.FileMode{0, 0o400, 0o777, 0o666 | os.ModeSetgid, 0o100})
		a.note("mode %v for %s", mode, name)
		if path := a.path(name); a.inside(path) {
			os.Chmod(path, mode)
		}
	case 2:
		name, at := pick(a, a.places()), a.choose(256)<<a.choose(14)
		content := pick(a, [][]byte{nil, {0}, bytes.Repeat([]byte{0xff}, 64), []byte("SQLite format 3\x00"), bytes.Repeat([]byte("../"), 300)})
		a.note("%.20q at %d in %s", content, at, name)
		if path := a.path(name); a.inside(path) {
			a.overwrite(path, content, int64(at))
		}
	case 3:
		a.query()
	}
}

func (a *adversary) note(format string, args ...any) {
	a.done = append(a.done, fmt.Sprintf(format, args...))
}

func (a *adversary) path(name string) string {
	return filepath.Join(a.h.dir, filepath.FromSlash(name))
}

// inside reports whether a path is of a file or folder of the store: it is the
// store that is to be attacked, and not what is outside.
func (a *adversary) inside(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return false
	}
	if linked, err := os.Stat(filepath.Join(a.h.sentinel, "file")); err == nil && os.SameFile(info, linked) {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	return err == nil && strings.HasPrefix(real, a.h.dir)
}

func (a *adversary) overwrite(path string, content []byte, at int64) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if content == nil {
		f.Truncate(at)
		return
	}
	f.WriteAt(content, at)
}

var kinds = []string{"link", "link to file", "link to none", "link inside", "other name", "pipe", "socket", "folder", "empty"}

// places are those of the store, and some that it does not have.
func (a *adversary) places() []string {
	return append(a.h.places(), valuesName+"/"+valuesName, sessionsName+"/"+strings.Repeat("e", 24)+"/"+session.LockFile,
		sessionsName+"/"+strings.Repeat("E", 24), sessionsName+"/..x", "a\nb", "\xff", "zz/yy/x.val", "001", "cache/c",
		"CACHE.DB", databaseName+"-probe-0", strings.Repeat("n", 250), strings.Repeat("d/", 100)+"f", reserveName)
}

// numQueries is how many there are that query chooses from.
const numQueries = 29

// query changes rows or the schema.
func (a *adversary) query() {
	which, table := a.choose(numQueries), pick(a, []string{"Cache", "Cache_1"})
	settings := strings.Replace(table, "Cache", "Settings", 1)
	name := strings.ReplaceAll(pick(a, []string{
		"../home/file", a.h.sentinel + "/file", valuesName + "/../../home/file", "zz/file", "zz/" + session.LockFile, sessionsName + "/" + deadSession + "/" + session.LockFile,
		a.h.files[0], parent(a.h.files[0]), parent(parent(a.h.files[0])), "/", "/x", "//", "", ".", "..", "a\nb", "aa\\bb", strings.Repeat("x/", 3000),
		databaseName, "./" + databaseName, "Cache.DB", sessionsName, valuesName, valuesName + "/zz/file", valuesName + "/../" + databaseName,
	}), "'", "''")
	odd := pick(a, []string{"NULL", "'text'", "'" + name + "'", "x'00ff'", "''", "-1", "0", "1.5", "9e999", "9223372036854775807"})
	key := pick(a, []string{"count", "size", "hits", "cull_limit", "size_limit", "eviction_policy", "statistics", "tag_index", "disk_min_file_size", "new"})
	column := pick(a, []string{"key", "raw", "store_time", "expire_time", "access_time", "access_count", "tag", "size", "mode", "filename", "value", "rowid"})
	const endless = "(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n)"
	sql := [numQueries]string{
		"INSERT INTO Trash (path) VALUES ('" + name + "')",
		"UPDATE " + table + " SET filename = '" + name + "', mode = 2, size = 6",
		"UPDATE OR IGNORE " + table + " SET " + column + " = " + odd,
		"INSERT INTO " + table + " (key, raw, store_time, mode, filename, size) VALUES (" + odd + ", 1, 1, 2, '" + name + "', 6)",
		"UPDATE " + settings + " SET value = " + odd + " WHERE key = '" + key + "'",
		"INSERT OR REPLACE INTO " + settings + " VALUES ('" + key + "', " + odd + ")",
		"DELETE FROM " + settings,
		"UPDATE Collections SET name = '" + name + "', key_codec = " + odd + " WHERE id = 1",
		"INSERT OR IGNORE INTO Collections (id, name) VALUES (" + odd + ", '" + name + "')",
		"DELETE FROM Collections",
		"UPDATE Meta SET value = " + odd,
		"UPDATE sqlite_sequence SET seq = " + odd,
		"INSERT INTO Unsynced (path, sum, session, coll, row) VALUES ('" + name + "', " + odd + ", '" + deadSession + "', 1, " + odd + ")",
		"CREATE TRIGGER foreign_one AFTER INSERT ON " + table + " BEGIN DELETE FROM " + settings + "; END",
		"CREATE TRIGGER foreign_two AFTER UPDATE ON " + settings + " BEGIN INSERT INTO Trash (path) VALUES ('" + name + "'); END",
		"CREATE TRIGGER foreign_three BEFORE INSERT ON " + table + " WHEN " + endless + " BEGIN SELECT 1; END",
		"DROP TABLE Trash; CREATE VIEW Trash AS SELECT " + endless + " AS id, '" + name + "' AS path",
		"ALTER TABLE " + table + " RENAME TO old; CREATE VIEW " + table + " AS SELECT rowid, * FROM old",
		"CREATE VIRTUAL TABLE strange USING fts5(x)",
		"CREATE INDEX strange ON " + table + " (length(hex(value)))",
		"DROP INDEX " + table + "_key_raw",
		"DROP TABLE " + settings,
		"DROP TABLE Collections",
		"PRAGMA user_version = 99",
		"PRAGMA auto_vacuum = 0; VACUUM",
		"PRAGMA journal_mode = delete",
		"PRAGMA writable_schema = on; UPDATE sqlite_master SET sql = replace(sql, 'value', '" + name + "') WHERE tbl_name = '" + table + "'",
		"PRAGMA writable_schema = on; UPDATE sqlite_master SET rootpage = " + odd + " WHERE type = 'index'",
		"PRAGMA writable_schema = on; INSERT INTO sqlite_master SELECT type, name || 'x', tbl_name, rootpage, sql FROM sqlite_master",
	}[which]
	// SQLite follows links from the names next to the database's.
	for i, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		path := a.path(databaseName + suffix)
		if _, err := os.Lstat(path); (i == 0 || err == nil) && !a.inside(path) {
			return
		}
	}
	a.note("%.200q", sql)
	c, err := sqlite3.Open(a.path(databaseName), sqlite3.ReadWrite|sqlite3.DefaultVFS)
	if err != nil {
		return
	}
	defer c.Close()
	if err := c.Exec(sql); err != nil {
		a.note("which fails: %v", err)
	}
}

package table

import (
	"fmt"
	"strings"
)

// The format is kept in the database's user_version, which DiskCache leaves at
// 0. Format 2 adds the shared tables; a store without them is of format 1.
const (
	formatVersion = 2
	FormatFirst   = 1
	FormatShared  = 2
)

// part is a table, an index or a trigger of a store. In its SQL {T} stands for
// a table of rows and {S} for one of settings.
type part struct {
	kind string // as in sqlite_master
	name string
	on   string // the table that it belongs to
	sql  string
	also []string // what DiskCache makes in its place; serves as well
	lazy bool     // made by what needs it
}

// Where in ownParts and in sharedParts the tables and the index of keys are.
const (
	partSettings = iota
	partRows
	partKeys
)

// The tables of a collection: DiskCache's for the default collection, and the
// same with a number for each named one that has tables of its own.
//
// The triggers have DiskCache's names and meaning, but a condition each, so
// that a write which changes neither count nor size leaves the page of the
// counters alone. "size" counts the bytes of value files in the default
// collection, as DiskCache does, and of all values in a named one, where it
// is the volume that eviction goes by. DiskCache creates the indexes on
// expire_time and tag without or with their condition; both serve.
//
// The index on what a policy evicts by is made by the first eviction: to keep it
// up to date would double the cost of every write before.
var ownParts = []part{
	{kind: "table", name: "{S}", on: "{S}", sql: "CREATE TABLE {S} (key TEXT NOT NULL UNIQUE, value)"},
	{kind: "table", name: "{T}", on: "{T}", sql: "CREATE TABLE {T} (\n" +
		" rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER,\n" + columnsOfRows},
	{kind: "index", name: "{T}_key_raw", on: "{T}", sql: "CREATE UNIQUE INDEX {T}_key_raw ON {T}(key, raw)"},
	{kind: "index", name: "{T}_expire_time", on: "{T}",
		sql:  "CREATE INDEX {T}_expire_time ON {T} (expire_time) WHERE expire_time IS NOT NULL",
		also: []string{"CREATE INDEX {T}_expire_time ON {T} (expire_time)"}},
	{kind: "trigger", name: "{S}_count_insert", on: "{T}",
		sql: "CREATE TRIGGER {S}_count_insert AFTER INSERT ON {T} FOR EACH ROW BEGIN\n" +
			" UPDATE {S} SET value = value + 1 WHERE key = 'count'; END"},
	{kind: "trigger", name: "{S}_count_delete", on: "{T}",
		sql: "CREATE TRIGGER {S}_count_delete AFTER DELETE ON {T} FOR EACH ROW BEGIN\n" +
			" UPDATE {S} SET value = value - 1 WHERE key = 'count'; END"},
	{kind: "trigger", name: "{S}_size_insert", on: "{T}",
		sql: "CREATE TRIGGER {S}_size_insert AFTER INSERT ON {T} FOR EACH ROW WHEN NEW.size <> 0 BEGIN\n" +
			" UPDATE {S} SET value = value + NEW.size WHERE key = 'size'; END",
		also: []string{"CREATE TRIGGER {S}_size_insert AFTER INSERT ON {T} FOR EACH ROW BEGIN" +
			" UPDATE {S} SET value = value + NEW.size WHERE key = 'size'; END"}},
	{kind: "trigger", name: "{S}_size_update", on: "{T}",
		sql: "CREATE TRIGGER {S}_size_update AFTER UPDATE OF size ON {T} FOR EACH ROW WHEN NEW.size <> OLD.size BEGIN\n" +
			" UPDATE {S} SET value = value + NEW.size - OLD.size WHERE key = 'size'; END",
		also: []string{"CREATE TRIGGER {S}_size_update AFTER UPDATE ON {T} FOR EACH ROW BEGIN" +
			" UPDATE {S} SET value = value + NEW.size - OLD.size WHERE key = 'size'; END"}},
	{kind: "trigger", name: "{S}_size_delete", on: "{T}",
		sql: "CREATE TRIGGER {S}_size_delete AFTER DELETE ON {T} FOR EACH ROW WHEN OLD.size <> 0 BEGIN\n" +
			" UPDATE {S} SET value = value - OLD.size WHERE key = 'size'; END",
		also: []string{"CREATE TRIGGER {S}_size_delete AFTER DELETE ON {T} FOR EACH ROW BEGIN" +
			" UPDATE {S} SET value = value - OLD.size WHERE key = 'size'; END"}},
	{kind: "index", name: "{T}_store_time", on: "{T}", lazy: true, sql: "CREATE INDEX {T}_store_time ON {T} (store_time)"},
	{kind: "index", name: "{T}_access_time", on: "{T}", lazy: true, sql: "CREATE INDEX {T}_access_time ON {T} (access_time)"},
	{kind: "index", name: "{T}_access_count", on: "{T}", lazy: true, sql: "CREATE INDEX {T}_access_count ON {T} (access_count)"},
	{kind: "index", name: "{T}_tag_rowid", on: "{T}", lazy: true,
		sql:  "CREATE INDEX {T}_tag_rowid ON {T}(tag, rowid) WHERE tag IS NOT NULL",
		also: []string{"CREATE INDEX {T}_tag_rowid ON {T}(tag, rowid)"}},
}

const columnsOfRows = " store_time REAL, expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0,\n" +
	" tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB)"

// The tables that collections share which have none of their own: SQLite reads
// the whole schema whenever it has changed, so that thousands of tables would
// make every new one slower. coll tells whose a row is. The row of settings with
// coll 0 counts the bytes of all of them.
var sharedParts = []part{
	{kind: "table", name: "{S}", on: "{S}",
		sql: "CREATE TABLE {S} (coll INTEGER NOT NULL, key TEXT NOT NULL, value, PRIMARY KEY (coll, key)) WITHOUT ROWID"},
	{kind: "table", name: "{T}", on: "{T}", sql: "CREATE TABLE {T} (\n" +
		" rowid INTEGER PRIMARY KEY, coll INTEGER NOT NULL, key BLOB, raw INTEGER,\n" + columnsOfRows},
	{kind: "index", name: "{T}_key_raw", on: "{T}", sql: "CREATE UNIQUE INDEX {T}_key_raw ON {T}(coll, key, raw)"},
	{kind: "index", name: "{T}_expire_time", on: "{T}",
		sql: "CREATE INDEX {T}_expire_time ON {T} (coll, expire_time) WHERE expire_time IS NOT NULL"},
	{kind: "trigger", name: "{S}_count_insert", on: "{T}",
		sql: "CREATE TRIGGER {S}_count_insert AFTER INSERT ON {T} FOR EACH ROW BEGIN\n" +
			" UPDATE {S} SET value = value + 1 WHERE coll = NEW.coll AND key = 'count'; END"},
	{kind: "trigger", name: "{S}_count_delete", on: "{T}",
		sql: "CREATE TRIGGER {S}_count_delete AFTER DELETE ON {T} FOR EACH ROW BEGIN\n" +
			" UPDATE {S} SET value = value - 1 WHERE coll = OLD.coll AND key = 'count'; END"},
	{kind: "trigger", name: "{S}_size_insert", on: "{T}",
		sql: "CREATE TRIGGER {S}_size_insert AFTER INSERT ON {T} FOR EACH ROW WHEN NEW.size <> 0 BEGIN\n" +
			" UPDATE {S} SET value = value + NEW.size WHERE coll IN (0, NEW.coll) AND key = 'size'; END"},
	{kind: "trigger", name: "{S}_size_update", on: "{T}",
		sql: "CREATE TRIGGER {S}_size_update AFTER UPDATE OF size ON {T} FOR EACH ROW WHEN NEW.size <> OLD.size BEGIN\n" +
			" UPDATE {S} SET value = value + NEW.size - OLD.size WHERE coll IN (0, NEW.coll) AND key = 'size'; END"},
	{kind: "trigger", name: "{S}_size_delete", on: "{T}",
		sql: "CREATE TRIGGER {S}_size_delete AFTER DELETE ON {T} FOR EACH ROW WHEN OLD.size <> 0 BEGIN\n" +
			" UPDATE {S} SET value = value - OLD.size WHERE coll IN (0, OLD.coll) AND key = 'size'; END"},
	{kind: "index", name: "{T}_store_time", on: "{T}", lazy: true, sql: "CREATE INDEX {T}_store_time ON {T} (coll, store_time)"},
	{kind: "index", name: "{T}_access_time", on: "{T}", lazy: true, sql: "CREATE INDEX {T}_access_time ON {T} (coll, access_time)"},
	{kind: "index", name: "{T}_access_count", on: "{T}", lazy: true, sql: "CREATE INDEX {T}_access_count ON {T} (coll, access_count)"},
	{kind: "index", name: "{T}_tag_rowid", on: "{T}", lazy: true,
		sql: "CREATE INDEX {T}_tag_rowid ON {T}(coll, tag, rowid) WHERE tag IS NOT NULL"},
}

// The tables that only this project knows. The number of a collection that was
// dropped is not used again: a process that has it open must not find another
// one in its place. Trash lists value files that no row refers to any more and
// that are still to be removed; Unsynced those that may not be on the disk yet
// though their rows are in the log: a store that was made before there was such
// a list gets it when it is opened for writing.
var storeParts = []part{
	{kind: "table", name: "Collections", on: "Collections",
		sql: "CREATE TABLE Collections (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, key_codec TEXT, value_codec TEXT)"},
	{kind: "table", name: "Meta", on: "Meta", sql: "CREATE TABLE Meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID"},
	{kind: "table", name: "Trash", on: "Trash", sql: "CREATE TABLE Trash (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL)"},
	partUnsynced: {kind: "table", name: "Unsynced", on: "Unsynced", lazy: true,
		sql: "CREATE TABLE Unsynced (id INTEGER PRIMARY KEY, path TEXT NOT NULL, sum INTEGER, session TEXT, coll INTEGER, row INTEGER)"},
}

// partUnsynced is where in storeParts the list is.
const partUnsynced = 3

// CreateUnsynced makes the list.
var CreateUnsynced = storeParts[partUnsynced].sql

// FirstRows makes the first rows of those tables.
const FirstRows = "INSERT OR IGNORE INTO Collections (id, name) VALUES (0, '');" +
	"INSERT OR IGNORE INTO Meta VALUES ('fence', 0);"

// Create returns the SQL that makes those parts that are missing, and triggers with a
// condition of those that DiskCache has made without. Where there are tables already,
// the index of keys comes apart: rows with equal keys keep it from being made.
func (t *Tables) Create(have Set) (sql, keys string) {
	var b strings.Builder
	for i, p := range t.parts {
		switch {
		case have.other.has(i) && p.kind == "trigger":
			fmt.Fprintf(&b, "DROP TRIGGER %s;", t.Expand(p.name))
		case have.all.has(i) || p.lazy:
			continue
		case i == partKeys && have.all != 0:
			keys = t.Expand(p.sql)
			continue
		}
		b.WriteString(t.Expand(p.sql) + ";")
	}
	return b.String(), keys
}

// Set says which parts of some tables there are, and which of these are as only
// DiskCache makes them.
type Set struct{ all, other bits }

type bits uint32

func (b bits) has(i int) bool { return b&(1<<i) != 0 }

// HasKeys reports whether there is the index of keys.
func (f *Set) HasKeys() bool { return f.all.has(partKeys) }

// DropKeys returns the SQL that drops the index of keys, and takes it out of the set.
func (t *Tables) DropKeys(have *Set) string {
	have.all &^= 1 << partKeys
	return "DROP INDEX " + t.Expand(t.parts[partKeys].name)
}

// Lost names the parts that are not there.
func (t *Tables) Lost(have Set) []string {
	var out []string
	for i, p := range t.parts {
		if !have.all.has(i) && !p.lazy {
			out = append(out, fmt.Sprintf("%s %q", p.kind, t.Expand(p.name)))
		}
	}
	return out
}

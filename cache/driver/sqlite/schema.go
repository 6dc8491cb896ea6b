package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

// The format is kept in the database's user_version, which DiskCache leaves at
// 0. Format 2 adds the shared tables; a store without them is of format 1.
const (
	formatVersion = 2
	formatFirst   = 1
	formatShared  = 2
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

// storeRows are the first rows of those tables.
const storeRows = "INSERT OR IGNORE INTO Collections (id, name) VALUES (0, '');" +
	"INSERT OR IGNORE INTO Meta VALUES ('fence', 0);"

// prepareSchema brings the database up to date, and writes nothing if it is.
func (w *writer) prepareSchema(ctx context.Context, deadline time.Time) error {
	sc, err := w.conn.inspect()
	if err != nil {
		return w.conn.waitErr(err)
	}
	if sc.ready() && sc.store.all.has(partUnsynced) {
		// The mode is a property of the file, so this asks and writes nothing.
		return w.conn.setJournalMode(w.core.opts.JournalMode)
	}
	// Others of this project that open a new store wait for the lock; Python,
	// which does not, makes SQLite's busy handler wait.
	if err := w.turns.Lock(ctx, deadline); err != nil {
		return turnErr(ctx, err)
	}
	defer w.turns.Unlock()
	for _, pragma := range []string{
		// Both count only as long as the database is empty.
		fmt.Sprintf("PRAGMA page_size = %d", w.core.opts.PageSize),
		fmt.Sprintf("PRAGMA auto_vacuum = %s", w.core.opts.AutoVacuum),
	} {
		if err := w.conn.Exec(pragma); err != nil {
			return w.conn.waitErr(err)
		}
	}
	if err := w.conn.setJournalMode(w.core.opts.JournalMode); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	if err := w.createSchema(); err != nil {
		w.rollback()
		return translate(err)
	}
	return w.commit()
}

func (w *writer) createSchema() error {
	sc, err := w.conn.inspect()
	if err != nil {
		return err
	}
	if !sc.store.all.has(partUnsynced) { // somebody may have been faster
		err = w.conn.Exec(storeParts[partUnsynced].sql)
	}
	if err != nil || sc.ready() {
		return err
	}
	if err := w.conn.createParts(ownParts, defaultTables, sc.own[0]); err != nil {
		return err
	}
	if err := w.conn.insertSettings(newCollection(w.core, "", 0), diskcacheSettings(w.core.opts)); err != nil {
		return err
	}
	if err := w.conn.createParts(storeParts, defaultTables, sc.store); err != nil {
		return err
	}
	return w.conn.Exec(storeRows + fmt.Sprintf("PRAGMA user_version = %d;", formatFirst))
}

// createParts makes those parts that are missing, and triggers with a condition
// of those that DiskCache has made without. Where rows with equal keys keep an
// index from being made, a check finds them.
func (cn *conn) createParts(parts []part, t *tables, have partSet) error {
	var sql strings.Builder
	var unique string
	for i, p := range parts {
		switch {
		case have.other.has(i) && p.kind == "trigger":
			fmt.Fprintf(&sql, "DROP TRIGGER %s;", t.expand(p.name))
		case have.all.has(i) || p.lazy:
			continue
		case i == partKeys && have.all != 0:
			unique = t.expand(p.sql)
			continue
		}
		sql.WriteString(t.expand(p.sql) + ";")
	}
	if err := cn.Exec(sql.String()); err != nil {
		return err
	}
	err := cn.Exec(unique)
	if lite.IsConstraint(err) {
		cn.core.log.Warn("the index of keys cannot be made, since several rows have one key: run Check with Mend", "table", t.rows)
		return nil
	}
	return err
}

// checkSchema refuses a database that is not a store's, before anything is
// written. For a store that is only read it is all: a directory that Python
// made is fine without our own tables.
func (c *core) checkSchema(ctx context.Context) error {
	cn, err := c.readers.take(ctx, c.opts.Timeout)
	if err != nil {
		return err
	}
	defer c.readers.put(cn)
	sc, err := cn.inspect()
	if err != nil {
		return cn.waitErr(err)
	}
	if sc.empty {
		if c.opts.ReadOnly {
			return fmt.Errorf("the database is empty, and a read-only store is not created: %w", driver.ErrNotStore)
		}
		return nil
	}
	c.cataloged.Store(sc.ready())
	if len(sc.extra) > 0 {
		c.log.Info("the database has tables or indexes of other programs, which are left alone", "objects", sc.extra)
	}
	if missing := sc.missing(); sc.ready() && len(missing) > 0 {
		c.log.Warn("parts of the database are missing: run Check with Mend", "objects", missing)
	}
	return nil
}

// watchSchema refuses to go on if somebody has put something into the schema
// since it was looked at. It is called in a transaction that can write, after
// another connection has committed.
func (w *writer) watchSchema() error {
	version, err := w.conn.integer("PRAGMA schema_version")
	if err != nil || version == w.schema {
		return err
	}
	if _, err := w.conn.inspect(); err != nil {
		return err
	}
	w.schema = version
	return nil
}

package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// formatVersion is kept in the database's user_version. DiskCache leaves that
// at 0.
const formatVersion = 1

// The tables of a collection: DiskCache's for the default collection, and the
// same with a number for each named one.
//
// The triggers have DiskCache's names and meaning, but a condition each, so
// that a write which changes neither count nor size leaves the page of the
// counters alone. "size" counts the bytes of value files in the default
// collection, as DiskCache does, and of all values in a named one, where it
// is the volume that eviction goes by. DiskCache creates the index on
// expire_time without its condition; under the same name both serve.
const collectionSchema = `
CREATE TABLE IF NOT EXISTS %[2]s (key TEXT NOT NULL UNIQUE, value);
CREATE TABLE IF NOT EXISTS %[1]s (
 rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER,
 store_time REAL, expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0,
 tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS %[1]s_key_raw ON %[1]s(key, raw);
CREATE INDEX IF NOT EXISTS %[1]s_expire_time ON %[1]s (expire_time) WHERE expire_time IS NOT NULL;
`

const collectionTriggers = `
DROP TRIGGER IF EXISTS %[2]s_count_insert;
CREATE TRIGGER %[2]s_count_insert AFTER INSERT ON %[1]s FOR EACH ROW BEGIN
 UPDATE %[2]s SET value = value + 1 WHERE key = 'count'; END;
DROP TRIGGER IF EXISTS %[2]s_count_delete;
CREATE TRIGGER %[2]s_count_delete AFTER DELETE ON %[1]s FOR EACH ROW BEGIN
 UPDATE %[2]s SET value = value - 1 WHERE key = 'count'; END;
DROP TRIGGER IF EXISTS %[2]s_size_insert;
CREATE TRIGGER %[2]s_size_insert AFTER INSERT ON %[1]s FOR EACH ROW WHEN NEW.size <> 0 BEGIN
 UPDATE %[2]s SET value = value + NEW.size WHERE key = 'size'; END;
DROP TRIGGER IF EXISTS %[2]s_size_update;
CREATE TRIGGER %[2]s_size_update AFTER UPDATE OF size ON %[1]s FOR EACH ROW WHEN NEW.size <> OLD.size BEGIN
 UPDATE %[2]s SET value = value + NEW.size - OLD.size WHERE key = 'size'; END;
DROP TRIGGER IF EXISTS %[2]s_size_delete;
CREATE TRIGGER %[2]s_size_delete AFTER DELETE ON %[1]s FOR EACH ROW WHEN OLD.size <> 0 BEGIN
 UPDATE %[2]s SET value = value - OLD.size WHERE key = 'size'; END;
`

// The tables that only this project knows. The number of a collection that was
// dropped is not used again: a process that has it open must not find another
// one in its place. Trash lists value files that no row refers to any more and
// that are still to be removed.
const storeSchema = `
CREATE TABLE IF NOT EXISTS Collections (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, key_codec TEXT, value_codec TEXT);
INSERT OR IGNORE INTO Collections (id, name) VALUES (0, '');
CREATE TABLE IF NOT EXISTS Meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT OR IGNORE INTO Meta VALUES ('fence', 0);
CREATE TABLE IF NOT EXISTS Trash (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL);
`

// prepareSchema brings the database up to date, and writes nothing if it is.
func (w *writer) prepareSchema(ctx context.Context, deadline time.Time) error {
	ready, err := w.conn.schemaReady()
	if err != nil {
		return err
	}
	if ready {
		// The mode is a property of the file, so this asks and writes nothing.
		return w.conn.setJournalMode(w.core.opts.JournalMode)
	}
	// Others of this project that open a new store wait for the lock; Python,
	// which does not, makes SQLite's busy handler wait.
	if err := w.dir.lock(ctx, deadline, aside); err != nil {
		return err
	}
	defer w.dir.unlock()
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
	// Somebody may have been faster.
	if ready, err := w.conn.schemaReady(); ready || err != nil {
		return err
	}
	if err := w.conn.createTables("Cache", "Settings"); err != nil {
		return err
	}
	if err := w.conn.insertSettings("Settings", diskcacheSettings(w.core.opts)); err != nil {
		return err
	}
	return w.conn.Exec(storeSchema + fmt.Sprintf("PRAGMA user_version = %d;", formatVersion))
}

// createTables makes the tables, indexes and triggers of a collection, as far
// as they are missing.
func (cn *conn) createTables(table, settings string) error {
	return cn.Exec(fmt.Sprintf(collectionSchema+collectionTriggers, table, settings))
}

// schemaReady reports whether the database has all that this version needs.
// A database that is somebody else's, or a newer version's, is an error.
func (cn *conn) schemaReady() (bool, error) {
	version, err := cn.integer("PRAGMA user_version")
	if err != nil {
		return false, cn.waitErr(err)
	}
	switch {
	case version > formatVersion && version < 1000:
		return false, fmt.Errorf("the directory has format %d, this version reads up to %d: use a newer version of the module: %w", version, formatVersion, driver.ErrNewerFormat)
	}
	s, err := cn.query("SELECT group_concat(name, ',') FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
	if err != nil {
		return false, err
	}
	defer s.Reset()
	row, err := s.Step()
	if err != nil || !row {
		return false, translate(err)
	}
	names := "," + s.ColumnText(0) + ","
	if names == ",," && version == 0 {
		return false, nil
	}
	ours := strings.Contains(names, ",Collections,") && strings.Contains(names, ",Meta,") && strings.Contains(names, ",Trash,")
	if !strings.Contains(names, ",Cache,") || !strings.Contains(names, ",Settings,") || version != 0 && !(version == formatVersion && ours) {
		return false, fmt.Errorf("the database has tables of another program: give another directory: %w", driver.ErrNotStore)
	}
	// Another program may have tables of the same names.
	n, err := cn.integer("SELECT count(*) FROM pragma_table_info('Cache') WHERE name IN" +
		" ('rowid', 'key', 'raw', 'store_time', 'expire_time', 'access_time', 'access_count', 'tag', 'size', 'mode', 'filename', 'value')")
	if err != nil {
		return false, err
	}
	m, err := cn.integer("SELECT count(*) FROM pragma_table_info('Settings') WHERE name IN ('key', 'value')")
	if err != nil {
		return false, err
	}
	if n != 12 || m != 2 {
		return false, fmt.Errorf("the database has tables of another program: give another directory: %w", driver.ErrNotStore)
	}
	return version == formatVersion, nil
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
	ready, err := cn.schemaReady()
	if err != nil || ready || !c.opts.ReadOnly {
		return err
	}
	n, err := cn.integer("SELECT count(*) FROM sqlite_master WHERE name = 'Cache'")
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("the database is empty, and a read-only store is not created: %w", driver.ErrNotStore)
	}
	return nil
}

package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
)

// The writer makes the tables of a new store when it is opened, and looks at the schema again
// whenever another connection has changed it. Package table says what belongs there, and what
// must not.

// prepareSchema brings the database up to date, and writes nothing if it is.
func (w *writer) prepareSchema(ctx context.Context, deadline time.Time) error {
	sc, err := w.conn.inspect()
	if err != nil {
		return w.conn.waitErr(err)
	}
	if sc.Ready() && sc.HasUnsynced() {
		// The mode is a property of the file, so this asks and writes nothing.
		return w.conn.setJournalMode(w.core.opts.JournalMode)
	}
	// Others of this project that open a new store wait for the lock; Python,
	// which does not, makes SQLite's busy handler wait.
	if err := w.turnstile.Lock(ctx, deadline); err != nil {
		return turnErr(ctx, err)
	}
	defer w.turnstile.Unlock()
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

// createSchema makes the tables that are missing, in a transaction.
func (w *writer) createSchema() error {
	sc, err := w.conn.inspect()
	if err != nil {
		return err
	}
	if !sc.HasUnsynced() { // another process may have made it meanwhile
		err = w.conn.Exec(table.CreateUnsynced)
	}
	if err != nil || sc.Ready() {
		return err
	}
	if err := w.conn.create(table.Default, sc.Of(0)); err != nil {
		return err
	}
	if err := w.conn.insertSettings(newCollection(w.core, "", 0), diskcacheSettings(w.core.opts)); err != nil {
		return err
	}
	if err := w.conn.create(table.Store, sc.OfStore()); err != nil {
		return err
	}
	return w.conn.Exec(table.FirstRows + fmt.Sprintf("PRAGMA user_version = %d;", table.FormatFirst))
}

// create makes those parts of some tables that are missing. Where rows with equal keys
// keep an index from being made, a check finds them.
func (cn *conn) create(t *table.Tables, have table.Set) error {
	sql, keys := t.Create(have)
	if err := cn.Exec(sql); err != nil {
		return err
	}
	err := cn.Exec(keys)
	if sqlite3.IsConstraint(err) {
		cn.core.log.Warn("the index of keys cannot be made, since several rows have one key: run Check with Mend", "table", t.Rows)
		return nil
	}
	return err
}

// inspect looks at everything in the database's schema. It is an error if the
// database is somebody else's or a newer version's, or has something in it that
// could run.
func (cn *conn) inspect() (*table.Schema, error) {
	version, err := cn.integer("PRAGMA user_version")
	if err != nil {
		return nil, err
	}
	encoding, err := cn.text("PRAGMA encoding")
	if err != nil {
		return nil, err
	}
	sc := table.NewSchema(version)
	if err := cn.each(table.Objects, sc.Read); err != nil {
		return nil, err
	}
	return sc, sc.Judge(encoding)
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
	if sc.Empty {
		if c.opts.ReadOnly {
			return fmt.Errorf("the database is empty, and a read-only store is not created: %w", driver.ErrNotStore)
		}
		return nil
	}
	c.cataloged.Store(sc.Ready())
	if len(sc.Extra) > 0 {
		c.log.Info("the database has tables or indexes of other programs, which are left alone", "objects", sc.Extra)
	}
	if missing := sc.Missing(); sc.Ready() && len(missing) > 0 {
		c.log.Warn("parts of the database are missing: run Check with Mend", "objects", missing)
	}
	return nil
}

// watchSchema refuses to go on if something that could run has come into the schema
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

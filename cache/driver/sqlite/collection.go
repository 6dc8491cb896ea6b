package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/access"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
)

// collection is the default collection or a named one. Names belong to numbers
// in the catalog, table Collections.
type collection struct {
	core     *core
	name     string
	id       int64 // its number; 0: the default collection
	tables   *table.Tables
	settings atomic.Pointer[driver.Settings]
	reads    access.Reads
	looked   atomic.Int64 // when the settings were last read by a reader, in Unix nanoseconds
	dropped  atomic.Bool
	codecs   atomic.Pointer[entry] // their names, as Open has read or written them last
	settled  atomic.Uint64         // epoch of the near cache when the settings were read
	told     atomic.Bool           // of damaged settings

	// What follows is known under the write lock, and stale if epoch is not
	// the writer's.
	epoch           uint64
	nextExpiry      driver.Instant // no row expires before; if known
	nextExpiryKnown bool
	room            int64 // bytes that can surely be added before the size limit is reached
	endKeys         endKeys
}

// Name implements [driver.Collection].
func (c *collection) Name() string { return c.name }

// Settings implements [driver.Collection].
func (c *collection) Settings() driver.Settings { return *c.settings.Load() }

// Codecs implements [driver.Coded].
func (c *collection) Codecs() (keys, values string) {
	e := c.codecs.Load()
	return e.keyCodec, e.valueCodec
}

func newCollection(core *core, name string, id int64) *collection {
	return &collection{core: core, name: name, id: id, tables: table.Of(id)}
}

// errDropped is what remains of a collection after Drop.
var errDropped error = droppedError{}

type droppedError struct{}

func (droppedError) Error() string {
	return "the collection was dropped: open it again to have a new one"
}
func (droppedError) Is(target error) bool { return target == driver.ErrClosed }

// explain makes of a missing table what it means: all others were there when the
// store was opened.
func (c *collection) explain(err error) error {
	if name := sqlite3.MissingTable(err); c.id != 0 && (name == c.tables.Rows || name == c.tables.Settings) {
		return errDropped
	}
	return translate(err)
}

var errMissing = fmt.Errorf("collection does not exist: %w", driver.ErrNotFound)

// Open implements [driver.Store].
func (s *Store) Open(ctx context.Context, name string, spec driver.Spec) (driver.Collection, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	c, err := s.openExisting(ctx, name, spec)
	if err != nil {
		return nil, err
	}
	if c != nil {
		return c, nil
	}
	if s.ReadOnly() && !spec.Existing {
		return nil, fmt.Errorf("collection does not exist: %w", driver.ErrReadOnly)
	}
	if s.ReadOnly() {
		return nil, errMissing
	}
	err = s.Update(ctx, driver.Alone, func(t driver.Tx) error {
		c, err = s.core.openInTx(t.(*tx), name, spec)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.core.adopt(c), nil
}

// openExisting opens a collection that is there and needs no change. It
// returns nil if it has to be written to.
func (s *Store) openExisting(ctx context.Context, name string, spec driver.Spec) (*collection, error) {
	if err := s.core.readable(); err != nil {
		return nil, err
	}
	cn, err := s.core.readers.take(ctx, s.timeout)
	if err != nil {
		return nil, err
	}
	defer s.core.readers.put(cn)
	e, ok, err := cn.entry(name)
	if err != nil {
		return nil, cn.waitErr(err)
	}
	switch {
	case !ok && spec.Existing:
		return nil, errMissing
	case !ok:
		return nil, nil
	}
	if err := e.check(spec); err != nil {
		return nil, err
	}
	c := newCollection(s.core, name, e.id)
	stored, err := cn.readSettings(c)
	if err != nil {
		err = c.explain(cn.waitErr(err))
		if errors.Is(err, errDropped) {
			return nil, nil // just now: create it
		}
		return nil, err
	}
	wanted := stored
	if spec.Configure != nil {
		spec.Configure(&wanted)
	}
	if !s.ReadOnly() && (wanted != stored || e.incomplete(spec)) {
		return nil, nil
	}
	c.settings.Store(&stored)
	c.codecs.Store(&e)
	return s.core.adopt(c), nil
}

// openInTx creates the collection, or changes what spec wants different.
func (c *core) openInTx(t *tx, name string, spec driver.Spec) (*collection, error) {
	e, exists, err := t.conn.entry(name)
	if err != nil {
		return nil, t.fail(err)
	}
	if exists {
		if err := e.check(spec); err != nil {
			return nil, err
		}
	} else {
		if spec.Existing {
			return nil, errMissing
		}
		e = entry{}
		if e.id, err = t.conn.nextNumber(); err != nil {
			return nil, t.fail(err)
		}
	}
	coll := c.known(name, e.id)
	if coll == nil {
		coll = newCollection(c, name, e.id)
	}
	if exists {
		if _, err := t.conn.readSettings(coll); errors.Is(coll.explain(err), errDropped) {
			return nil, t.fail(fmt.Errorf("%w: the catalog has the collection, and there are no tables of it: run Check with Mend", driver.ErrCorrupt))
		}
	} else {
		if err := t.createTables(coll); err != nil {
			return nil, t.fail(err)
		}
		initial := append(settingRows(spec.Settings), counterRows()...)
		if err := t.conn.insertSettings(coll, initial); err != nil {
			return nil, t.fail(err)
		}
	}
	if !exists || e.incomplete(spec) {
		if err := t.conn.putEntry(e.id, name, spec); err != nil {
			return nil, t.fail(err)
		}
	}
	configure := spec.Configure
	if configure == nil {
		configure = func(*driver.Settings) {}
	}
	s, err := t.configure(coll, configure)
	if err != nil {
		return nil, err
	}
	if !exists && s.TagIndex && spec.Settings.TagIndex {
		if err := t.createTagIndex(coll); err != nil {
			return nil, t.fail(err)
		}
	}
	// Another process may have changed them before; a change of this
	// transaction takes effect with its commit.
	coll.settings.CompareAndSwap(nil, &s)
	coll.codecs.Store(&entry{e.id, cmp.Or(e.keyCodec, spec.KeyCodec), cmp.Or(e.valueCodec, spec.ValueCodec)})
	return coll, nil
}

// inserted returns the ID of a row that was just inserted.
func (c *collection) inserted(rowid int64) (int64, error) {
	id, ok := c.tables.RowID(c.id, rowid)
	if !ok {
		return 0, fmt.Errorf("%w: no number is left for a new row of the collection", driver.ErrFull)
	}
	return id, nil
}

// known returns the process's collection of a name, if it has that number.
func (c *core) known(name string, id int64) *collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.colls[name]; old != nil && old.id == id && !old.dropped.Load() {
		return old
	}
	return nil
}

// adopt makes coll the process's collection of its name, or returns the one
// that is it already. That one has settings at least as new.
func (c *core) adopt(coll *collection) *collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.colls[coll.name]
	if old != nil && old.id == coll.id && !old.dropped.Load() {
		old.codecs.Store(coll.codecs.Load())
		return old
	}
	if old != nil {
		old.dropped.Store(true)
	}
	c.colls[coll.name] = coll
	return coll
}

// opened returns the collections that this process has opened.
func (c *core) opened() []*collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*collection
	for _, coll := range c.colls {
		out = append(out, coll)
	}
	return out
}

// Drop implements [driver.Store].
func (s *Store) Drop(ctx context.Context, name string) error {
	err := s.Update(ctx, driver.Alone, func(dt driver.Tx) error {
		t := dt.(*tx)
		e, ok, err := t.conn.entry(name)
		if err != nil || !ok {
			return err
		}
		c := s.core.known(name, e.id)
		if c == nil {
			c = newCollection(s.core, name, e.id)
		}
		if err := t.drop(c); err != nil {
			return t.fail(err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	signal(s.core.maintainer.trash)
	if name == "" {
		return nil
	}
	s.core.mu.Lock()
	c := s.core.colls[name]
	delete(s.core.colls, name)
	s.core.mu.Unlock()
	if c != nil {
		c.dropped.Store(true)
		s.core.watchers.Notify(c)
		s.core.watchers.Signal(c.Topic())
		s.core.readers.forget(c)
	}
	return nil
}

// drop removes the rows of c, and all of c if it has a name.
func (t *tx) drop(c *collection) error {
	t.changedAll()
	t.touch(c)
	// No trigger lists value files: they go to Trash before the rows are deleted.
	steps := []string{"INSERT INTO Trash (path) SELECT filename FROM {T} WHERE {all}filename IS NOT NULL"}
	switch {
	case c.id == 0:
		steps = append(steps, "DELETE FROM {T}")
	case c.tables.AreShared:
		steps = append(steps, "DELETE FROM {T} WHERE {in}true", "DELETE FROM {S} WHERE {in}true")
	default:
		steps = append(steps, "DROP TABLE {T}", "DROP TABLE {S}")
		t.conn.forget(c)
		t.core.writer.named = nil
	}
	if c.id != 0 {
		steps = append(steps, fmt.Sprintf("DELETE FROM Collections WHERE id = %d", c.id))
	}
	c.endKeys = endKeys{}
	for _, sql := range steps {
		if err := t.conn.do(c, sql); err != nil {
			return err
		}
	}
	return nil
}

// createTables makes the tables of c, which has none.
func (t *tx) createTables(c *collection) error {
	t.core.writer.named = nil
	if !c.tables.AreShared {
		return t.conn.create(c.tables, table.Set{})
	}
	ids, err := t.conn.owners()
	if err != nil || slices.Contains(ids, table.SharedFirst) {
		return err
	}
	if err := t.conn.create(c.tables, table.Set{}); err != nil {
		return err
	}
	return t.conn.Exec(fmt.Sprintf("INSERT INTO %s VALUES (0, 'size', 0); PRAGMA user_version = %d", c.tables.Settings, table.FormatShared))
}

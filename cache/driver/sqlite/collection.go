package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
	"github.com/go-diskcache/diskcache/codec"
)

// collection is a pair of tables: Cache and Settings for the default
// collection, Cache_N and Settings_N for the named one with number N.
type collection struct {
	core          *core
	name          string
	id            int64
	table         string
	settingsTable string
	settings      atomic.Pointer[driver.Settings]
	reads         reads
	looked        atomic.Int64 // when the settings were last read by a reader, in Unix nanoseconds
	dropped       atomic.Bool
	settled       atomic.Uint64 // epoch of the near cache when the settings were read

	// What follows is known under the write lock, and stale if epoch is not
	// the writer's.
	epoch           uint64
	nextExpiry      driver.Instant // no row expires before; if known
	nextExpiryKnown bool
	room            int64 // bytes that can surely be added before the size limit is reached
	edges           edges
}

// Name implements [driver.Collection].
func (c *collection) Name() string { return c.name }

// Settings implements [driver.Collection].
func (c *collection) Settings() driver.Settings { return *c.settings.Load() }

func newCollection(core *core, name string, id int64) *collection {
	c := &collection{core: core, name: name, id: id, table: "Cache", settingsTable: "Settings"}
	if id != 0 {
		c.table = fmt.Sprintf("Cache_%d", id)
		c.settingsTable = fmt.Sprintf("Settings_%d", id)
	}
	return c
}

// errDropped is what remains of a collection after Drop.
var errDropped error = droppedError{}

type droppedError struct{}

func (droppedError) Error() string {
	return "the collection was dropped: open it again to have a new one"
}
func (droppedError) Is(target error) bool { return target == driver.ErrClosed }

// explain makes of "no such table" what it means.
func (c *collection) explain(err error) error {
	var e *lite.Error
	if errors.As(err, &e) && (strings.HasSuffix(e.Msg, "no such table: "+c.table) || strings.HasSuffix(e.Msg, "no such table: "+c.settingsTable)) {
		return errDropped
	}
	return translate(err)
}

// entry is a line of the catalog.
type entry struct {
	id                   int64
	keyCodec, valueCodec string
}

// entry reads the catalog's line for a name. A directory that Python made and
// nobody has written to since has no catalog, and only the default collection.
func (cn *conn) entry(name string) (e entry, ok bool, err error) {
	s, err := cn.query("SELECT id, key_codec, value_codec FROM Collections WHERE name = ?1")
	if err != nil {
		var le *lite.Error
		if errors.As(err, &le) && strings.Contains(le.Msg, "no such table") {
			return e, name == "", nil
		}
		return e, false, err
	}
	defer s.Reset()
	s.BindText(1, name)
	ok, err = s.Step()
	if err != nil || !ok {
		return e, false, translate(err)
	}
	return entry{s.ColumnInt(0), s.ColumnText(1), s.ColumnText(2)}, true, nil
}

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
	if s.ReadOnly() {
		return nil, fmt.Errorf("collection does not exist: %w", driver.ErrReadOnly)
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
	cn, err := s.core.readers.take(ctx, s.timeout)
	if err != nil {
		return nil, err
	}
	defer s.core.readers.put(cn)
	e, ok, err := cn.entry(name)
	if err != nil {
		return nil, cn.waitErr(err)
	}
	if !ok {
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
	return s.core.adopt(c), nil
}

// check compares codecs. An empty name, stored or wanted, fits everything.
func (e entry) check(spec driver.Spec) error {
	for _, p := range []struct{ what, stored, wanted string }{
		{"keys", e.keyCodec, spec.KeyCodec},
		{"values", e.valueCodec, spec.ValueCodec},
	} {
		if p.stored != "" && p.wanted != "" && p.stored != p.wanted {
			return fmt.Errorf("%s are stored with codec %q and opened with %q: open with the stored one, or copy into a new collection: %w",
				p.what, p.stored, p.wanted, driver.ErrCodecMismatch)
		}
	}
	return nil
}

// incomplete reports whether spec names a codec where none is stored.
func (e entry) incomplete(spec driver.Spec) bool {
	return e.keyCodec == "" && spec.KeyCodec != "" || e.valueCodec == "" && spec.ValueCodec != ""
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
		e = entry{}
		if e.id, err = t.conn.integer("SELECT seq + 1 FROM sqlite_sequence WHERE name = 'Collections'"); err != nil {
			return nil, t.fail(err)
		}
	}
	coll := c.known(name, e.id)
	if coll == nil {
		coll = newCollection(c, name, e.id)
	}
	if !exists {
		if err := t.conn.createTables(coll.table, coll.settingsTable); err != nil {
			return nil, t.fail(err)
		}
		initial := append(settingRows(spec.Settings), counterRows()...)
		if err := t.conn.insertSettings(coll.settingsTable, initial); err != nil {
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
	return coll, nil
}

// putEntry writes a line of the catalog and keeps codecs that are stored.
func (cn *conn) putEntry(id int64, name string, spec driver.Spec) error {
	s, err := cn.query("INSERT INTO Collections (id, name, key_codec, value_codec) VALUES (?1, ?2, nullif(?3, ''), nullif(?4, ''))" +
		" ON CONFLICT (id) DO UPDATE SET key_codec = coalesce(key_codec, excluded.key_codec), value_codec = coalesce(value_codec, excluded.value_codec)")
	if err != nil {
		return err
	}
	s.BindInt(1, id)
	s.BindText(2, name)
	s.BindText(3, spec.KeyCodec)
	s.BindText(4, spec.ValueCodec)
	return s.Run()
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

// Names implements [driver.Store].
func (s *Store) Names(ctx context.Context) (names []string, err error) {
	err = s.View(ctx, func(t driver.Tx) error {
		names, err = t.(*tx).conn.names()
		return err
	})
	return names, err
}

func (cn *conn) names() ([]string, error) {
	s, err := cn.query("SELECT name FROM Collections ORDER BY name")
	if err != nil {
		return []string{""}, nil // a directory of Python's
	}
	defer s.Reset()
	var names []string
	for {
		row, err := s.Step()
		if err != nil || !row {
			return names, translate(err)
		}
		names = append(names, s.ColumnText(0))
	}
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
		s.core.watches.notify(c)
		s.core.watches.tell(c.topic())
		s.core.readers.forget(c)
	}
	return nil
}

func (t *tx) drop(c *collection) error {
	t.changedAll()
	t.changed(c)
	// AFTER triggers do not run for a DELETE of everything's file names: the
	// files are listed first.
	err := t.conn.Exec("INSERT INTO Trash (path) SELECT filename FROM " + c.table + " WHERE filename IS NOT NULL")
	if err != nil {
		return err
	}
	c.edges = edges{}
	if c.id == 0 {
		return t.conn.Exec("DELETE FROM " + c.table)
	}
	t.conn.forget(c)
	return t.conn.Exec(fmt.Sprintf("DROP TABLE %s; DROP TABLE %s; DELETE FROM Collections WHERE id = %d", c.table, c.settingsTable, c.id))
}

// stored is a value as the columns hold it.
type stored struct {
	size  int64
	mode  int64
	file  string
	value codec.Value
}

// DiskCache's modes of a value.
const (
	modeRaw    = 1 // in the column
	modeBinary = 2 // in a file, bytes
	modeText   = 3 // in a file, UTF-8
	modePickle = 4 // Python's pickle, in the column or a file
)

// inline returns the columns of a value that is kept in the row.
func (c *collection) inline(v codec.Value) stored {
	s := stored{mode: modeRaw, value: v}
	if c.id != 0 {
		s.size = valueSize(v)
	}
	return s
}

// valueSize returns the bytes that a value counts for.
func valueSize(v codec.Value) int64 {
	switch v.Kind() {
	case codec.Null:
		return 0
	case codec.Text, codec.Blob:
		return int64(v.Len())
	}
	return 8
}

// bind binds the columns size, mode, filename and value, from parameter i on.
func (v *stored) bind(s *lite.Stmt, i int) {
	s.BindInt(i, v.size)
	s.BindInt(i+1, v.mode)
	if v.file != "" {
		s.BindText(i+2, v.file)
		return
	}
	s.BindValue(i+3, v.value)
}

// scanRow reads the columns of rowColumns or bareColumns.
func (cn *conn) scanRow(s *lite.Stmt, r *driver.Row, bare bool) {
	r.ID = s.ColumnInt(0)
	r.Expire = expireColumn(s, 1)
	mode := s.ColumnInt(2)
	if mode != modeRaw {
		r.ForeignValue = mode == modePickle
		if r.File = s.ColumnText(3); r.File != "" {
			r.FileKind = codec.Blob
			if mode == modeText {
				r.FileKind = codec.Text
			}
			r.Size = s.ColumnInt(9)
		}
	}
	switch {
	case r.File != "":
	case bare:
		r.Size = s.ColumnInt(4)
	default:
		r.Value = s.ColumnValue(4)
		r.Size = valueSize(r.Value)
	}
	r.Stored = driver.Instant(s.ColumnReal(5))
	r.Accessed = driver.Instant(s.ColumnReal(6))
	r.Accesses = s.ColumnInt(7)
	if s.ColumnType(8) != codec.Null {
		r.Tag = s.ColumnValue(8)
	}
}

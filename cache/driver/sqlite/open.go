package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Opening a collection: a reader does it where nothing has to be written, and otherwise the
// writer, which also makes the tables of a new one.

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
	e, ok, err := cn.catalogEntry(name)
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
	e, exists, err := t.conn.catalogEntry(name)
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
		e = catalogEntry{}
		if e.id, err = t.conn.nextNumber(); err != nil {
			return nil, t.fail(err)
		}
	}
	coll := c.numbered(name, e.id)
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
		if err := t.conn.putCatalogEntry(e.id, name, spec); err != nil {
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
	coll.codecs.Store(&catalogEntry{e.id, cmp.Or(e.keyCodec, spec.KeyCodec), cmp.Or(e.valueCodec, spec.ValueCodec)})
	return coll, nil
}

package sqlite

import (
	"context"
	"errors"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// The methods of a transaction that change rows. Each looks the row up, changes it, and notes
// what watchers, near caches and the end-key cache have to be told.

// Put implements [driver.Tx].
func (t *tx) Put(ctx context.Context, h driver.Collection, p driver.Put) ([]driver.Row, error) {
	c, err := t.admit(ctx, h, true)
	if err != nil {
		return nil, err
	}
	return t.putOne(c, &p, nil)
}

// PutMany implements [driver.Tx].
func (t *tx) PutMany(ctx context.Context, h driver.Collection, ps []driver.Put) (gone []driver.Row, err error) {
	c, err := t.admit(ctx, h, true)
	if err != nil {
		return nil, err
	}
	for i := range ps {
		if gone, err = t.putOne(c, &ps[i], gone); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// putOne puts a row and makes room. It adds the rows that are gone to gone.
func (t *tx) putOne(c *collection, p *driver.Put, gone []driver.Row) ([]driver.Row, error) {
	if p.Key.IsNull() {
		return nil, errors.New("a key cannot be NULL")
	}
	s := c.settings.Load()
	if p.Expired {
		r, ok, err := t.lookup(c, p.Key, driver.Lookup{Quiet: true, Bare: true})
		if err != nil {
			return nil, t.fail(c.explain(err))
		}
		if ok && s.Over(r.Stored, r.Expire, p.Now) {
			gone = append(gone, r)
		}
	}
	if err := t.put(c, p); err != nil {
		return nil, t.fail(c.explain(err))
	}
	toCull := p.Room(s)
	if toCull <= 0 {
		return gone, nil
	}
	culled, err := t.cull(c, p.Now, toCull, p.Key)
	if err != nil {
		return nil, err
	}
	return append(gone, culled...), nil
}

// put puts a row. Its value is in p, or in a file that gets its final name here.
func (t *tx) put(c *collection, p *driver.Put) error {
	if err := t.mayGrow(p); err != nil {
		return err
	}
	if p.File != nil {
		f, ok := p.File.(*file)
		if !ok || f.core != t.core {
			return errors.New("file belongs to another store")
		}
		if err := f.place(t, c); err != nil {
			return err
		}
		v := table.InFile(f.kind, f.Path(), f.Size())
		row, err := t.putStored(c, p, &v)
		if err == nil && t.core.opts.syncing() == syncLater {
			err = t.list(f, c, row)
		}
		return err
	}
	v := table.Inline(p.Value, c.id != 0)
	_, err := t.putStored(c, p, &v)
	return err
}

// putStored puts a row whose value is as the columns have it, and returns the row's ID.
func (t *tx) putStored(c *collection, p *driver.Put, v *table.Value) (row int64, err error) {
	hash := near.Hash(c.id, p.Key)
	f, err := t.find(c, p.Key, hash)
	if err != nil {
		return 0, err
	}
	t.touch(c)
	c.grew(p, v)
	if !f.Exists {
		return t.insert(c, p, v, hash)
	}
	if f.File != "" {
		if err := t.discard(f.File); err != nil {
			return 0, err
		}
	}
	return f.ID, t.overwrite(c, p, v, f, hash, p.Keep && !c.over(&f, p.Now))
}

// insert adds a row for a key that has none.
func (t *tx) insert(c *collection, p *driver.Put, v *table.Value, hash uint64) (row int64, err error) {
	s, err := t.conn.stmt(c, table.Insert)
	if err != nil {
		return 0, err
	}
	s.BindValue(1, p.Key)
	s.BindReal(2, float64(p.Now))
	table.BindInstant(s, 3, p.Expire)
	s.BindValue(4, p.Tag)
	v.Bind(s, 5)
	c.expires(p.Expire)
	if err := s.Run(); err != nil {
		return 0, err
	}
	if row, err = c.inserted(t.conn.LastInsertRowID()); err != nil {
		return 0, err
	}
	if c.endKeys.inserted(p.Key) { // into a queue, where no reader looks for it by its key
		t.changedHash(hash)
		return row, nil
	}
	t.core.hints.Set(hash, row)
	t.wrotePut(c, p, row, hash)
	return row, nil
}

// overwrite changes a row, and only those columns whose change costs: to
// assign the value that a column already has would rewrite its indexes.
func (t *tx) overwrite(c *collection, p *driver.Put, v *table.Value, f table.Found, hash uint64, keep bool) error {
	which := table.Overwrite
	switch {
	case keep:
		which = table.Replace
	case f.Expire != 0 || f.Tagged || p.Expire != 0 || !p.Tag.IsNull():
		which = table.OverwriteAll
	}
	s, err := t.conn.stmt(c, which)
	if err != nil {
		return err
	}
	s.BindInt(1, f.ID)
	s.BindReal(2, float64(p.Now))
	v.Bind(s, 3)
	if which == table.OverwriteAll {
		table.BindInstant(s, 7, p.Expire)
		s.BindValue(8, p.Tag)
		c.expires(p.Expire)
	}
	if keep { // the rest of the row is not known
		t.changedHash(hash)
	} else {
		t.wrotePut(c, p, f.ID, hash)
	}
	return s.Run()
}

// Touch implements [driver.Tx].
func (t *tx) Touch(ctx context.Context, h driver.Collection, key codec.Value, expire, now driver.Instant) (bool, error) {
	c, err := t.admit(ctx, h, true)
	if err != nil {
		return false, err
	}
	hash := near.Hash(c.id, key)
	f, err := t.find(c, key, hash)
	if err != nil {
		return false, t.fail(c.explain(err))
	}
	if !f.Exists || c.over(&f, now) {
		return false, nil
	}
	s, err := t.conn.stmt(c, table.Touch)
	if err != nil {
		return false, t.fail(err)
	}
	s.BindInt(1, f.ID)
	table.BindInstant(s, 2, expire)
	if err := s.Run(); err != nil {
		return false, t.fail(err)
	}
	c.expires(expire)
	t.touch(c)
	t.changedHash(hash)
	return true, nil
}

// Delete implements [driver.Tx].
func (t *tx) Delete(ctx context.Context, h driver.Collection, key codec.Value, now driver.Instant) (bool, error) {
	c, err := t.admit(ctx, h, true)
	if err != nil {
		return false, err
	}
	hash := near.Hash(c.id, key)
	f, err := t.find(c, key, hash)
	if err != nil {
		return false, t.fail(c.explain(err))
	}
	if !f.Exists {
		return false, nil
	}
	if err := t.deleteRow(c, f.ID, f.File); err != nil {
		return false, t.fail(err)
	}
	c.endKeys.deleted(key)
	t.wrote(c, key, hash, nil)
	return !c.over(&f, now), nil
}

// deleteFound deletes a row that a scan has returned.
func (t *tx) deleteFound(c *collection, r *driver.Row) error {
	if err := t.deleteRow(c, r.ID, r.File); err != nil {
		return err
	}
	c.endKeys.deleted(r.Key)
	if !r.ForeignKey {
		t.changedRow(c, r.Key) // that it is gone is not worth a copy: it was not found by its key
	}
	return nil
}

// deleteRow deletes a row and discards its value file. It notes neither for near caches nor for
// the end-key cache that the row's key has changed: the caller does.
func (t *tx) deleteRow(c *collection, id int64, file string) error {
	if file != "" {
		if err := t.discard(file); err != nil {
			return err
		}
	}
	s, err := t.conn.stmt(c, table.Delete)
	if err != nil {
		return err
	}
	s.BindInt(1, id)
	t.touch(c)
	return s.Run()
}

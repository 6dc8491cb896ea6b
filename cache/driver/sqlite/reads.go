package sqlite

import (
	"context"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/access"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// Reads change rows: accesses, sliding expiries, hits and misses. Package access gathers them in
// memory; a transaction that has to see the rows as they are, and the maintainer once a second,
// write them here.

// txRead is a read that a transaction has made. It counts once the transaction is
// committed.
type txRead struct {
	c *collection
	access.Read
}

// counted are hits and misses that a transaction has made, and has written.
type counted struct {
	c            *collection
	hits, misses int64
}

// gather gathers a read, for the maintainer to write.
func (c *collection) gather(n *access.Read) {
	m := c.core.maintainer
	if m == nil { // read-only
		return
	}
	if gathered, many := c.reads.Note(n, c.settings.Load()); gathered {
		m.remind(many)
	}
}

// flushReads writes the reads of c: those of this transaction, and all that are gathered.
func (t *tx) flushReads(c *collection) error {
	if err := t.flushOwnReads(c, 0); err != nil {
		return err
	}
	if c.reads.Empty() {
		return nil
	}
	t.flushing(c)
	rows, hits, misses := c.reads.Take()
	for id, e := range rows {
		if err := t.writeRead(c, id, e); err != nil {
			return err
		}
	}
	return t.count(c, hits, misses)
}

// flushOwnReads writes the reads of this transaction, of one row or, if id is 0,
// of all.
func (t *tx) flushOwnReads(c *collection, id int64) error {
	left := t.ownReads[:0]
	s := c.Settings()
	for _, n := range t.ownReads {
		if n.c != c || id != 0 && n.ID != id {
			left = append(left, n)
			continue
		}
		if n.Counts(&s) {
			hits := int64(0)
			if n.Found {
				hits = 1
			}
			if err := t.count(c, hits, 1-hits); err != nil {
				return err
			}
			t.counted = append(t.counted, counted{c, hits, 1 - hits})
		}
		if !n.Found {
			continue
		}
		change := n.Change(&s)
		if err := t.writeRead(c, n.ID, &change); err != nil {
			return err
		}
	}
	t.ownReads = left
	return nil
}

// hasRead reports whether this transaction has read a row before.
func (t *tx) hasRead(c *collection, id int64) bool {
	for i := range t.ownReads {
		if n := &t.ownReads[i]; n.c == c && n.Found && n.ID == id {
			return true
		}
	}
	return false
}

// count adds to the statistics.
func (t *tx) count(c *collection, hits, misses int64) error {
	for _, n := range []struct {
		key string
		add int64
	}{{"hits", hits}, {"misses", misses}} {
		if n.add == 0 {
			continue
		}
		s, err := t.conn.about(c, "UPDATE {S} SET value = value + ?2 WHERE {in}key = ?1", codec.TextValue(n.key), codec.IntegerValue(n.add))
		if err != nil {
			return err
		}
		if err := s.Run(); err != nil {
			return err
		}
	}
	return nil
}

// flushRow is flushReads for one row.
func (t *tx) flushRow(c *collection, id int64) error {
	if err := t.flushOwnReads(c, id); err != nil {
		return err
	}
	e := c.reads.TakeRow(id)
	if e == nil {
		return nil
	}
	t.flushing(c)
	return t.writeRead(c, id, e)
}

// flushing notes that reads of c are being written.
func (t *tx) flushing(c *collection) {
	if !slices.Contains(t.flushed, c) {
		t.flushed = append(t.flushed, c)
	}
}

// writeRead writes what reads change in a row.
func (t *tx) writeRead(c *collection, id int64, e *access.Change) error {
	t.changedHash(e.Hash)
	if e.Count > 0 {
		s, err := t.conn.stmt(c, table.CountAccess)
		if err != nil {
			return err
		}
		s.BindInt(1, id)
		s.BindReal(2, float64(e.Stored))
		s.BindReal(3, float64(e.Last))
		s.BindInt(4, e.Count)
		if err := s.Run(); err != nil {
			return err
		}
	}
	if e.Slide != 0 {
		s, err := t.conn.stmt(c, table.Slide)
		if err != nil {
			return err
		}
		s.BindInt(1, id)
		s.BindReal(2, float64(e.Stored))
		s.BindReal(3, float64(e.Slide))
		s.BindReal(4, float64(e.Base))
		c.nextExpiryKnown = false
		return s.Run()
	}
	return nil
}

// Stats implements [driver.Store].
func (s *Store) Stats(ctx context.Context, h driver.Collection, reset bool) (out driver.Stats, err error) {
	c, err := s.core.own(h)
	if err != nil {
		return out, err
	}
	read := func(t *tx) (err error) {
		if out.Hits, err = t.conn.counterOrZero(c, "hits"); err != nil {
			return err
		}
		out.Misses, err = t.conn.counterOrZero(c, "misses")
		return err
	}
	if s.ReadOnly() {
		if reset {
			return out, driver.ErrReadOnly
		}
		return out, s.View(ctx, func(t driver.Tx) error { return read(t.(*tx)) })
	}
	err = s.Update(ctx, driver.Shared, func(dt driver.Tx) error {
		t := dt.(*tx)
		if _, err := t.admit(ctx, c, true); err != nil {
			return err
		}
		if err := t.flushReads(c); err != nil {
			return t.fail(err)
		}
		if err := read(t); err != nil {
			return t.fail(err)
		}
		if !reset {
			return nil
		}
		for _, key := range []string{"hits", "misses"} {
			if err := t.conn.replaceSetting(c, setting{key, codec.IntegerValue(0)}); err != nil {
				return t.fail(err)
			}
		}
		return nil
	})
	return out, err
}

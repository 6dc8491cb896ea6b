package sqlite

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/access"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// The ways to the row of a key. core.get is a Get outside of transactions, tx.lookup one in a
// transaction, tx.find what a write asks. The first two ask the near cache before SQLite.

// Get implements [driver.Tx].
func (t *tx) Get(ctx context.Context, h driver.Collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	c, err := t.admit(ctx, h, false)
	if err != nil {
		return driver.Row{}, false, err
	}
	r, ok, err := t.lookup(c, key, l)
	if !ok && err == nil {
		err = t.conn.missed(c)
	}
	if err != nil {
		return driver.Row{}, false, t.fail(c.explain(err))
	}
	return r, ok, nil
}

// GetMany implements [driver.Tx].
func (t *tx) GetMany(ctx context.Context, h driver.Collection, keys []codec.Value, l driver.Lookup) ([]driver.Row, error) {
	return driver.GetEach(ctx, t, h, keys, l)
}

// get reads one row outside of a transaction.
func (c *core) get(ctx context.Context, timeout time.Duration, coll *collection, key codec.Value, l driver.Lookup) (r driver.Row, ok bool, err error) {
	if ctx.Err() != nil {
		return driver.Row{}, false, context.Cause(ctx)
	}
	if err := c.readable(); err != nil {
		return driver.Row{}, false, err
	}
	hash := near.Hash(coll.id, key)
	var stamp near.Stamp
	stamped := false
	if c.near.answers() {
		var answer near.Answer
		if answer, stamp, stamped = c.near.get(coll, hash, key, l.Bare, &r); answer != near.Unknown {
			ok = coll.judge(&r, answer == near.Found, hash, l, nil)
			if !ok {
				r = driver.Row{}
			}
			return r, ok, nil
		}
	}
	cn, err := c.readers.take(ctx, timeout)
	if err != nil {
		return driver.Row{}, false, err
	}
	defer c.readers.put(cn)
	cn.look(coll)
	if c.near.answers() {
		c.near.refreshSettings(cn, coll)
	}
	r, ok, err = cn.fetch(coll, hash, key, l.Bare)
	if !ok && err == nil {
		err = cn.missed(coll)
	}
	if err != nil {
		return driver.Row{}, false, coll.explain(cn.waitErr(err))
	}
	if stamped && !(ok && l.Bare) {
		c.near.put(cn, stamp, hash, coll, key, &r, ok)
	}
	if ok = coll.judge(&r, ok, hash, l, nil); !ok {
		r = driver.Row{}
	}
	return r, ok, nil
}

// lookup reads the row of key in a transaction.
func (t *tx) lookup(c *collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	hash := near.Hash(c.id, key)
	r, ok, err := t.read(c, hash, key, l.Bare)
	if err == nil && ok && t.write && t.hasRead(c, r.ID) {
		// Inside of an Update, what it has read is part of it.
		if err = t.flushOwnReads(c, r.ID); err == nil {
			r, ok, err = t.conn.fetch(c, hash, key, l.Bare)
		}
	}
	if err != nil {
		return driver.Row{}, false, err
	}
	if !c.judge(&r, ok, hash, l, t) {
		return driver.Row{}, false, nil
	}
	return r, true, nil
}

// read is fetch, or a copy in memory that an Update has not changed: while it
// has the write lock, no other connection commits.
func (t *tx) read(c *collection, hash uint64, key codec.Value, bare bool) (r driver.Row, ok bool, err error) {
	n := &t.core.near
	var stamp near.Stamp
	stamped := false
	if t.write && n.answers() && !t.nearWrites.has(hash) {
		var answer near.Answer
		if answer, stamp, stamped = n.getUpdating(c, hash, key, bare, &r); answer != near.Unknown {
			return r, answer == near.Found, nil
		}
	}
	r, ok, err = t.conn.fetch(c, hash, key, bare)
	if err == nil && stamped && !(ok && bare) {
		n.put(t.conn, stamp, hash, c, key, &r, ok)
	}
	return r, ok, err
}

// judge ends a Get. It adds to the row what is gathered about it in memory, reports whether
// the row counts as found, that is whether its time is not over, and notes the read: in t, or,
// if t is nil, for the collection. The hash is that of the key.
func (c *collection) judge(r *driver.Row, found bool, hash uint64, l driver.Lookup, t *tx) (ok bool) {
	base := r.Expire
	writing := t != nil && t.write
	s := c.settings.Load()
	if m := c.core.maintainer; found && !writing && m != nil &&
		s.Policy.CountsAccesses() && !s.Statistics && !l.Quiet && l.Slide == 0 {
		ok, many := c.reads.Access(r, hash, s, l.Instant())
		if ok {
			m.remind(many)
		}
		return ok
	}
	if found {
		c.reads.Overlay(r, writing)
		ok = r.Expire == 0 || !s.Over(r.Stored, r.Expire, l.Instant()) // without the clock, if possible
	}
	if l.Quiet && l.Slide == 0 {
		return ok
	}
	switch {
	case s.Policy.CountsAccesses():
		l.Now, l.Clock = l.Instant(), nil
	case !writing && !s.Statistics && l.Slide == 0:
		return ok
	}
	n := access.Read{Hash: hash, ID: r.ID, Stored: r.Stored, Expire: base, Found: ok, Lookup: l}
	if writing {
		t.ownReads = append(t.ownReads, txRead{c, n})
	} else {
		c.gather(&n)
	}
	return ok
}

// fetch reads the row of key as it is stored.
func (cn *conn) fetch(c *collection, hash uint64, key codec.Value, bare bool) (r driver.Row, ok bool, err error) {
	byKey, at := table.Get, table.GetAt
	if bare {
		byKey, at = table.GetBare, table.GetBareAt
	}
	err = cn.seek(c, hash, key, byKey, at, func(s *sqlite3.Stmt) {
		table.ReadRow(s, &r, bare)
		r.Key = key
		ok = true
	})
	return r, ok, err
}

// seek looks the row of a key up and has scan read it, if there is one: where
// a hint says, or with the index of keys. The statements are the two ways to
// read the same columns.
func (cn *conn) seek(c *collection, hash uint64, key codec.Value, byKey, at table.Statement, scan func(*sqlite3.Stmt)) error {
	hints := c.core.hints
	if id := hints.Rowid(hash); id != 0 {
		s, err := cn.stmt(c, at)
		if err != nil {
			return err
		}
		s.BindInt(1, id)
		ok, err := s.Step()
		if ok && err == nil {
			n := s.ColumnCount()
			if ok = s.ColumnInt(n-1) == 1 && s.ColumnIs(n-2, key); ok {
				scan(s)
			}
		}
		s.Reset()
		if ok || err != nil {
			return err
		}
		hints.Drop(hash)
	}
	s, err := cn.stmt(c, byKey)
	if err != nil {
		return err
	}
	s.BindValue(1, key)
	ok, err := s.Step()
	if ok && err == nil {
		scan(s)
		hints.Set(hash, s.ColumnInt(0))
	}
	s.Reset()
	return err
}

// find looks the row of key up, whose hash is given.
func (t *tx) find(c *collection, key codec.Value, hash uint64) (f table.Found, err error) {
	if c.endKeys.absent(key) {
		return f, nil
	}
	gathered := c.reads.Pending() || len(t.ownReads) > 0
	err = t.conn.seek(c, hash, key, table.Find, table.FindAt, f.Read)
	if err == nil && f.Exists && gathered {
		// The gathered reads are about the row as it was stored before this write, and
		// may have moved its expiry.
		if err := t.flushRow(c, f.ID); err != nil {
			return f, err
		}
		err = t.conn.seek(c, hash, key, table.Find, table.FindAt, f.Read)
	}
	return f, err
}

// over reports whether the time of the row is over at now.
func (c *collection) over(f *table.Found, now driver.Instant) bool {
	return c.settings.Load().Over(f.Stored, f.Expire, now)
}

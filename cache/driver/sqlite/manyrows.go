package sqlite

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// Methods of a transaction that go over many rows: a page of a scan, and the rows that a filter
// removes. Package table has the SQL.

// Scan implements [driver.Tx].
func (t *tx) Scan(ctx context.Context, h driver.Collection, s driver.Scan) ([]driver.Row, error) {
	c, err := t.admit(ctx, h, false)
	if err != nil || s.Limit <= 0 {
		return nil, err
	}
	if t.write && (c.reads.Slides() || len(t.ownReads) > 0) {
		if err := t.flushReads(c); err != nil {
			return nil, t.fail(err)
		}
	}
	end, here, there := t.cachedEnd(c, &s)
	if end != nil {
		if page, ok := end.page(here, there); ok {
			return page, nil
		}
	}
	rows, err := t.scan(c, s, 0)
	if len(rows) == 0 && err == nil {
		err = t.conn.missed(c)
	}
	if err != nil {
		return nil, t.fail(c.explain(err))
	}
	if end != nil {
		end.set(rows, here, there)
	}
	return rows, nil
}

// scan selects a page. An expiredAt that is not 0 selects only rows that have
// expired then.
func (t *tx) scan(c *collection, s driver.Scan, expiredAt driver.Instant) ([]driver.Row, error) {
	sh := c.tables.ShapeOf(&s, expiredAt, c.settings.Load().Policy != driver.NoEviction)
	sql, ok := t.conn.scans[sh]
	if !ok {
		if len(t.conn.scans) >= maxDynamic {
			clear(t.conn.scans)
		}
		sql = c.tables.Expand(sh.SQL())
		t.conn.scans[sh] = sql
	}
	rows, err := t.rows(c, sql, s.Bare, sh.Args(make([]codec.Value, 0, 8), &s, expiredAt)...)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		c.reads.Overlay(&rows[i], t.write)
	}
	return rows, nil
}

// rows runs a query about c whose columns are those of a row, or none, then key
// and raw.
func (t *tx) rows(c *collection, sql string, bare bool, args ...codec.Value) ([]driver.Row, error) {
	s, err := t.conn.query(sql)
	if err != nil {
		return nil, c.explain(err)
	}
	c.tables.Bind(s, c.id)
	return table.ReadRows(s, bare, args...)
}

// Remove implements [driver.Tx].
func (t *tx) Remove(ctx context.Context, h driver.Collection, f driver.Filter, limit int) ([]driver.Row, error) {
	c, err := t.admit(ctx, h, true)
	if err != nil || limit <= 0 {
		return nil, err
	}
	out, err := t.remove(c, f, limit)
	if err != nil {
		return nil, t.fail(err)
	}
	return out, nil
}

// remove deletes up to limit rows that f selects, and returns them.
func (t *tx) remove(c *collection, f driver.Filter, limit int) ([]driver.Row, error) {
	if f.Expired != 0 {
		// A reading that is still in memory may have moved an expiry.
		if err := t.flushReads(c); err != nil {
			return nil, err
		}
	}
	s := driver.Scan{Tag: f.Tag, Limit: limit, Bare: true}
	if f.Expired != 0 {
		s.Order = driver.ByExpire
	}
	var rows []driver.Row
	var err error
	if f.IDs == nil {
		rows, err = t.scan(c, s, f.Expired)
	} else {
		rows, err = t.byID(c, f, limit)
	}
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if err := t.deleteFound(c, &rows[i]); err != nil {
			return nil, err
		}
	}
	if f.Expired != 0 {
		t.expired += int64(len(rows))
	}
	return rows, nil
}

// byID returns the rows of the listed IDs that f selects.
func (t *tx) byID(c *collection, f driver.Filter, limit int) ([]driver.Row, error) {
	var out []driver.Row
	seen := make(map[int64]bool, len(f.IDs))
	for _, id := range f.IDs {
		if len(out) == limit {
			break
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		r, ok, err := t.rowByID(c, id)
		if err != nil {
			return nil, err
		}
		if ok && (f.Tag.IsNull() || !r.Tag.IsNull() && codec.Equal(r.Tag, f.Tag)) && (f.Expired == 0 || r.Expired(f.Expired)) {
			out = append(out, r)
		}
	}
	return out, nil
}

// rowByID returns a row without its value.
func (t *tx) rowByID(c *collection, id int64) (r driver.Row, ok bool, err error) {
	s, err := t.conn.stmt(c, table.GetBareAt)
	if err != nil {
		return r, false, err
	}
	rows, err := table.ReadRows(s, true, codec.IntegerValue(id))
	if err != nil || len(rows) == 0 {
		return r, false, err
	}
	return rows[0], true, nil
}

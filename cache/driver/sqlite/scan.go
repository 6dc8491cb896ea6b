package sqlite

import (
	"fmt"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Scan implements [driver.Tx].
func (t *tx) Scan(h driver.Collection, s driver.Scan) ([]driver.Row, error) {
	c, err := t.begin(h, false)
	if err != nil || s.Limit <= 0 {
		return nil, err
	}
	if t.write && (c.reads.slides.Load() || len(t.noted) > 0) {
		if err := t.flushReads(c); err != nil {
			return nil, t.fail(err)
		}
	}
	rows, err := t.scan(c, s, 0)
	if err != nil {
		return nil, t.fail(c.explain(err))
	}
	return rows, nil
}

// condition is a part of a WHERE clause with its parameters.
type condition struct {
	sql  string
	args []codec.Value
}

// scan selects a page. An expiredAt that is not 0 selects only rows that have
// expired then.
func (t *tx) scan(c *collection, s driver.Scan, expiredAt driver.Instant) ([]driver.Row, error) {
	var where []condition
	add := func(sql string, args ...codec.Value) { where = append(where, condition{sql, args}) }

	order, less := "rowid", ">"
	direction := ""
	if s.Desc {
		less, direction = "<", " DESC"
	}
	switch s.Order {
	case driver.ByKey:
		order = "key" + direction + ", raw" + direction
	case driver.ByExpire:
		order = "expire_time" + direction + ", rowid" + direction
		add("expire_time IS NOT NULL")
	default:
		order += direction
	}
	if a := s.After; a != nil {
		switch s.Order {
		case driver.ByKey:
			raw := int64(1)
			if a.ForeignKey {
				raw = 0
			}
			add("(key, raw) "+less+" (?, ?)", a.Key, codec.IntegerValue(raw))
		case driver.ByExpire:
			add("(expire_time, rowid) "+less+" (?, ?)", codec.RealValue(float64(a.Expire)), codec.IntegerValue(a.ID))
		default:
			add("rowid "+less+" ?", codec.IntegerValue(a.ID))
		}
	}
	for _, b := range []struct {
		bound *driver.Bound
		op    string
	}{{s.Lower, ">"}, {s.Upper, "<"}} {
		if b.bound == nil {
			continue
		}
		if !b.bound.Open {
			b.op += "="
		}
		add("key "+b.op+" ?", b.bound.Key)
	}
	if !s.Tag.IsNull() {
		add("tag = ?", s.Tag)
	}
	if s.Live != 0 {
		add("(expire_time IS NULL OR expire_time > ?)", codec.RealValue(float64(s.Live)))
	}
	if expiredAt != 0 {
		add("expire_time <= ?", codec.RealValue(float64(expiredAt)))
	}

	columns := rowColumns
	if s.Bare {
		columns = bareColumns
	}
	var sql strings.Builder
	fmt.Fprintf(&sql, "SELECT %s, key, raw FROM %s", columns, c.table)
	var args []codec.Value
	for i, w := range where {
		sql.WriteString([]string{" WHERE ", " AND "}[min(i, 1)])
		sql.WriteString(w.sql)
		args = append(args, w.args...)
	}
	// The limit is written out: SQLite compiles a statement anew each time that
	// a parameter there is bound. There are few limits, but many offsets.
	fmt.Fprintf(&sql, " ORDER BY %s LIMIT %d", order, s.Limit)
	if s.Skip > 0 {
		sql.WriteString(" OFFSET ?")
		args = append(args, codec.IntegerValue(s.Skip))
	}

	rows, err := t.rows(sql.String(), s.Bare, args...)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		c.reads.overlay(&rows[i], t.write)
	}
	return rows, nil
}

// rows runs a query whose columns are those of a row, then key and raw.
func (t *tx) rows(sql string, bare bool, args ...codec.Value) ([]driver.Row, error) {
	s, err := t.conn.query(sql)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	for i, a := range args {
		s.BindValue(i+1, a)
	}
	var out []driver.Row
	for {
		row, err := s.Step()
		if err != nil || !row {
			return out, err
		}
		var r driver.Row
		t.conn.scanRow(s, &r, bare)
		r.Key = s.ColumnValue(10)
		r.ForeignKey = s.ColumnInt(11) == 0
		out = append(out, r)
	}
}

// Remove implements [driver.Tx].
func (t *tx) Remove(h driver.Collection, f driver.Filter, limit int) ([]driver.Row, error) {
	c, err := t.begin(h, true)
	if err != nil || limit <= 0 {
		return nil, err
	}
	out, err := t.remove(c, f, limit)
	if err != nil {
		return nil, t.fail(err)
	}
	return out, nil
}

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
	return rows, nil
}

// byID returns the rows of the listed IDs that f selects.
func (t *tx) byID(c *collection, f driver.Filter, limit int) ([]driver.Row, error) {
	sql := fmt.Sprintf("SELECT %s, key, raw FROM %s WHERE rowid = ?", bareColumns, c.table)
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
		rows, err := t.rows(sql, true, codec.IntegerValue(id))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if (f.Tag.IsNull() || !r.Tag.IsNull() && codec.Equal(r.Tag, f.Tag)) && (f.Expired == 0 || r.Expired(f.Expired)) {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

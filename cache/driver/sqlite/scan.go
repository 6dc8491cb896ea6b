package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
	"github.com/go-diskcache/diskcache/codec"
)

// Scan implements [driver.Tx].
func (t *tx) Scan(ctx context.Context, h driver.Collection, s driver.Scan) ([]driver.Row, error) {
	c, err := t.begin(ctx, h, false)
	if err != nil || s.Limit <= 0 {
		return nil, err
	}
	if t.write && (c.reads.slides.Load() || len(t.noted) > 0) {
		if err := t.flushReads(c); err != nil {
			return nil, t.fail(err)
		}
	}
	edge, here, there := t.asked(c, &s)
	if edge != nil {
		if page, ok := edge.answer(here, there); ok {
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
	if edge != nil {
		edge.learn(rows, here, there)
	}
	return rows, nil
}

// scan selects a page. An expiredAt that is not 0 selects only rows that have
// expired then.
func (t *tx) scan(c *collection, s driver.Scan, expiredAt driver.Instant) ([]driver.Row, error) {
	sh := shapeOf(c, &s, expiredAt)
	sql, ok := t.conn.scans[sh]
	if !ok {
		if len(t.conn.scans) >= maxDynamic {
			clear(t.conn.scans)
		}
		sql = c.tables.expand(sh.sql())
		t.conn.scans[sh] = sql
	}
	// In the order of the parameters in the SQL.
	args := make([]codec.Value, 0, 8)
	if a := s.After; a != nil {
		switch s.Order {
		case driver.ByKey:
			raw := int64(1)
			if a.ForeignKey {
				raw = 0
			}
			args = append(args, a.Key, codec.IntegerValue(raw))
		case driver.ByExpire:
			args = append(args, codec.RealValue(float64(a.Expire)), codec.IntegerValue(a.ID))
		default:
			args = append(args, codec.IntegerValue(a.ID))
		}
	}
	if s.Lower != nil {
		args = append(args, s.Lower.Key)
	}
	if s.Upper != nil {
		args = append(args, s.Upper.Key)
	}
	if sh.tag {
		args = append(args, s.Tag)
	}
	if sh.live {
		args = append(args, codec.RealValue(float64(s.Live)))
	}
	if sh.ahead {
		args = append(args, codec.RealValue(float64(s.Live+driver.MaxAhead)))
	}
	if sh.expired {
		args = append(args, codec.RealValue(float64(expiredAt)))
	}
	if sh.skip {
		args = append(args, codec.IntegerValue(s.Skip))
	}
	rows, err := t.rows(c, sql, s.Bare, args...)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		c.reads.overlay(&rows[i], t.write)
	}
	return rows, nil
}

// shape is what the SQL of a scan depends on. It is put together once, since
// that takes as long as to run it.
type shape struct {
	table        string
	order        driver.Order
	limit        int
	lower, upper string // operators, "" if there is no bound

	desc, bare, keys, after, tag, live, ahead, expired, skip bool
}

func shapeOf(c *collection, s *driver.Scan, expiredAt driver.Instant) shape {
	operator := func(b *driver.Bound, op, orEqual string) string {
		switch {
		case b == nil:
			return ""
		case b.Open:
			return op
		}
		return orEqual
	}
	return shape{
		table: c.tables.rows, order: s.Order, limit: s.Limit,
		lower: operator(s.Lower, ">", ">="), upper: operator(s.Upper, "<", "<="),
		desc: s.Desc, bare: s.Bare, keys: s.Keys, after: s.After != nil, tag: !s.Tag.IsNull(),
		live: s.Live != 0, ahead: s.Live != 0 && c.settings.Load().Policy != driver.NoEviction, expired: expiredAt != 0, skip: s.Skip > 0,
	}
}

// sql returns the SQL of a scan, for expand.
func (sh *shape) sql() string {
	var where []string
	add := func(wanted bool, sql string) {
		if wanted {
			where = append(where, sql)
		}
	}
	order, less, direction := "rowid", ">", ""
	within := "{in}"
	if sh.desc {
		less, direction = "<", " DESC"
	}
	switch sh.order {
	case driver.ByKey:
		order = "key" + direction + ", raw" + direction
		add(sh.after, "(key, raw) "+less+" (?, ?)")
	case driver.ByExpire:
		order = "expire_time" + direction + ", rowid" + direction
		add(true, "expire_time IS NOT NULL")
		add(sh.after, "(expire_time, rowid) "+less+" (?, ?{base})")
	default:
		order += direction
		add(sh.after, "rowid "+less+" ?{base}")
		if within = "{all}"; sh.tag {
			within += "{in}" // for the index of tags
		}
	}
	add(sh.lower != "", "key "+sh.lower+" ?")
	add(sh.upper != "", "key "+sh.upper+" ?")
	add(sh.tag, "tag = ?")
	add(sh.live && !sh.ahead, "(expire_time IS NULL OR expire_time > ?)")
	add(sh.ahead, "(expire_time IS NULL OR expire_time > ? AND store_time <= ?)")
	add(sh.expired, "expire_time <= ?")
	add(len(where) == 0, "true")

	columns := rowColumns + ", "
	switch {
	case sh.keys: // the index of keys has them
		columns = ""
	case sh.bare:
		columns = bareColumns + ", "
	}
	// The limit is written out: SQLite compiles a statement anew each time that
	// a parameter there is bound. There are few limits, but many offsets.
	sql := fmt.Sprintf("SELECT %skey, raw FROM {T} WHERE %s%s ORDER BY %s LIMIT %d",
		columns, within, strings.Join(where, " AND "), order, sh.limit)
	if sh.skip {
		sql += " OFFSET ?"
	}
	var b strings.Builder
	for i, piece := range strings.Split(sql, "?") {
		if i > 0 {
			fmt.Fprintf(&b, "?%d", i)
		}
		b.WriteString(piece)
	}
	return b.String()
}

// rows runs a query about c whose columns are those of a row, or none, then key
// and raw.
func (t *tx) rows(c *collection, sql string, bare bool, args ...codec.Value) ([]driver.Row, error) {
	s, err := t.conn.query(sql)
	if err != nil {
		return nil, c.explain(err)
	}
	c.bind(s)
	return t.conn.rows(s, bare, args...)
}

// rows returns the rows that s reads, whose last columns are key and raw.
func (cn *conn) rows(s *lite.Stmt, bare bool, args ...codec.Value) ([]driver.Row, error) {
	defer s.Reset()
	for i, a := range args {
		s.BindValue(i+1, a)
	}
	var out []driver.Row
	raw := s.ColumnCount() - 1
	for {
		row, err := s.Step()
		if err != nil || !row {
			return out, err
		}
		var r driver.Row
		if raw > 1 {
			cn.scanRow(s, &r, bare)
		}
		r.Key = s.ColumnValue(raw - 1)
		r.ForeignKey = s.ColumnInt(raw) == 0
		out = append(out, r)
	}
}

// Remove implements [driver.Tx].
func (t *tx) Remove(ctx context.Context, h driver.Collection, f driver.Filter, limit int) ([]driver.Row, error) {
	c, err := t.begin(ctx, h, true)
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

func (t *tx) rowByID(c *collection, id int64) (r driver.Row, ok bool, err error) {
	s, err := t.conn.stmt(c, stmtGetBareAt)
	if err != nil {
		return r, false, err
	}
	rows, err := t.conn.rows(s, true, codec.IntegerValue(id))
	if err != nil || len(rows) == 0 {
		return r, false, err
	}
	return rows[0], true, nil
}

package table

import (
	"fmt"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// ScanShape is what the SQL of a scan depends on. That is put together once, since it takes
// as long as to run it.
type ScanShape struct {
	table        string
	order        driver.Order
	limit        int
	lower, upper string // operators, "" if there is no bound

	desc, bare, keys, after, tag, live, ahead, expired, skip bool
}

// ShapeOf returns the shape of a scan. An expiredAt that is not 0 selects only
// rows that have expired then; with evicts, live rows are those that were not stored
// too far ahead of the time either.
func (t *Tables) ShapeOf(s *driver.Scan, expiredAt driver.Instant, evicts bool) ScanShape {
	operator := func(b *driver.Bound, op, orEqual string) string {
		switch {
		case b == nil:
			return ""
		case b.Open:
			return op
		}
		return orEqual
	}
	return ScanShape{
		table: t.Rows, order: s.Order, limit: s.Limit,
		lower: operator(s.Lower, ">", ">="), upper: operator(s.Upper, "<", "<="),
		desc: s.Desc, bare: s.Bare, keys: s.Keys, after: s.After != nil, tag: !s.Tag.IsNull(),
		live: s.Live != 0, ahead: s.Live != 0 && evicts, expired: expiredAt != 0, skip: s.Skip > 0,
	}
}

// SQL returns the SQL of a scan, for Expand.
func (sh *ScanShape) SQL() string {
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

// Args adds to args the values for the parameters in the SQL.
func (sh *ScanShape) Args(args []codec.Value, s *driver.Scan, expiredAt driver.Instant) []codec.Value {
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
	return args
}

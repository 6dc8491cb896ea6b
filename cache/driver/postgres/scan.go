package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// query is what follows "WHERE c = $1" in a statement about entry.
type query struct {
	strings.Builder
	args []any
}

func newQuery(c int32) *query { return &query{args: []any{c}} }

func (q *query) add(parts ...string) {
	for _, p := range parts {
		q.WriteString(p)
	}
}

// arg adds a parameter.
func (q *query) arg(v any) {
	q.args = append(q.args, v)
	q.add("$", strconv.Itoa(len(q.args)))
}

// where adds a condition that ends with a parameter.
func (q *query) where(condition string, v any) {
	q.add(" AND ", condition)
	q.arg(v)
}

// tag selects rows with an equal tag, if it is not Null.
func (q *query) tag(v codec.Value) {
	if v.IsNull() {
		return
	}
	tag, hash := tagOf(v)
	q.where("tagh = ", hash)
	q.where("tag = ", tag)
}

// key compares the key of a row with another one.
func (q *query) key(operator string, v codec.Value) {
	k := keyOf(v)
	q.add(" AND (k, rest) ", operator, " (")
	q.arg(k.k)
	q.add(", ")
	q.arg(k.rest)
	q.add(")")
}

// Scan implements [driver.Tx].
func (x *tx) Scan(ctx context.Context, c driver.Collection, s driver.Scan) ([]driver.Row, error) {
	h, err := x.use(ctx, c)
	if err != nil || s.Limit <= 0 {
		return nil, err
	}
	bare := s.Bare || s.Keys
	q := newQuery(h.c)
	q.bounds(&s)
	q.tag(s.Tag)
	if s.Live != 0 {
		q.live(&s, &h.settings)
	}
	q.order(&s)
	q.add(" LIMIT ", strconv.Itoa(s.Limit)) // a plan depends on it
	if s.Skip > 0 {
		q.add(" OFFSET ")
		q.arg(s.Skip)
	}
	rows, err := x.conn.Query(ctx, `SELECT `+columnsOf("entry", bare)+` FROM entry WHERE c = $1`+q.String(), q.args...)
	if err != nil {
		return nil, failed(ctx, err)
	}
	page, err := collect(rows, nil)
	if err != nil {
		return nil, failed(ctx, err)
	}
	for i := range page {
		x.store.marks.overlay(h.c, &page[i])
	}
	return public(page), nil
}

func (q *query) bounds(s *driver.Scan) {
	for _, b := range []struct {
		*driver.Bound
		operator string
	}{{s.Lower, ">"}, {s.Upper, "<"}} {
		switch {
		case b.Bound == nil:
		case b.Open:
			q.key(b.operator, b.Key)
		default:
			q.key(b.operator+"=", b.Key)
		}
	}
}

func (q *query) live(s *driver.Scan, settings *driver.Settings) {
	q.add(" AND (expire = 0 OR expire > ")
	q.arg(float64(s.Live))
	if settings.Policy != driver.NoEviction {
		q.add(" AND stored <= ")
		q.arg(float64(s.Live + driver.MaxAhead))
	}
	q.add(")")
}

// order has rows in the order of s, and begins after the page before.
func (q *query) order(s *driver.Scan) {
	operator, direction := " > ", ""
	if s.Desc {
		operator, direction = " < ", " DESC"
	}
	after := s.After
	switch s.Order {
	case driver.ByKey:
		if after != nil {
			// A foreign key stands before an equal own one, and there are own ones only.
			if after.ForeignKey && !s.Desc {
				operator = " >= "
			}
			q.key(operator, after.Key)
		}
		q.add(" ORDER BY k", direction, ", rest", direction)
	case driver.ByExpire:
		q.add(" AND expire <> 0")
		if after != nil {
			q.add(" AND (expire, id)", operator, "(")
			q.arg(float64(after.Expire))
			q.add(", ")
			q.arg(after.ID)
			q.add(")")
		}
		q.add(" ORDER BY expire", direction, ", id", direction)
	default:
		if after != nil {
			q.where("id"+operator, after.ID)
		}
		q.add(" ORDER BY id", direction)
	}
}

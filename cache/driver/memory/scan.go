package memory

import (
	"context"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

func (x *tx) Scan(ctx context.Context, c driver.Collection, s driver.Scan) ([]driver.Row, error) {
	t, err := x.table(ctx, c)
	if err != nil {
		return nil, err
	}
	p := newPage(t, s)
	walk := p.rows.ascend
	if s.Desc {
		walk = p.rows.descend
	}
	var page []driver.Row
	skip := s.Skip
	walk(p.begun, func(r *row) bool {
		switch {
		case len(page) >= s.Limit || p.over(r):
			return false
		case !p.selects(r):
		case skip > 0:
			skip--
		default:
			page = append(page, r.copy(s.Bare || s.Keys))
		}
		return true
	})
	return page, nil
}

// page is a Scan of one table.
type page struct {
	driver.Scan
	table *table
	rows  tree
	near  *driver.Bound // the bound that is passed first
	far   *driver.Bound
}

func newPage(t *table, s driver.Scan) page {
	p := page{Scan: s, table: t, rows: t.ids, near: s.Lower, far: s.Upper}
	if s.Desc {
		p.near, p.far = p.far, p.near
	}
	switch s.Order {
	case driver.ByKey:
		p.rows = t.keys
	case driver.ByExpire:
		p.rows = t.expiries
	}
	return p
}

// begun reports whether r comes after the page before and, where rows are in
// the order of their keys, is not before the first bound.
func (p *page) begun(r *row) bool {
	if p.After != nil && p.directed(p.rows.order(r, &row{Row: *p.After})) <= 0 {
		return false
	}
	return p.Order != driver.ByKey || p.inside(p.near, r, +1)
}

// over reports whether neither r nor any row after it can be selected.
func (p *page) over(r *row) bool {
	return p.Order == driver.ByKey && !p.inside(p.far, r, -1)
}

func (p *page) selects(r *row) bool {
	switch {
	case !p.inside(p.near, r, +1) || !p.inside(p.far, r, -1):
		return false
	case !p.Tag.IsNull() && !codec.Equal(p.Tag, r.Tag):
		return false
	case p.Live != 0 && p.table.over(r, p.Live):
		return false
	}
	return true
}

// inside reports whether r is on the right side of a bound: after it in scan
// order if side is +1, before it if side is -1.
func (p *page) inside(b *driver.Bound, r *row, side int) bool {
	if b == nil {
		return true
	}
	c := side * p.directed(codec.Compare(r.Key, b.Key))
	return c > 0 || c == 0 && !b.Open
}

// directed turns a comparison in the order of the rows into one in the order
// of the scan.
func (p *page) directed(c int) int {
	if p.Desc {
		return -c
	}
	return c
}

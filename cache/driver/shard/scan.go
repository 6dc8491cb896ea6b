package shard

import (
	"cmp"
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Scan implements [driver.Tx].
func (t *tx) Scan(ctx context.Context, h driver.Collection, s driver.Scan) ([]driver.Row, error) {
	c, err := t.store.own(h)
	if err != nil {
		return nil, err
	}
	if len(c.parts) == 1 || s.Limit <= 0 {
		dt, err := t.branches.at(c.members[0], false)
		if err != nil {
			return nil, err
		}
		rows, err := dt.Scan(ctx, c.parts[0], s)
		return c.globalAll(0, rows), t.branches.failed(err)
	}
	if err := t.branches.spread(); err != nil {
		return nil, err
	}
	m := &merge{ctx: ctx, tx: t, c: c, scan: s}
	for i := range c.parts {
		if s.Desc {
			i = len(c.parts) - 1 - i
		}
		m.cursors = append(m.cursors, m.cursor(i))
	}
	return m.rows()
}

// merge makes a page out of those of all parts.
type merge struct {
	ctx     context.Context
	tx      *tx
	c       *collection
	scan    driver.Scan
	cursors []*cursor // in the order of the scan
}

// cursor goes through the rows of a part that a scan selects.
type cursor struct {
	merge  *merge
	part   int
	scan   driver.Scan  // of this part; After is the last row taken
	beyond *driver.Row  // if not nil: rows up to this one of the collection are left out
	rows   []driver.Row // that were read and not taken
	end    bool         // there are no more
}

// skipPage is how many rows are read at a time to be left out.
const skipPage = 256

// rows leaves out s.Skip rows and returns up to s.Limit of those that follow.
func (m *merge) rows() ([]driver.Row, error) {
	if m.scan.Skip > 0 {
		for _, c := range m.cursors {
			c.scan.Bare = true
		}
		for left := m.scan.Skip; left > 0; left-- {
			r, err := m.next(int(min(left, skipPage)))
			if err != nil || r == nil {
				return nil, err
			}
		}
		for _, c := range m.cursors {
			if c.scan.Bare = m.scan.Bare; !c.scan.Bare {
				c.rows, c.end = nil, false // read them again, with values
			}
		}
	}
	var out []driver.Row
	for len(out) < m.scan.Limit {
		r, err := m.next(m.scan.Limit - len(out))
		if err != nil || r == nil {
			return out, err
		}
		out = append(out, *r)
	}
	return out, nil
}

// next takes the next row, nil at the end. At most want more are needed.
func (m *merge) next(want int) (*driver.Row, error) {
	inOrder := m.scan.Order == driver.ByID // one part comes after the other
	page := want
	if !inOrder {
		page = min(want, want/len(m.cursors)+4)
	}
	var first *cursor
	for _, c := range m.cursors {
		if err := c.fill(page); err != nil {
			return nil, err
		}
		if len(c.rows) == 0 {
			continue
		}
		if first == nil || m.before(&c.rows[0], &first.rows[0]) {
			first = c
		}
		if inOrder {
			break
		}
	}
	if first == nil {
		return nil, nil
	}
	return first.take(), nil
}

// before reports whether row a of the collection comes before b.
func (m *merge) before(a, b *driver.Row) bool {
	i, _ := localID(a.ID)
	j, _ := localID(b.ID)
	var order int
	switch m.scan.Order {
	case driver.ByKey:
		order = cmp.Or(codec.Compare(a.Key, b.Key), foreignFirst(a, b), cmp.Compare(i, j))
	case driver.ByExpire:
		order = cmp.Or(cmp.Compare(a.Expire, b.Expire), cmp.Compare(a.ID, b.ID))
	default:
		order = cmp.Compare(a.ID, b.ID)
	}
	if m.scan.Desc {
		return order > 0
	}
	return order < 0
}

func foreignFirst(a, b *driver.Row) int {
	switch {
	case a.ForeignKey == b.ForeignKey:
		return 0
	case a.ForeignKey:
		return -1
	}
	return +1
}

// cursor returns the cursor of part i.
func (m *merge) cursor(i int) *cursor {
	c := &cursor{merge: m, part: i, scan: m.scan}
	c.scan.Skip = 0
	c.scan.Keys = m.scan.Keys && m.scan.Order == driver.ByKey // else what it leaves out is to be merged by
	after := m.scan.After
	if after == nil {
		return c
	}
	local := *after
	local.ID = idIn(i, after.ID)
	c.scan.After = &local
	of, _ := localID(after.ID)
	if m.scan.Order != driver.ByKey || of == i || (of < i) == m.scan.Desc {
		return c
	}
	// An equal key in this shard comes after that one.
	c.scan.After, c.beyond = nil, after
	at := &driver.Bound{Key: after.Key}
	if bound := &c.scan.Lower; !m.scan.Desc && (*bound == nil || codec.Compare((*bound).Key, at.Key) < 0) {
		*bound = at
	}
	if bound := &c.scan.Upper; m.scan.Desc && (*bound == nil || codec.Compare((*bound).Key, at.Key) > 0) {
		*bound = at
	}
	return c
}

// fill makes sure that there is a row to take, if there is one.
func (c *cursor) fill(page int) error {
	for len(c.rows) == 0 && !c.end {
		c.scan.Limit = page
		m := c.merge
		dt, err := m.tx.branches.at(m.c.members[c.part], false)
		if err != nil {
			return err
		}
		rows, err := dt.Scan(m.ctx, m.c.parts[c.part], c.scan)
		if err != nil {
			return m.tx.branches.failed(err)
		}
		c.end = len(rows) < page
		c.rows = m.c.globalAll(c.part, rows)
		for c.beyond != nil && len(c.rows) > 0 && !m.before(c.beyond, &c.rows[0]) {
			c.take()
		}
	}
	return nil
}

// take returns the first of c.rows and goes on behind it.
func (c *cursor) take() *driver.Row {
	r := &c.rows[0]
	c.rows = c.rows[1:]
	_, id := localID(r.ID)
	c.scan.After = &driver.Row{ID: id, Key: r.Key, ForeignKey: r.ForeignKey, Expire: r.Expire}
	return r
}

package drivertest

import (
	"cmp"
	"context"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// idAt returns the ID of the row at a place of a collection, or one that no row has
// if there are not so many.
func idAt(ctx context.Context, tx driver.Tx, c driver.Collection, place int64) (int64, error) {
	rows, err := tx.Scan(ctx, c, driver.Scan{Limit: int(place), Bare: true})
	n := int64(len(rows))
	if n == 0 || err != nil {
		return place, err
	}
	return rows[n-1].ID + place - n, nil
}

// beginAt returns s with an ID in the place of a place. With a negative one, the scan
// begins at the row that is there, and else after it.
func beginAt(ctx context.Context, tx driver.Tx, c driver.Collection, s driver.Scan) (driver.Scan, error) {
	if s.After == nil {
		return s, nil
	}
	after := *s.After
	place := after.ID
	id, err := idAt(ctx, tx, c, max(place, -place))
	switch {
	case place >= 0:
	case s.Desc:
		id++
	default:
		id--
	}
	after.ID, s.After = id, &after
	return s, err
}

// idPairs has the IDs of rows that two sides have returned, by collection: the first
// side's, and the other one's of the same row. The ID of a row that is gone may come
// back as that of another one, on one of the sides only. So pairs are forgotten when
// rows may go.
type idPairs [len(collections)]map[int64]int64

func (p *idPairs) forget() { *p = idPairs{} }

// compare compares the IDs of two outcomes of an operation, which differ in nothing
// else. It returns how they differ, or "".
func (p *idPairs) compare(o *op, want, got *outcome) (difference string) {
	switch o.kind {
	case opUpdate, opView:
		difference = p.compareAll(o.ops, want.Inner, got.Inner)
		if want.Err != "" {
			p.forget() // what it has put
		}
		return difference
	case opSnapshot:
		a, b := want.Inner, got.Inner
		for _, ops := range [][]op{o.ops, o.then, o.ops} {
			n := min(len(ops), len(a))
			p.forget()
			if difference = p.compareAll(ops, a[:n], b[:n]); difference != "" {
				return difference
			}
			a, b = a[n:], b[n:]
		}
		p.forget()
		return ""
	case opDrop:
		p[o.collection] = nil
		return ""
	case opPutMany: // IDs may come back in between
		p[o.collection] = nil
		return ""
	}
	for i := range want.Rows {
		if difference = p.add(o.collection, want.Rows[i].ID, got.Rows[i].ID); difference != "" {
			return difference
		}
	}
	if o.kind == opDelete || o.kind == opRemove || o.kind == opCull || o.kind == opPut && o.put.Cull != 0 {
		p[o.collection] = nil
	}
	return ""
}

func (p *idPairs) compareAll(ops []op, want, got []outcome) string {
	for i := range want {
		if difference := p.compare(&ops[i], &want[i], &got[i]); difference != "" {
			return difference
		}
	}
	return ""
}

// add notes that two IDs are of the same row. It returns how that contradicts a pair.
func (p *idPairs) add(collection int, a, b int64) string {
	if a == 0 && b == 0 {
		return "" // not wanted
	}
	for x, y := range p[collection] {
		if cmp.Compare(a, x) != cmp.Compare(b, y) {
			return fmt.Sprintf("IDs %d and %d here are %d and %d there, of the same rows", x, a, y, b)
		}
	}
	if p[collection] == nil {
		p[collection] = map[int64]int64{}
	}
	p[collection][a] = b
	return ""
}

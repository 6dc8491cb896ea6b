package drivertest

import (
	"cmp"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// remove returns what Remove removed, sorted by ID.
func (e *env) remove(f driver.Filter, limit int) (rows []driver.Row) {
	e.Helper()
	e.update(func(tx driver.Tx) {
		var err error
		rows, err = tx.Remove(e.ctx, e.c, f, limit)
		e.ok(err)
	})
	slices.SortFunc(rows, func(a, b driver.Row) int { return cmp.Compare(a.ID, b.ID) })
	return rows
}

func (e *env) wantRemoved(f driver.Filter, want, left string) {
	e.Helper()
	if got := keys(e.remove(f, 1000)); got != want {
		e.Errorf("Remove %+v removed [%s], want [%s]", f, got, want)
	}
	e.wantScan(driver.Scan{}, left)
}

var removeTests = tests{
	{"Everything", func(e *env) {
		scanned(e)
		before := e.scan(driver.Scan{Bare: true})
		e.wantRows(e.remove(driver.Filter{}, 1000), before) // without values
		e.wantCount(0)
		e.wantScan(driver.Scan{}, ``)
		if got := e.remove(driver.Filter{}, 1000); len(got) != 0 {
			e.Errorf("removed %d rows of none", len(got))
		}
	}},

	{"Expired", func(e *env) {
		scanned(e)
		e.wantRemoved(driver.Filter{Expired: now + 9}, ``, `"m" 5 "b" x71 2.5r "a"`)
		e.wantRemoved(driver.Filter{Expired: now + 20}, `"b" 2.5r`, `"m" 5 x71 "a"`)
	}},

	{"Tag", func(e *env) {
		scanned(e)
		e.wantRemoved(driver.Filter{Tag: val(1.0)}, `2.5r "a"`, `"m" 5 "b" x71`)
		e.wantRemoved(driver.Filter{Tag: val("x")}, `"m" x71`, `5 "b"`)
	}},

	{"IDs", func(e *env) {
		scanned(e)
		id := func(key any) int64 { return e.row(key).ID }
		e.wantRemoved(driver.Filter{IDs: []int64{}}, ``, `"m" 5 "b" x71 2.5r "a"`)
		ids := []int64{id(2.5), id("m"), 1 << 40, -1, 0, id("m")}
		e.wantRemoved(driver.Filter{IDs: ids}, `"m" 2.5r`, `5 "b" x71 "a"`)
	}},

	{"ManyIDs", func(e *env) {
		var ids []int64
		e.update(func(tx driver.Tx) {
			for i := range 3000 {
				e.putTx(tx, pair(i, i))
			}
		})
		for _, r := range e.scan(driver.Scan{Limit: 2999}) {
			ids = append(ids, r.ID)
		}
		if got := e.remove(driver.Filter{IDs: ids}, 3000); len(got) != 2999 {
			e.Errorf("removed %d rows of 2999", len(got))
		}
		e.wantCount(1)
	}},

	{"AllConditionsHold", func(e *env) {
		scanned(e)
		ids := []int64{e.row("m").ID, e.row(5).ID, e.row("b").ID}
		e.wantRemoved(driver.Filter{Expired: now + 10, Tag: val("x")}, ``, `"m" 5 "b" x71 2.5r "a"`)
		e.wantRemoved(driver.Filter{Expired: now + 30, IDs: ids}, `"m" "b"`, `5 x71 2.5r "a"`)
		e.wantRemoved(driver.Filter{Tag: val("x"), Expired: now + 30, IDs: nil}, `x71`, `5 2.5r "a"`)
	}},

	{"Limit", func(e *env) {
		scanned(e)
		for _, limit := range []int{0, -1} {
			if got := e.remove(driver.Filter{}, limit); len(got) != 0 {
				e.Errorf("removed %d rows with limit %d", len(got), limit)
			}
		}
		if got := e.remove(driver.Filter{Tag: val("x")}, 1); len(got) != 1 {
			e.Errorf("removed %d rows with limit 1", len(got))
		}
		if got := e.remove(driver.Filter{}, 4); len(got) != 4 {
			e.Errorf("removed %d rows with limit 4", len(got))
		}
		e.wantCount(1)
	}},
}

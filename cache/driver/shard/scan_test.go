package shard

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/codec"
)

// mixed are keys of all kinds, some equal in database order.
func mixed(n int) (all []codec.Value) {
	for i := range n {
		switch i % 4 {
		case 0:
			all = append(all, number(i-n/2))
		case 1:
			all = append(all, codec.RealValue(float64(i-n/2-1))) // equal to the one before
		case 2:
			all = append(all, text(fmt.Sprintf("%03d", i*7%n)))
		default:
			all = append(all, codec.BlobValue([]byte{byte(i * 11)}))
		}
	}
	return all
}

// The orders by key and by expiry are those of one store that has all rows,
// and go on after any row.
func TestScanMergesExactly(t *testing.T) {
	onEngines(t, 5, func(t *testing.T, s *Store, _ func() *Store) {
		c := open(t, s, "")
		rounds := 60
		if raceEnabled {
			rounds = 3
		}
		keys := mixed(80)
		ok(t, s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
			for i, k := range keys {
				p := driver.Put{Key: k, Value: number(i), Now: now}
				if i%3 > 0 {
					p.Expire = now + driver.Instant(i%7)
				}
				if err := errOf(tx.Put(t.Context(), c, p)); err != nil {
					return err
				}
			}
			return nil
		}))
		for _, o := range []driver.Order{driver.ByID, driver.ByKey, driver.ByExpire} {
			for _, desc := range []bool{false, true} {
				all := scan(t, s, c, driver.Scan{Order: o, Desc: desc})
				m := &merge{scan: driver.Scan{Order: o, Desc: desc}}
				for i := 1; i < len(all); i++ {
					if !m.before(&all[i-1], &all[i]) {
						t.Fatalf("order %d, desc %v: rows %d and %d are out of order: %s", o, desc, i-1, i, show(all))
					}
				}
				if o != driver.ByExpire {
					ok(t, s.View(t.Context(), func(tx driver.Tx) error {
						n, err := tx.Count(t.Context(), c)
						equal(t, int(n), len(all))
						return err
					}))
				}
				r := rand.New(rand.NewPCG(uint64(o), 0))
				for range rounds {
					at, skip, limit := r.IntN(len(all)), r.IntN(12), 1+r.IntN(15)
					from := min(at+1+skip, len(all))
					got := scan(t, s, c, driver.Scan{Order: o, Desc: desc, After: &all[at], Skip: int64(skip), Limit: limit})
					if g, w := show(got), show(all[from:min(from+limit, len(all))]); g != w {
						t.Fatalf("order %d, desc %v, %d rows after %d, skip %d: %s, want %s", o, desc, limit, at, skip, g, w)
					}
					for i := range got {
						if got[i].Value.IsNull() || got[i].ID != all[from+i].ID {
							t.Fatalf("row %d has no value or another ID", i)
						}
					}
				}
				paged := driver.Scan{Order: o, Desc: desc, Limit: 7, Bare: true}
				var rows []driver.Row
				for {
					page := scan(t, s, c, paged)
					rows = append(rows, page...)
					if len(page) < paged.Limit {
						break
					}
					paged.After = &page[len(page)-1]
				}
				equal(t, show(rows), show(all))
			}
		}
	})
}

// By key and by expiry a sharded store cannot be told from another.
func TestScanLikeUnsharded(t *testing.T) {
	one := memory.New(nil)
	defer one.Close()
	oc := open(t, one, "")
	onEngines(t, 4, func(t *testing.T, s *Store, _ func() *Store) {
		c := open(t, s, "")
		for i := range 60 {
			p := driver.Put{Key: text(fmt.Sprintf("%03d", i*37%60)), Value: number(i), Now: now, Expire: now + driver.Instant(i*13%60)}
			for _, side := range []struct {
				s driver.Store
				c driver.Collection
			}{{s, c}, {one, oc}} {
				ok(t, side.s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return errOf(tx.Put(t.Context(), side.c, p)) }))
			}
		}
		for _, o := range []driver.Order{driver.ByKey, driver.ByExpire} {
			for _, desc := range []bool{false, true} {
				for _, q := range []driver.Scan{
					{Order: o, Desc: desc},
					{Order: o, Desc: desc, Skip: 13, Limit: 17},
					{Order: o, Desc: desc, Lower: &driver.Bound{Key: text("010"), Open: true}, Upper: &driver.Bound{Key: text("040")}, Skip: 2},
					{Order: o, Desc: desc, Live: now + 20, Limit: 33},
					{Order: o, Desc: desc, Skip: 59}, {Order: o, Desc: desc, Skip: 60},
				} {
					equal(t, show(scan(t, s, c, q)), show(scan(t, one, oc, q)))
				}
			}
		}
	})
}

// Insertion order goes shard by shard, and IDs with it.
func TestInsertionOrder(t *testing.T) {
	const n = 3
	onEngines(t, n, func(t *testing.T, s *Store, _ func() *Store) {
		c := open(t, s, "")
		for i := range 4 { // the shards by turns
			for shard := range n {
				put(t, s, c, keyIn(n-1-shard, n, i))
			}
		}
		rows := scan(t, s, c, driver.Scan{})
		equal(t, len(rows), 4*n)
		for i, r := range rows {
			equal(t, show1(r.Key), show1(keyIn(i/4, n, i%4)))
			if i > 0 && r.ID <= rows[i-1].ID {
				t.Fatalf("ID %d comes after %d", r.ID, rows[i-1].ID)
			}
			found, _, err := s.Get(t.Context(), c, r.Key, quiet)
			ok(t, err)
			equal(t, found.ID, r.ID)
		}
		// IDs of several shards, and of none.
		ok(t, s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
			gone, err := tx.Remove(t.Context(), c, driver.Filter{IDs: []int64{rows[1].ID, rows[6].ID, rows[11].ID, -1, 99 << idBits, 12345}}, 10)
			equal(t, show(gone), show([]driver.Row{rows[1], rows[6], rows[11]}))
			return err
		}))
		ok(t, s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
			gone, err := tx.Remove(t.Context(), c, driver.Filter{}, 7)
			if err == nil {
				equal(t, len(gone), 7)
			}
			return err
		}))
		equal(t, show(scan(t, s, c, driver.Scan{})), show([]driver.Row{rows[9], rows[10]}))
	})
}

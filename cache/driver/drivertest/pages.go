package drivertest

import (
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// manyPages is more than any test has.
const manyPages = 1000

// pages scans to the end, a page at a time, and calls between after each,
// with its number and its last row.
func (e *env) pages(s driver.Scan, between func(page int, last driver.Row)) []driver.Row {
	e.Helper()
	var all []driver.Row
	for n := range manyPages {
		page := e.scan(s)
		all = append(all, page...)
		if len(page) < s.Limit {
			return all
		}
		last := page[len(page)-1]
		s.After = &last
		between(n, last)
	}
	e.Fatalf("%+v does not come to an end", s)
	return nil
}

// everyScan runs a test in all orders and both directions.
func everyScan(run func(e *env, s driver.Scan)) func(*env) {
	return func(e *env) {
		for _, o := range []driver.Order{driver.ByID, driver.ByKey, driver.ByExpire} {
			for _, desc := range []bool{false, true} {
				e.update(func(tx driver.Tx) {
					_, err := tx.Remove(e.ctx, e.c, driver.Filter{}, 1000)
					e.ok(err)
				})
				run(e, driver.Scan{Order: o, Desc: desc, Limit: 7})
			}
		}
	}
}

var pageTests = tests{
	{"WholeScan", everyScan(func(e *env, s driver.Scan) {
		for i := range 50 {
			e.put(until(fmt.Sprint(i*37%50), now+driver.Instant(1+i%5)))
		}
		whole := s
		whole.Limit = 1000
		if got, want := keys(e.pages(s, func(int, driver.Row) {})), keys(e.scan(whole)); got != want {
			e.Errorf("pages of %+v: [%s], want [%s]", s, got, want)
		}
	})},

	{"PresentThroughoutIsYieldedOnce", everyScan(func(e *env, s driver.Scan) {
		key := func(kind string, i int) string { return fmt.Sprintf("%02d-%s", i, kind) }
		for i := range 30 {
			expire := now + driver.Instant(1+i%4)
			e.put(until(key("stays", i), expire), until(key("goes", i), expire), until(key("changes", i), expire))
		}
		rows := e.pages(s, func(page int, _ driver.Row) {
			e.update(func(tx driver.Tx) {
				for i := range 30 {
					switch i % 5 {
					case page % 5:
						_, err := tx.Delete(e.ctx, e.c, val(key("goes", i)), now)
						e.ok(err)
					case (page + 1) % 5:
						e.putTx(tx, until(key(fmt.Sprint("new", page), i), now+driver.Instant(1+i%4)))
					case (page + 2) % 5:
						p := until(key("changes", i), now+driver.Instant(1+i%4))
						p.Value = val(page)
						e.putTx(tx, p)
					}
				}
			})
		})
		seen := make(map[string]int)
		for _, r := range rows {
			seen[r.Key.Text()]++
		}
		for i := range 30 {
			for _, kind := range []string{"stays", "changes"} {
				if n := seen[key(kind, i)]; n != 1 {
					e.Errorf("%+v: %s yielded %d times", s, key(kind, i), n)
				}
			}
		}
		for k, n := range seen {
			if n > 1 && s.Order == driver.ByKey {
				e.Errorf("%+v: %s yielded %d times", s, k, n)
			}
		}
	})},

	{"LastRowGoesBetweenPages", everyScan(func(e *env, s driver.Scan) {
		for i := range 40 {
			e.put(until(i, now+driver.Instant(1+i%3)))
		}
		whole := s
		whole.Limit = 1000
		want := keys(e.scan(whole))
		seen := e.pages(s, func(_ int, last driver.Row) { e.delete(last.Key, now) })
		if got := keys(seen); got != want {
			e.Errorf("%+v: [%s], want [%s]", s, got, want)
		}
	})},
}

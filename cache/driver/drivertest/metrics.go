package drivertest

import (
	"errors"

	"github.com/google/go-cmp/cmp"

	"github.com/go-diskcache/diskcache/cache/driver"
)

func (e *env) metrics() driver.Metrics {
	e.Helper()
	return e.s.(driver.Metered).Metrics()
}

var metricsTests = tests{
	{"Commits", func(e *env) {
		before := e.metrics().Commits
		const n = 20
		for i := range n {
			e.ok(e.s.Update(e.ctx, []driver.Mode{driver.Alone, driver.Shared, driver.Own}[i%3], func(tx driver.Tx) error {
				return errOf(tx.Put(e.ctx, e.c, pair(i, i)))
			}))
			e.wantErr(e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
				e.putTx(tx, pair("k", i))
				return errRollback
			}), errRollback)
		}
		after := e.metrics().Commits
		commits, updates := after.Count()-before.Count(), after.Sum-before.Sum
		// The engine may commit something of its own.
		if commits < n || updates < n || updates > n+5 {
			e.Errorf("%d commits of %v updates, after %d updates", commits, updates, n)
		}
		if len(after.Counts) != len(after.Bounds)+1 {
			e.Errorf("%d counts for %d bounds", len(after.Counts), len(after.Bounds))
		}
	}},

	{"Removals", func(e *env) {
		before := e.metrics()
		e.setPolicy(driver.LeastRecentlyStored)
		e.put(until("e1", now-1), until("e2", now-1), until("e3", now-1), pair("a", 1), pair("b", 2))
		e.update(func(tx driver.Tx) {
			_, err := tx.Remove(e.ctx, e.c, driver.Filter{Expired: now}, 1)
			e.ok(err)
		})
		e.wantErr(e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
			_, err := tx.Cull(e.ctx, e.c, now, 9, null)
			return errors.Join(err, errRollback)
		}), errRollback)
		if got := e.metrics(); got.Expired-before.Expired != 1 || got.Evicted != before.Evicted {
			e.Errorf("%d expired and %d evicted", got.Expired-before.Expired, got.Evicted-before.Evicted)
		}
		e.cull(3, nil) // the two that have expired, and one more
		e.update(func(tx driver.Tx) {
			p := pair("c", 3)
			p.Cull = 1
			e.putTx(tx, p)
		})
		e.update(func(tx driver.Tx) { // these were neither
			_, err := tx.Remove(e.ctx, e.c, driver.Filter{}, 9)
			e.ok(err)
		})
		if got := e.metrics(); got.Expired-before.Expired != 3 || got.Evicted-before.Evicted != 2 {
			e.Errorf("%d expired and %d evicted", got.Expired-before.Expired, got.Evicted-before.Evicted)
		}
	}},

	{"Gets", func(e *env) {
		get := func(tx driver.Tx) error {
			return errors.Join(
				errOf2(tx.Get(e.ctx, e.c, val("k"), driver.Lookup{Now: now})),
				errOf2(tx.Get(e.ctx, e.c, val("absent"), driver.Lookup{Now: now})))
		}
		want := func(hits, misses int64) {
			e.Helper()
			if d := cmp.Diff(driver.Stats{Hits: hits, Misses: misses}, e.metrics().Collections["test"]); d != "" {
				e.Error(d)
			}
		}
		e.put(pair("k", 1))
		e.ok(e.look(e.s, e.c, "k"))
		want(0, 0)
		e.enableStats(true)
		e.ok(e.look(e.s, e.c, "k"))
		want(1, 0)
		e.ok(e.s.View(e.ctx, get))
		want(2, 1)
		e.ok(e.s.Update(e.ctx, driver.Alone, get))
		want(3, 2)
		e.wantErr(e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
			return errors.Join(get(tx), errRollback)
		}), errRollback)
		want(3, 2)
		e.wantStats(true, 3, 2)
		want(3, 2)
		e.ok(e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error { // it writes what it has read
			return errors.Join(get(tx), errOf(tx.Put(e.ctx, e.c, pair("k", 2))), get(tx))
		}))
		want(5, 4)
		e.put(pair("k", 3))
		e.row("k") // quiet
		want(5, 4)
	}},

	{"Watches", func(e *env) {
		if n := e.metrics().Watches; n != 0 {
			e.Errorf("%d watches", n)
		}
		_, stop, err := e.s.Watch(e.c)
		e.ok(err)
		if n := e.metrics().Watches; n < 1 {
			e.Errorf("%d watches", n)
		}
		stop()
		if n := e.metrics().Watches; n != 0 {
			e.Errorf("%d watches", n)
		}
	}},
}

func errOf2(_ driver.Row, _ bool, err error) error { return err }

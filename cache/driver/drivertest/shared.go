package drivertest

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// increment adds one to a counter.
func increment(ctx context.Context, tx driver.Tx, c driver.Collection, key any) error {
	r, _, err := tx.Get(ctx, c, val(key), quiet)
	if err != nil {
		return err
	}
	return errOf(tx.Put(ctx, c, pair(key, r.Value.Integer()+1)))
}

var sharedTests = tests{
	{"NoLostUpdate", func(e *env) {
		second := e.open(Options{})
		c2 := e.collection(second, "test")
		const writers, each = 8, 50
		var waits []func() error
		for i := range writers {
			s, c := e.s, e.c
			if i%2 == 1 {
				s, c = second, c2
			}
			mode := driver.Shared
			if i == 0 {
				mode = driver.Alone
			}
			waits = append(waits, e.background(func() error {
				for range each {
					if err := s.Update(e.ctx, mode, func(tx driver.Tx) error { return increment(e.ctx, tx, c, "n") }); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		for _, wait := range waits {
			e.ok(wait())
		}
		e.wantValue("n", writers*each)
	}},

	{"OneFailsOthersDoNot", func(e *env) {
		// All of them queue up behind one writer, and so may share a commit.
		release := e.hold(e.s, e.ctx, nil)
		const members = 40
		var waits []func() error
		for i := range members {
			waits = append(waits, e.background(func() error {
				return e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
					if err := errOf(tx.Put(e.ctx, e.c, pair(i, i))); err != nil {
						return err
					}
					if err := increment(e.ctx, tx, e.c, "n"); err != nil {
						return err
					}
					if i%5 == 0 {
						return fmt.Errorf("member %d: %w", i, errRollback)
					}
					return nil
				})
			}))
		}
		e.ok(release())
		for i, wait := range waits {
			err := wait()
			if failed := i%5 == 0; failed != errors.Is(err, errRollback) || !failed && err != nil {
				e.Errorf("member %d: %v", i, err)
			} else if failed && err.Error() != fmt.Sprintf("member %d: %v", i, errRollback) {
				e.Errorf("member %d has the error of another: %v", i, err)
			}
			if _, ok := e.find(i, now); ok == (i%5 == 0) {
				e.Errorf("member %d: found %v", i, ok)
			}
		}
		e.wantValue("n", members*4/5)
		e.wantCount(members*4/5 + 1)
	}},

	{"ResultsBelongToTheCommittedRun", func(e *env) {
		const members = 20
		var results [members]int64
		release := e.hold(e.s, e.ctx, nil)
		var waits []func() error
		for i := range members {
			waits = append(waits, e.background(func() error {
				return e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
					if err := increment(e.ctx, tx, e.c, "n"); err != nil {
						return err
					}
					r, _, err := tx.Get(e.ctx, e.c, val("n"), quiet)
					if err != nil {
						return err
					}
					results[i] = r.Value.Integer()
					if i%3 == 0 {
						return errRollback
					}
					return nil
				})
			}))
		}
		e.ok(release())
		seen := make(map[int64]bool)
		for i, wait := range waits {
			if err := wait(); err == nil {
				if seen[results[i]] {
					e.Errorf("two members counted to %d", results[i])
				}
				seen[results[i]] = true
			}
		}
		e.wantValue("n", len(seen))
	}},

	{"StatsCountCommittedRunsOnce", func(e *env) {
		e.enableStats(true)
		e.put(pair("k", 1))
		release := e.hold(e.s, e.ctx, nil)
		var waits []func() error
		for i := range 20 {
			waits = append(waits, e.background(func() error {
				return e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
					if _, _, err := tx.Get(e.ctx, e.c, val("k"), driver.Lookup{Now: now}); err != nil {
						return err
					}
					if err := errOf(tx.Put(e.ctx, e.c, pair(i, i))); err != nil {
						return err
					}
					if i%4 == 0 {
						return errRollback
					}
					return nil
				})
			}))
		}
		e.ok(release())
		for _, wait := range waits {
			wait()
		}
		e.wantStats(false, 15, 0)
	}},
}

package drivertest

import (
	"slices"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
)

func (e *env) fence(s driver.Store, mode driver.Mode) (n int64, err error) {
	err = s.Update(e.ctx, mode, func(tx driver.Tx) (err error) {
		n, err = tx.Fence(e.ctx)
		return err
	})
	return n, err
}

var fenceTests = tests{
	{"CountsUp", func(e *env) {
		second := e.open(Options{})
		last := int64(0)
		for i := range 10 {
			n, err := e.fence([]driver.Store{e.s, second}[i%2], driver.Mode(i%2))
			e.ok(err)
			if n <= last || n >= 1<<43 {
				e.Errorf("Fence is %d after %d", n, last)
			}
			last = n
		}
		e.reopen()
		e.ok(e.s.Drop(e.ctx, "test"))
		e.c = e.collection(e.s, "test")
		n, err := e.fence(e.s, driver.Alone)
		e.ok(err)
		if n <= last || n >= 1<<43 {
			e.Errorf("Fence is %d after %d and reopening", n, last)
		}
	}},

	{"TwiceInATransaction", func(e *env) {
		e.update(func(tx driver.Tx) {
			a, err := tx.Fence(e.ctx)
			e.ok(err)
			b, err := tx.Fence(e.ctx)
			e.ok(err)
			if a < 1 || b <= a {
				e.Errorf("Fences are %d and %d", a, b)
			}
		})
	}},

	{"AtOnce", func(e *env) {
		second := e.open(Options{})
		const takers, each = 8, 25
		var mu sync.Mutex
		var all []int64
		var waits []func() error
		for i := range takers {
			waits = append(waits, e.background(func() error {
				last := int64(0)
				for range each {
					n, err := e.fence([]driver.Store{e.s, second}[i%2], driver.Shared)
					if err != nil {
						return err
					}
					if n <= last {
						e.Errorf("Fence is %d after %d", n, last)
					}
					last = n
					mu.Lock()
					all = append(all, n)
					mu.Unlock()
				}
				return nil
			}))
		}
		for _, wait := range waits {
			e.ok(wait())
		}
		slices.Sort(all)
		if len(slices.Compact(all)) != takers*each {
			e.Error("a fence was given twice")
		}
	}},
}

package cache_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

// A step commits once what its last run did, however often it was run, and
// what waited for the commit happens once.
func TestStep(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		a := open[string, int](t, e.st, "a", nil)
		b := open[string, int](t, e.st, "b", nil)
		holds := func(c *cache.Cache[string, int], want int) {
			t.Helper()
			if n, _, err := c.Get(t.Context(), "n"); err != nil || n != want {
				t.Errorf("%s holds %d, %v, want %d", c.Name(), n, err, want)
			}
		}
		told := 0
		move := func(tx *cache.Tx) error {
			n, err := cache.Incr(tx.Context(), a.In(tx), "n", 1)
			if err == nil {
				err = b.In(tx).Set(tx.Context(), "n", n)
			}
			tx.AfterCommit(func() { told++ })
			return err
		}
		ok(t, a.Step(t.Context(), move, b))
		holds(a, 1)
		holds(b, 1)
		equal(t, told, 1)

		broken := errors.New("broken")
		err := a.Step(t.Context(), func(tx *cache.Tx) error {
			if err := move(tx); err != nil {
				return err
			}
			return broken
		}, b)
		if err != broken {
			t.Errorf("got %v", err)
		}
		equal(t, told, 1)
		holds(a, 1)

		// In a transaction it is a part of that.
		ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
			err := a.Step(tx.Context(), move, b)
			equal(t, told, 1)
			return err
		}))
		equal(t, told, 2)
		holds(b, 2)

		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 10 {
					if err := a.Step(t.Context(), func(tx *cache.Tx) error {
						n, err := cache.Incr(tx.Context(), a.In(tx), "n", 1)
						if err != nil {
							return err
						}
						return b.In(tx).Set(tx.Context(), "n", n)
					}, b); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		holds(a, 42)
		holds(b, 42)
	})
}

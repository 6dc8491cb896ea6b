package drivertest

import (
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

var viewTests = tests{
	{"IsASnapshot", func(e *env) {
		before := seeded(e)
		e.view(func(tx driver.Tx) {
			look := func() {
				e.Helper()
				rows, err := tx.Scan(e.ctx, e.c, driver.Scan{Limit: 1000})
				e.ok(err)
				e.wantRows(rows, before)
				if n, err := tx.Count(e.ctx, e.c); err != nil || n != int64(len(before)) {
					e.Errorf("Count is %d, %v", n, err)
				}
				if _, ok, err := tx.Get(e.ctx, e.c, val("m"), quiet); !ok || err != nil {
					e.Errorf("a row that was deleted later is not seen: %v", err)
				}
				if _, ok, err := tx.Get(e.ctx, e.c, val("new"), quiet); ok || err != nil {
					e.Errorf("a row that was put later is seen: %v", err)
				}
			}
			look()
			// A writer does not wait for it, on this goroutine or another.
			e.update(func(tx driver.Tx) { ruin(e, tx) })
			look()
			e.ok(e.background(func() error {
				return e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, pair("newer", 1))) })
			})())
			look()
		})
		e.wantGone("m")
		e.wantValue("new", 1)
		e.wantValue("newer", 1)
	}},

	{"StartsWithTheCall", func(e *env) {
		// Even if nothing is read before the next commit.
		e.put(pair("k", 1))
		e.view(func(tx driver.Tx) {
			e.put(pair("k", 2))
			r, _, err := tx.Get(e.ctx, e.c, val("k"), quiet)
			e.ok(err)
			if r.Value.Integer() != 1 {
				e.Errorf("value is %d, from a commit after the call", r.Value.Integer())
			}
		})
	}},

	{"SeesEarlierCommits", func(e *env) {
		second := e.open(Options{})
		c := e.collection(second, "test")
		for i := range 50 {
			e.put(pair("k", i))
			e.ok(second.View(e.ctx, func(tx driver.Tx) error {
				r, _, err := tx.Get(e.ctx, c, val("k"), quiet)
				if r.Value.Integer() != int64(i) {
					e.Errorf("value is %d, want %d", r.Value.Integer(), i)
				}
				return err
			}))
		}
	}},

	{"CannotWrite", func(e *env) {
		before := seeded(e)
		for name, use := range txUses(e.ctx, e.c) {
			err := e.s.View(e.ctx, use.run)
			switch {
			case use.writes:
				e.wantErr(err, driver.ErrReadOnly)
			case err != nil:
				e.Errorf("%s: %v", name, err)
			}
		}
		large := e.large(driver.Put{Key: val("k"), Now: now}, codec.Blob, []byte("x"))
		e.wantErr(e.s.View(e.ctx, func(tx driver.Tx) error {
			return errOf(tx.Put(e.ctx, e.c, large))
		}), driver.ErrReadOnly)
		e.wantErr(e.s.View(e.ctx, func(tx driver.Tx) error {
			_, err := tx.Fence(e.ctx)
			return err
		}), driver.ErrReadOnly)
		e.wantUntouched(before)
	}},

	{"PassesErrorsAndPanicsOn", func(e *env) {
		e.wantErr(e.s.View(e.ctx, func(driver.Tx) error { return errRollback }), errRollback)
		func() {
			defer func() {
				if got := recover(); got != "boo" {
					e.Errorf("panic is %v, want boo", got)
				}
			}()
			e.s.View(e.ctx, func(driver.Tx) error { panic("boo") })
		}()
		e.wantCount(0)
	}},

	{"Nested", func(e *env) {
		e.put(pair("k", 1))
		e.view(func(outer driver.Tx) {
			e.put(pair("k", 2))
			e.view(func(inner driver.Tx) {
				for tx, want := range map[driver.Tx]int64{outer: 1, inner: 2} {
					r, _, err := tx.Get(e.ctx, e.c, val("k"), quiet)
					e.ok(err)
					if r.Value.Integer() != want {
						e.Errorf("value is %d, want %d", r.Value.Integer(), want)
					}
				}
			})
		})
	}},

	{"WhileAWriterRuns", func(e *env) {
		e.put(pair("k", 1))
		release := e.hold(e.s, e.ctx, func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, pair("k", 2))) })
		for range 20 {
			e.wantValue("k", 1)
		}
		e.ok(release())
		e.wantValue("k", 2)
	}},

	{"ConsistentUnderWrites", func(e *env) {
		// Two rows are always changed together.
		stop := make(chan struct{})
		wait := e.background(func() error {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return nil
				default:
				}
				err := e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
					if err := errOf(tx.Put(e.ctx, e.c, pair("a", i))); err != nil {
						return err
					}
					return errOf(tx.Put(e.ctx, e.c, pair("b", i)))
				})
				if err != nil {
					return err
				}
			}
		})
		for range 200 {
			e.view(func(tx driver.Tx) {
				a, _, err := tx.Get(e.ctx, e.c, val("a"), quiet)
				e.ok(err)
				b, _, err := tx.Get(e.ctx, e.c, val("b"), quiet)
				e.ok(err)
				if a.Value.Integer() != b.Value.Integer() {
					e.Errorf("a is %d, b is %d", a.Value.Integer(), b.Value.Integer())
				}
			})
		}
		close(stop)
		e.ok(wait())
	}},
}

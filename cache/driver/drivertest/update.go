package drivertest

import (
	"errors"
	"runtime"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// seeded fills the collection and returns what is in it.
func seeded(e *env) []driver.Row {
	e.setPolicy(driver.LeastRecentlyStored)
	scanned(e)
	e.put(e.large(driver.Put{Key: val("file"), Now: now}, codec.Text, []byte("content")))
	return e.scan(driver.Scan{})
}

// ruin does everything that a transaction can do.
func ruin(e *env, tx driver.Tx) {
	e.putTx(tx, pair("a", "replaced"), pair("new", 1), pair("file", "inline"))
	e.putTx(tx, e.large(driver.Put{Key: val("newfile"), Now: now}, codec.Blob, []byte("x")))
	_, err := tx.Delete(e.ctx, e.c, val("m"), now)
	e.ok(err)
	_, err = tx.Touch(e.ctx, e.c, val("b"), 0, now)
	e.ok(err)
	_, err = tx.Remove(e.ctx, e.c, driver.Filter{Tag: val("x")}, 10)
	e.ok(err)
	_, err = tx.Cull(e.ctx, e.c, now, 2, null)
	e.ok(err)
	_, err = tx.Fence(e.ctx)
	e.ok(err)
}

// wantUntouched checks that the store is as seeded left it, and works.
func (e *env) wantUntouched(before []driver.Row) {
	e.Helper()
	e.wantRows(e.scan(driver.Scan{}), before)
	e.wantCount(int64(len(before)))
	if got := string(e.content(e.row("file"))); got != "content" {
		e.Errorf("value file holds %q", got)
	}
	checkStore(e, e.s)
	e.put(pair("afterwards", 1))
	e.wantValue("afterwards", 1)
}

var updateTests = tests{
	{"ContextOfAMethodEnds", func(e *env) {
		before := seeded(e)
		for name, use := range txUses(ended(), e.c) {
			for _, mode := range []driver.Mode{driver.Alone, driver.Shared, driver.Own} {
				err := e.s.Update(e.ctx, mode, func(tx driver.Tx) error {
					e.putTx(tx, pair("unwanted", 1))
					return use.run(tx)
				})
				if !errors.Is(err, errCause) {
					e.Errorf("%s with mode %d: %v, want the cause of its context's end", name, mode, err)
				}
			}
			if err := e.s.View(e.ctx, use.run); !use.writes && !errors.Is(err, errCause) {
				e.Errorf("%s in a View: %v, want the cause of its context's end", name, err)
			}
		}
		for _, use := range []func(tx driver.Tx) error{
			func(tx driver.Tx) error { return errOf(tx.Fence(ended())) },
			func(tx driver.Tx) error { return errOf(tx.Alive(ended(), "s")) },
		} {
			e.wantErr(e.s.Update(e.ctx, driver.Alone, use), errCause)
		}
		e.wantUntouched(before)
	}},

	{"VisibleAtOnce", func(e *env) {
		e.update(func(tx driver.Tx) {
			e.putTx(tx, pair("a", 1))
			if _, ok, err := tx.Get(e.ctx, e.c, val("a"), quiet); !ok || err != nil {
				e.Errorf("own write is not seen: %v, %v", ok, err)
			}
			n, err := tx.Count(e.ctx, e.c)
			if n != 1 || err != nil {
				e.Errorf("Count is %d, %v", n, err)
			}
			// Others do not see it, and are not kept waiting.
			e.wantGone("a")
			e.wantCount(0)
		})
		e.wantValue("a", 1)
		e.s = e.open(Options{})
		e.c = e.collection(e.s, "test")
		e.wantValue("a", 1)
	}},

	{"RollsBackOnError", func(e *env) {
		before := seeded(e)
		e.wantErr(e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
			ruin(e, tx)
			return errRollback
		}), errRollback)
		e.wantErr(e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
			_, err := tx.Delete(e.ctx, e.c, val("file"), now)
			return errors.Join(err, errOf(tx.Put(e.ctx, e.c, pair("new", 1))), errRollback)
		}), errRollback)
		e.wantUntouched(before)
	}},

	{"RollsBackOnPanic", func(e *env) {
		before := seeded(e)
		func() {
			defer func() {
				if got := recover(); got != "boo" {
					e.Errorf("panic is %v, want boo", got)
				}
			}()
			e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
				ruin(e, tx)
				panic("boo")
			})
			e.Error("the panic was not passed on")
		}()
		e.wantUntouched(before)
	}},

	{"RollsBackOnGoexit", func(e *env) {
		// As when a test fails inside.
		before := seeded(e)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
				ruin(e, tx)
				runtime.Goexit()
				return nil
			})
		}()
		e.await(ended)
		e.wantUntouched(before)
	}},

	{"OwnMayNotReturn", func(e *env) {
		before := seeded(e)
		for _, leave := range []func(){func() { panic("boo") }, runtime.Goexit} {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer func() { recover() }()
				e.s.Update(e.ctx, driver.Own, func(tx driver.Tx) error {
					if err := errOf(tx.Put(e.ctx, e.c, pair("new", 1))); err != nil {
						return err
					}
					leave()
					return nil
				})
				e.Error("Update has returned")
			}()
			e.await(ended)
		}
		e.wantUntouched(before)
	}},

	{"RollsBackIDs", func(e *env) {
		e.put(pair("a", 1))
		err := e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
			e.putTx(tx, pair("b", 1), pair("c", 1))
			return errRollback
		})
		e.wantErr(err, errRollback)
		e.put(pair("z", 1), pair("y", 1))
		e.wantScan(driver.Scan{}, `"a" "z" "y"`)
	}},

	{"AcrossCollections", func(e *env) {
		other := e.collection(e.s, "other")
		for _, end := range []error{errRollback, nil} {
			err := e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
				e.putTx(tx, pair("k", 1))
				e.ok(errOf(tx.Put(e.ctx, other, pair("k", 2))))
				return end
			})
			e.wantErr(err, end)
			for _, c := range []driver.Collection{e.c, other} {
				if _, ok, err := e.s.Get(e.ctx, c, val("k"), quiet); err != nil || ok != (end == nil) {
					e.Errorf("after %v: found %v, %v", end, ok, err)
				}
			}
		}
	}},

	{"AloneRunsOnceHere", func(e *env) {
		runs := 0 // also tells the race detector if it is not here
		e.update(func(driver.Tx) { runs++ })
		if runs != 1 {
			e.Errorf("ran %d times", runs)
		}
	}},

	{"Nested", func(e *env) {
		// A second writer inside the first waits for itself, but not for ever.
		s := e.open(Options{Timeout: shortTimeout})
		e.s, e.c = s, e.collection(s, "test")
		e.update(func(tx driver.Tx) {
			e.putTx(tx, pair("outer", 1))
			err := s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
				e.putTx(tx, pair("inner", 1))
				return nil
			})
			e.wantErr(err, driver.ErrTimeout)
			// Reading is possible, and shows what is committed.
			e.view(func(tx driver.Tx) {
				_, ok, err := tx.Get(e.ctx, e.c, val("outer"), quiet)
				if ok || err != nil {
					e.Errorf("View inside of Update: %v, %v", ok, err)
				}
			})
		})
		e.wantValue("outer", 1)
		e.wantGone("inner")
	}},

	{"LargeTransaction", func(e *env) {
		e.update(func(tx driver.Tx) {
			for i := range 5000 {
				e.putTx(tx, pair(i, "value"))
			}
		})
		e.wantCount(5000)
		e.update(func(tx driver.Tx) {
			rows, err := tx.Remove(e.ctx, e.c, driver.Filter{}, 4999)
			e.ok(err)
			if len(rows) != 4999 {
				e.Errorf("removed %d rows", len(rows))
			}
		})
		e.wantCount(1)
	}},
}

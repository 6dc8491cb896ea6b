package drivertest

import (
	"errors"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
)

func (e *env) enableStats(on bool) {
	e.Helper()
	_, err := e.s.Configure(e.ctx, e.c, func(s *driver.Settings) { s.Statistics = on })
	e.ok(err)
}

func (e *env) wantStats(reset bool, hits, misses int64) {
	e.Helper()
	got, err := e.s.Stats(e.ctx, e.c, reset)
	e.ok(err)
	if want := (driver.Stats{Hits: hits, Misses: misses}); got != want {
		e.Errorf("Stats are %+v, want %+v", got, want)
	}
}

// look is a Get that counts.
func (e *env) look(s driver.Store, c driver.Collection, key any) error {
	_, _, err := s.Get(e.ctx, c, val(key), driver.Lookup{Now: now})
	return err
}

var statsTests = tests{
	{"OnlyWhileOn", func(e *env) {
		e.put(pair("k", 1), until("expired", now))
		e.ok(e.look(e.s, e.c, "k"))
		e.wantStats(false, 0, 0)
		e.enableStats(true)
		e.ok(e.look(e.s, e.c, "k"))
		e.ok(e.look(e.s, e.c, "k"))
		e.ok(e.look(e.s, e.c, "absent"))
		e.ok(e.look(e.s, e.c, "expired"))
		e.wantStats(false, 2, 2)
		e.enableStats(false)
		e.ok(e.look(e.s, e.c, "k"))
		e.wantStats(false, 2, 2)
	}},

	{"EveryKindOfGet", func(e *env) {
		e.enableStats(true)
		e.put(pair("k", 1))
		get := func(tx driver.Tx) error {
			_, _, err := tx.Get(e.ctx, e.c, val("k"), driver.Lookup{Now: now})
			return err
		}
		e.ok(e.look(e.s, e.c, "k"))
		e.ok(e.s.View(e.ctx, get))
		e.ok(e.s.Update(e.ctx, driver.Alone, get))
		e.ok(e.s.Update(e.ctx, driver.Shared, get))
		e.row("k") // quiet
		e.scan(driver.Scan{})
		e.wantStats(false, 4, 0)
	}},

	{"RolledBackGetsDoNotCount", func(e *env) {
		e.enableStats(true)
		e.put(pair("k", 1))
		for _, mode := range []driver.Mode{driver.Alone, driver.Shared, driver.Own} {
			err := e.s.Update(e.ctx, mode, func(tx driver.Tx) error {
				e.putTx(tx, pair("k", 2))
				if _, _, err := tx.Get(e.ctx, e.c, val("k"), driver.Lookup{Now: now}); err != nil {
					return err
				}
				return errRollback
			})
			e.wantErr(err, errRollback)
		}
		e.wantStats(false, 0, 0)
	}},

	{"ResetReturnsAndZeroes", func(e *env) {
		e.enableStats(true)
		e.ok(e.look(e.s, e.c, "absent"))
		e.wantStats(true, 0, 1)
		e.wantStats(true, 0, 0)
		e.ok(e.look(e.s, e.c, "absent"))
		e.wantStats(false, 0, 1)
	}},

	{"SurviveReopen", func(e *env) {
		e.enableStats(true)
		e.put(pair("k", 1))
		e.ok(e.look(e.s, e.c, "k"))
		e.ok(e.look(e.s, e.c, "absent"))
		e.reopen()
		e.wantStats(false, 1, 1)
	}},

	{"BelongToACollection", func(e *env) {
		e.enableStats(true)
		other := e.collection(e.s, "other")
		e.ok(e.look(e.s, other, "absent"))
		e.wantStats(false, 0, 0)
	}},

	{"NoneIsLostInResets", func(e *env) {
		e.enableStats(true)
		e.put(pair("k", 1))
		second := e.open(Options{})
		c2 := e.collection(second, "test")
		const readers, resets = 4, 50
		var hits, misses atomic.Int64
		stop := make(chan struct{})
		var waits []func() error
		for i := range readers {
			s, c := e.s, e.c
			if i%2 == 1 {
				s, c = second, c2
			}
			waits = append(waits, e.background(func() error {
				for {
					select {
					case <-stop:
						return nil
					default:
					}
					if err := errors.Join(e.look(s, c, "k"), e.look(s, c, "absent")); err != nil {
						return err
					}
					hits.Add(1)
					misses.Add(1)
				}
			}))
		}
		var sum driver.Stats
		add := func() {
			got, err := e.s.Stats(e.ctx, e.c, true)
			e.ok(err)
			sum.Hits += got.Hits
			sum.Misses += got.Misses
		}
		for i := range resets {
			add()
			e.put(pair(i, i))
		}
		close(stop)
		for _, wait := range waits {
			e.ok(wait())
		}
		e.ok(second.Close()) // has all of its own written
		add()
		if want := (driver.Stats{Hits: hits.Load(), Misses: misses.Load()}); sum != want {
			e.Errorf("Stats add up to %+v, want %+v", sum, want)
		}
	}},
}

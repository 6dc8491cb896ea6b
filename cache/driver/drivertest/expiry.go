package drivertest

import "github.com/go-diskcache/diskcache/cache/driver"

// until is a row that expires.
func until(key any, expire driver.Instant) driver.Put {
	return driver.Put{Key: val(key), Value: val(1), Expire: expire, Now: now}
}

var expiryTests = tests{
	{"OverAtItsInstant", func(e *env) {
		e.put(until("k", now+10))
		for at, want := range map[driver.Instant]bool{now: true, now + 9.999: true, now + 10: false, now + 11: false} {
			if _, ok := e.find("k", at); ok != want {
				e.Errorf("found %v at now%+v, want %v", ok, at-now, want)
			}
			e.view(func(tx driver.Tx) {
				if _, ok, err := tx.Get(e.ctx, e.c, val("k"), driver.Lookup{Now: at, Quiet: true}); ok != want || err != nil {
					e.Errorf("found %v (%v) at now%+v in a transaction, want %v", ok, err, at-now, want)
				}
			})
		}
	}},

	{"ByClock", func(e *env) {
		e.put(until("k", now+10))
		for at, want := range map[driver.Instant]bool{now + 9: true, now + 10: false, now + 11: false} {
			l := driver.Lookup{Now: now + 1e6 - at, Clock: at.Time, Quiet: true}
			if _, ok, err := e.s.Get(e.ctx, e.c, val("k"), l); ok != want || err != nil {
				e.Errorf("found %v (%v) at now%+v, want %v", ok, err, at-now, want)
			}
			e.view(func(tx driver.Tx) {
				if _, ok, err := tx.Get(e.ctx, e.c, val("k"), l); ok != want || err != nil {
					e.Errorf("found %v (%v) at now%+v in a transaction, want %v", ok, err, at-now, want)
				}
			})
		}
	}},

	{"ClockGoesBack", func(e *env) {
		e.put(until("k", now+10))
		if _, ok := e.find("k", now+20); ok {
			e.Error("found after its time")
		}
		if _, ok := e.find("k", now-driver.MaxAhead); !ok {
			e.Error("a read removed the row")
		}
	}},

	{"StoredAhead", func(e *env) {
		for _, policy := range []driver.Policy{driver.NoEviction, driver.LeastRecentlyStored} {
			c, evicts := e.c, policy != driver.NoEviction
			_, err := e.s.Configure(e.ctx, c, func(s *driver.Settings) { s.Policy = policy })
			e.ok(err)
			e.put(until("k", now+1000), pair("stays", 1))
			for back, want := range map[driver.Instant]bool{
				0:                   true,
				driver.MaxAhead - 1: true,
				driver.MaxAhead:     true,
				driver.MaxAhead + 1: !evicts,
				1e9:                 !evicts,
				now:                 true, // at the instant 0 no time is over
			} {
				at := now - back
				if _, ok := e.find("k", at); ok != want {
					e.Errorf("%s: found %v at now-%v, want %v", policy, ok, back, want)
				}
				if _, ok := e.find("stays", at); !ok {
					e.Errorf("%s: what never expires is not found at now-%v", policy, back)
				}
				keys := `"k" "stays"`
				if !want {
					keys = `"stays"`
				}
				e.wantScan(driver.Scan{Order: driver.ByKey, Live: at}, keys)
				if at == 0 {
					continue
				}
				e.update(func(tx driver.Tx) {
					_, ok, err := tx.Get(e.ctx, c, val("k"), driver.Lookup{Now: at, Quiet: true})
					if ok != want || err != nil {
						e.Errorf("%s: found %v (%v) in a transaction at now-%v, want %v", policy, ok, err, back, want)
					}
					if ok, err := tx.Touch(e.ctx, c, val("k"), now+1000, at); ok != want || err != nil {
						e.Errorf("%s: Touch is %v (%v) at now-%v, want %v", policy, ok, err, back, want)
					}
					if gone, err := tx.Remove(e.ctx, c, driver.Filter{Expired: at}, 10); len(gone) > 0 || err != nil {
						e.Errorf("%s: Remove has removed %v (%v) at now-%v", policy, gone, err, back)
					}
					if gone, err := tx.Cull(e.ctx, c, at, 10, null); len(gone) > 0 || err != nil {
						e.Errorf("%s: Cull has removed %v (%v) at now-%v", policy, gone, err, back)
					}
				})
			}
			kept := driver.Put{Key: val("k"), Value: val(2), Keep: true, Now: now - 100}
			e.put(kept)
			want := driver.Instant(0)
			if !evicts {
				want = now + 1000
			}
			if r := e.row("k"); r.Expire != want {
				e.Errorf("%s: a Put with Keep left the expiry %v, want %v", policy, r.Expire, want)
			}
			e.put(until("k", now+1000))
			e.update(func(tx driver.Tx) {
				if ok, err := tx.Delete(e.ctx, c, val("k"), now-100); ok == evicts || err != nil {
					e.Errorf("%s: Delete is %v (%v)", policy, ok, err)
				}
			})
			e.put(until("k", now+1000))
		}
		// The policies that count accesses have a way of their own.
		_, err := e.s.Configure(e.ctx, e.c, func(s *driver.Settings) { s.Policy = driver.LeastRecentlyUsed })
		e.ok(err)
		e.put(until("k", now+1000))
		for at, want := range map[driver.Instant]bool{now: true, now - 100: false} {
			if _, ok, err := e.s.Get(e.ctx, e.c, val("k"), driver.Lookup{Now: at}); ok != want || err != nil {
				e.Errorf("found %v (%v) at now%+v, want %v", ok, err, at-now, want)
			}
		}
	}},

	{"StaysUntilRemoved", func(e *env) {
		e.put(until("k", now+1))
		e.find("k", now+5)
		e.wantCount(1)
		e.wantScan(driver.Scan{}, `"k"`)
		e.wantScan(driver.Scan{Live: now + 1}, ``)
	}},

	{"StoredExpired", func(e *env) {
		e.put(until("k", now-1))
		e.wantGone("k")
		e.wantCount(1)
	}},

	{"ZeroIsNever", func(e *env) {
		e.put(until("k", 0))
		if _, ok := e.find("k", now+1e9); !ok {
			e.Error("not found")
		}
	}},

	{"Touch", func(e *env) {
		e.put(driver.Put{Key: val("k"), Value: val("v"), Expire: now + 10, Tag: val("t"), Now: now})
		want := e.row("k")
		for _, step := range []struct {
			key           any
			expire, at    driver.Instant
			touched, have bool
		}{
			{"k", now + 20, now + 5, true, true},
			{"absent", now + 20, now, false, true},
			{"k", now + 99, now + 20, false, true}, // expired at that instant
			{"k", 0, now + 19, true, true},
			{"k", now - 5, now, true, false}, // into the past
			{"k", now + 30, now, false, false},
		} {
			e.update(func(tx driver.Tx) {
				ok, err := tx.Touch(e.ctx, e.c, val(step.key), step.expire, step.at)
				e.ok(err)
				if ok != step.touched {
					e.Errorf("Touch %+v is %v", step, ok)
				}
			})
			if step.touched {
				want.Expire = step.expire
			}
			if step.have {
				e.wantRows([]driver.Row{e.row("k")}, []driver.Row{want})
			} else {
				e.wantGone("k")
			}
		}
		e.wantCount(1)
	}},

	{"Slide", func(e *env) {
		e.put(until("a", now+10), until("b", 0), until("c", now+10))
		slide := func(key any, at, expire driver.Instant) {
			_, _, err := e.s.Get(e.ctx, e.c, val(key), driver.Lookup{Now: at, Quiet: true, Slide: expire})
			e.ok(err)
		}
		slide("a", now+5, now+15)
		slide("b", now+5, now+15)
		slide("c", now+10, now+15) // too late
		e.settle()
		if r := e.row("a"); r.Expire != now+15 {
			e.Errorf("Expire is now%+v, want now+15", r.Expire-now)
		}
		if r := e.row("b"); r.Expire != 0 {
			e.Errorf("a row that never expires now does, at now%+v", r.Expire-now)
		}
		if r := e.row("c"); r.Expire != now+10 {
			e.Errorf("an expired row slid to now%+v", r.Expire-now)
		}
		e.wantScan(driver.Scan{Order: driver.ByExpire}, `"c" "a"`)
	}},

	{"SlideThenWrite", func(e *env) {
		// What was read before a write must not be written over it.
		e.put(until("touched", now+10), until("put", now+10), until("deleted", now+10))
		for _, k := range []string{"touched", "put", "deleted"} {
			_, _, err := e.s.Get(e.ctx, e.c, val(k), driver.Lookup{Now: now, Slide: now + 50})
			e.ok(err)
		}
		e.update(func(tx driver.Tx) {
			_, err := tx.Touch(e.ctx, e.c, val("touched"), now+20, now)
			e.ok(err)
			e.putTx(tx, until("put", now+20))
			_, err = tx.Delete(e.ctx, e.c, val("deleted"), now)
			e.ok(err)
			e.putTx(tx, until("another", now+20)) // may take the ID
		})
		e.settle()
		for _, k := range []string{"touched", "put", "another"} {
			if r := e.row(k); r.Expire != now+20 {
				e.Errorf("%s: Expire is now%+v, want now+20", k, r.Expire-now)
			}
		}
	}},
}

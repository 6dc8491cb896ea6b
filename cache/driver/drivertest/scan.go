package drivertest

import (
	"github.com/go-diskcache/diskcache/cache/driver"
)

// scanned puts rows whose orders by ID, key and expiry differ.
func scanned(e *env) {
	e.put(
		driver.Put{Key: val("m"), Value: val(1), Expire: now + 30, Tag: val("x"), Now: now},
		driver.Put{Key: val(5), Value: val(2), Now: now},
		driver.Put{Key: val("b"), Value: val(3), Expire: now + 10, Tag: val("y"), Now: now},
		driver.Put{Key: val([]byte("q")), Value: val(4), Expire: now + 30, Tag: val("x"), Now: now},
		driver.Put{Key: val(2.5), Value: val(5), Expire: now + 20, Tag: val(1), Now: now},
		driver.Put{Key: val("a"), Value: val(6), Tag: val(1.0), Now: now},
	)
}

func bound(key any, open bool) *driver.Bound { return &driver.Bound{Key: val(key), Open: open} }

var scanTests = tests{
	{"Orders", func(e *env) {
		scanned(e)
		e.wantScan(driver.Scan{}, `"m" 5 "b" x71 2.5r "a"`)
		e.wantScan(driver.Scan{Desc: true}, `"a" 2.5r x71 "b" 5 "m"`)
		e.wantScan(driver.Scan{Order: driver.ByKey}, `2.5r 5 "a" "b" "m" x71`)
		e.wantScan(driver.Scan{Order: driver.ByKey, Desc: true}, `x71 "m" "b" "a" 5 2.5r`)
		e.wantScan(driver.Scan{Order: driver.ByExpire}, `"b" 2.5r "m" x71`)
		e.wantScan(driver.Scan{Order: driver.ByExpire, Desc: true}, `x71 "m" 2.5r "b"`)
	}},

	{"LimitAndSkip", func(e *env) {
		scanned(e)
		for _, o := range []driver.Order{driver.ByID, driver.ByKey, driver.ByExpire} {
			for _, desc := range []bool{false, true} {
				all := e.scan(driver.Scan{Order: o, Desc: desc})
				for skip := range len(all) + 2 {
					for limit := 1; limit <= len(all)+1; limit++ {
						from := min(skip, len(all))
						want := all[from:min(from+limit, len(all))]
						e.wantScan(driver.Scan{Order: o, Desc: desc, Skip: int64(skip), Limit: limit}, keys(want))
					}
				}
			}
		}
		e.view(func(tx driver.Tx) {
			for _, limit := range []int{0, -1} {
				rows, err := tx.Scan(e.ctx, e.c, driver.Scan{Limit: limit})
				e.ok(err)
				if len(rows) != 0 {
					e.Errorf("%d rows with limit %d", len(rows), limit)
				}
			}
		})
	}},

	{"After", func(e *env) {
		scanned(e)
		for _, o := range []driver.Order{driver.ByID, driver.ByKey, driver.ByExpire} {
			for _, desc := range []bool{false, true} {
				all := e.scan(driver.Scan{Order: o, Desc: desc})
				for i := range all {
					e.wantScan(driver.Scan{Order: o, Desc: desc, After: &all[i]}, keys(all[i+1:]))
					e.wantScan(driver.Scan{Order: o, Desc: desc, After: &all[i], Skip: 1, Limit: 2}, keys(all[min(i+2, len(all)):min(i+4, len(all))]))
				}
			}
		}
	}},

	{"AfterRowThatIsGone", func(e *env) {
		scanned(e)
		for _, o := range []driver.Order{driver.ByID, driver.ByKey, driver.ByExpire} {
			for _, desc := range []bool{false, true} {
				s := driver.Scan{Order: o, Desc: desc}
				all := e.scan(s)
				err := e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
					_, err := tx.Delete(e.ctx, e.c, all[1].Key, now)
					e.ok(err)
					rows, err := tx.Scan(e.ctx, e.c, driver.Scan{Order: o, Desc: desc, After: &all[1], Limit: 9})
					e.ok(err)
					if got, want := keys(rows), keys(all[2:]); got != want {
						e.Errorf("order %d, desc %v: [%s], want [%s]", o, desc, got, want)
					}
					return errRollback
				})
				e.wantErr(err, errRollback)
			}
		}
	}},

	{"AfterForeignKey", func(e *env) {
		// A row of another program with an equal key stands before.
		e.put(pair("a", 1), pair("b", 2), pair("c", 3))
		after := &driver.Row{Key: val("b"), ForeignKey: true}
		e.wantScan(driver.Scan{Order: driver.ByKey, After: after}, `"b" "c"`)
		e.wantScan(driver.Scan{Order: driver.ByKey, Desc: true, After: after}, `"a"`)
	}},

	{"Bounds", func(e *env) {
		scanned(e)
		for _, c := range []struct {
			lower, upper *driver.Bound
			want         string // by key
		}{
			{bound(5, false), nil, `5 "a" "b" "m" x71`},
			{bound(5, true), nil, `"a" "b" "m" x71`},
			{bound(5.0, true), nil, `"a" "b" "m" x71`},
			{nil, bound("b", false), `2.5r 5 "a" "b"`},
			{nil, bound("b", true), `2.5r 5 "a"`},
			{bound("a", false), bound("m", false), `"a" "b" "m"`},
			{bound("a", true), bound("m", true), `"b"`},
			{bound("aa", false), bound("ab", false), ``},
			{bound("b", false), bound("b", false), `"b"`},
			{bound("b", true), bound("b", false), ``},
			{bound("z", false), bound("a", false), ``},
			{bound(-1, false), bound([]byte("zz"), false), `2.5r 5 "a" "b" "m" x71`},
			{bound("", false), bound([]byte{}, true), `"a" "b" "m"`},
		} {
			s := driver.Scan{Order: driver.ByKey, Lower: c.lower, Upper: c.upper}
			e.wantScan(s, c.want)
			// The same rows, in each of the other orders.
			in := make(map[string]bool)
			for _, r := range e.scan(s) {
				in[show(r.Key)] = true
			}
			for _, o := range []driver.Order{driver.ByID, driver.ByKey, driver.ByExpire} {
				for _, desc := range []bool{false, true} {
					var want []driver.Row
					for _, r := range e.scan(driver.Scan{Order: o, Desc: desc}) {
						if in[show(r.Key)] {
							want = append(want, r)
						}
					}
					e.wantScan(driver.Scan{Order: o, Desc: desc, Lower: c.lower, Upper: c.upper}, keys(want))
					for i := range want {
						e.wantScan(driver.Scan{Order: o, Desc: desc, Lower: c.lower, Upper: c.upper, After: &want[i]}, keys(want[i+1:]))
					}
				}
			}
		}
	}},

	{"AfterOutsideBounds", func(e *env) {
		scanned(e)
		for _, desc := range []bool{false, true} {
			s := driver.Scan{Order: driver.ByKey, Desc: desc, Lower: bound("a", false), Upper: bound("b", false)}
			in := keys(e.scan(s))
			before, beyond := &driver.Row{Key: val(2)}, &driver.Row{Key: val("y")}
			if desc {
				before, beyond = beyond, before
			}
			s.After = before
			e.wantScan(s, in)
			s.After = beyond
			e.wantScan(s, "")
		}
	}},

	{"Keys", func(e *env) {
		scanned(e)
		for _, o := range []driver.Order{driver.ByID, driver.ByKey, driver.ByExpire} {
			for _, desc := range []bool{false, true} {
				s := driver.Scan{Order: o, Desc: desc, Live: now + 20, Skip: 1, Limit: 2}
				want := keys(e.scan(s))
				s.Keys = true
				e.wantScan(s, want)
			}
		}
	}},

	// What an engine remembers of the ends of a range is what is there.
	{"KeyAtEnd", func(e *env) {
		at := func(tx driver.Tx, want ...string) {
			for i, desc := range []bool{false, true} {
				rows, err := tx.Scan(e.ctx, e.c, driver.Scan{
					Order: driver.ByKey, Desc: desc, Keys: true, Limit: 1, Lower: bound(0, true), Upper: bound(100, true),
				})
				e.ok(err)
				if got := keys(rows); got != want[i] {
					e.Errorf("desc %v: [%s], want [%s]", desc, got, want[i])
				}
			}
		}
		del := func(tx driver.Tx, key any) {
			_, err := tx.Delete(e.ctx, e.c, val(key), now)
			e.ok(err)
		}
		ends := func(first, last string) {
			e.Helper()
			for range 2 {
				e.update(func(tx driver.Tx) { at(tx, first, last) })
			}
			e.view(func(tx driver.Tx) { at(tx, first, last) })
		}
		ends("", "")
		e.put(pair(50, "fifty"))
		ends("50", "50")
		e.put(pair(51, 1), pair(49, 1), pair(50.5, 1), pair("x", 1), pair(100, 1), pair(0, 1))
		ends("49", "51")
		e.update(func(tx driver.Tx) {
			at(tx, "49", "51")
			e.putTx(tx, pair(60, 1))
			e.putTx(tx, pair(50, "again")) // there is one
			at(tx, "49", "60")
			del(tx, 60)
			at(tx, "49", "51")
			del(tx, 49)
			at(tx, "50", "51")
		})
		ends("50", "51")
		e.wantErr(e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error {
			at(tx, "50", "51")
			e.putTx(tx, pair(52, 1))
			del(tx, 50)
			at(tx, "50.5r", "52")
			return errRollback
		}), errRollback)
		ends("50", "51")
		e.put(pair(52, 1))
		e.wantScan(driver.Scan{Order: driver.ByKey}, `0 50 50.5r 51 52 100 "x"`)
		e.update(func(tx driver.Tx) {
			at(tx, "50", "52")
			_, err := tx.Remove(e.ctx, e.c, driver.Filter{}, 100)
			e.ok(err)
			at(tx, "", "")
		})
		e.update(func(tx driver.Tx) {
			at(tx, "", "")
			e.putTx(tx, pair(6, 1))
			at(tx, "6", "6")
			del(tx, 6)
			at(tx, "", "")
		})
		e.put(pair(7, 1), pair(100, 1))
		e.update(func(tx driver.Tx) {
			rows, err := tx.Scan(e.ctx, e.c, driver.Scan{Order: driver.ByKey, Keys: true, Limit: 1, Lower: bound(90, true), Upper: bound(1, true)})
			e.ok(err)
			if len(rows) > 0 {
				e.Errorf("[%s] is in a range that ends before it begins", keys(rows))
			}
			e.putTx(tx, pair(7, 2)) // there is one
		})
		ends("7", "7")
		e.put(driver.Put{Key: val(8), Expire: now - 1, Now: now})
		ends("7", "8")
		e.update(func(tx driver.Tx) {
			for _, s := range []struct {
				driver.Scan
				want string
			}{
				{driver.Scan{Lower: bound(0, true), Upper: bound(100, true), Live: now}, "7"},
				{driver.Scan{Lower: bound(8, true), Upper: bound(100, true)}, ""},
				{driver.Scan{Lower: bound(0, true), Upper: bound(8, true)}, "7"},
				{driver.Scan{Lower: bound(0, true), Upper: bound(100, false)}, "100"},
				{driver.Scan{Lower: bound(0, true), Upper: bound(100, true), Skip: 1}, "7"},
				{driver.Scan{Lower: bound(0, true), Upper: bound(100, true), Tag: val("x")}, ""},
				{driver.Scan{Lower: bound(0, true), Upper: bound(100, true), After: &driver.Row{Key: val(8)}}, "7"},
			} {
				at(tx, "7", "8")
				s.Order, s.Desc, s.Keys, s.Limit = driver.ByKey, true, true, 1
				rows, err := tx.Scan(e.ctx, e.c, s.Scan)
				e.ok(err)
				if got := keys(rows); got != s.want {
					e.Errorf("%+v: [%s], want [%s]", s.Scan, got, s.want)
				}
			}
		})
	}},

	{"TagAndLive", func(e *env) {
		scanned(e)
		e.wantScan(driver.Scan{Tag: val("x")}, `"m" x71`)
		e.wantScan(driver.Scan{Tag: val("x"), Desc: true, Order: driver.ByKey}, `x71 "m"`)
		e.wantScan(driver.Scan{Tag: val(1)}, `2.5r "a"`) // 1 and 1.0 are equal tags
		e.wantScan(driver.Scan{Tag: val([]byte("x"))}, ``)
		e.wantScan(driver.Scan{Live: now + 20}, `"m" 5 x71 "a"`)
		e.wantScan(driver.Scan{Live: now + 20, Order: driver.ByExpire}, `"m" x71`)
		e.wantScan(driver.Scan{Live: now + 30, Tag: val("x")}, ``)
		// Only selected rows are skipped, and count against the limit.
		e.wantScan(driver.Scan{Live: now + 30, Skip: 1}, `"a"`)
		e.wantScan(driver.Scan{Tag: val(1), Skip: 1}, `"a"`)
		e.wantScan(driver.Scan{Lower: bound("b", false), Desc: true, Skip: 1}, `"b" "m"`)
		e.wantScan(driver.Scan{Tag: val("y"), Limit: 1}, `"b"`)
		e.wantScan(driver.Scan{Live: now + 30, Desc: true, Limit: 2}, `"a" 5`)
	}},

	{"TagIndexChangesNothing", func(e *env) {
		scanned(e)
		_, err := e.s.Configure(e.ctx, e.c, func(s *driver.Settings) { s.TagIndex = true })
		e.ok(err)
		e.wantScan(driver.Scan{Tag: val("x")}, `"m" x71`)
		e.wantScan(driver.Scan{Tag: val(1.0), Desc: true}, `"a" 2.5r`)
		e.put(driver.Put{Key: val("new"), Value: val(1), Tag: val("x"), Now: now})
		e.wantScan(driver.Scan{Tag: val("x")}, `"m" x71 "new"`)
		_, err = e.s.Configure(e.ctx, e.c, func(s *driver.Settings) { s.TagIndex = false })
		e.ok(err)
		e.wantScan(driver.Scan{Tag: val("x")}, `"m" x71 "new"`)
	}},

	{"SeesOwnWrites", func(e *env) {
		scanned(e)
		e.update(func(tx driver.Tx) {
			e.putTx(tx, pair("0", 1))
			_, err := tx.Delete(e.ctx, e.c, val("m"), now)
			e.ok(err)
			rows, err := tx.Scan(e.ctx, e.c, driver.Scan{Order: driver.ByKey, Limit: 99})
			e.ok(err)
			if got, want := keys(rows), `2.5r 5 "0" "a" "b" x71`; got != want {
				e.Errorf("[%s], want [%s]", got, want)
			}
		})
	}},
}

package drivertest

import (
	"context"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// tooLarge is a size limit that every collection is over. An engine may find
// that an empty value takes no room, so it is not 0.
const tooLarge = -1

// setPolicy sets the policy and makes the collection always too large.
func (e *env) setPolicy(p driver.Policy) {
	e.Helper()
	_, err := e.s.Configure(e.ctx, e.c, func(s *driver.Settings) { s.Policy, s.SizeLimit = p, tooLarge })
	e.ok(err)
	e.settle()
}

// read is a Get that is counted as an access.
func (e *env) read(key any, at driver.Instant) {
	e.Helper()
	_, ok, err := e.s.Get(e.ctx, e.c, val(key), driver.Lookup{Now: at})
	e.ok(err)
	if !ok {
		e.Fatalf("no row for key %s", show(val(key)))
	}
}

// settle makes sure that the rows show all accesses up to now.
func (e *env) settle() {
	e.Helper()
	e.ok(settle(e.ctx, e.s, e.c))
}

// settle culls nothing: a Cull knows every access up to now, and a limit of
// 0 keeps it from removing anything.
func settle(ctx context.Context, s driver.Store, c driver.Collection) error {
	return s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
		_, err := tx.Cull(ctx, c, now, 0, null)
		return err
	})
}

func (e *env) cull(limit int, keep any) (rows []driver.Row) {
	e.Helper()
	e.update(func(tx driver.Tx) {
		var err error
		rows, err = tx.Cull(e.ctx, e.c, now, limit, val(keep))
		e.ok(err)
	})
	return rows
}

func (e *env) wantCull(limit int, keep any, want string) {
	e.Helper()
	rows := e.cull(limit, keep)
	if got := keys(rows); got != want {
		e.Errorf("Cull(%d) removed [%s], want [%s]", limit, got, want)
	}
	for _, r := range rows {
		if !r.Value.IsNull() {
			e.Error("Cull returns values")
		}
	}
}

// stored is a row with a store time of its own.
func stored(key any, at driver.Instant) driver.Put {
	return driver.Put{Key: val(key), Value: val(1), Now: at}
}

var cullTests = tests{
	{"ExpiredLongestAgoFirst", func(e *env) {
		e.put(until("a", now-1), until("b", now-5), until("c", now), until("d", now+1), until("e", now-5), until("f", 0))
		e.wantCull(0, nil, ``)
		e.wantCull(-1, nil, ``)
		e.wantCull(2, nil, `"b" "e"`)
		e.wantCull(10, nil, `"a" "c"`)
		e.wantCull(10, nil, ``) // not over the limit
		e.wantScan(driver.Scan{}, `"d" "f"`)
	}},

	{"ExpiredThenPolicy", func(e *env) {
		e.setPolicy(driver.LeastRecentlyStored)
		e.put(stored("old", now-9), until("a", now-1), until("b", now-2), stored("new", now-1))
		e.wantCull(3, nil, `"b" "a" "old"`)
		e.wantScan(driver.Scan{}, `"new"`)
	}},

	{"LeastRecentlyStored", func(e *env) {
		e.setPolicy(driver.LeastRecentlyStored)
		e.put(stored("z", now-1), stored("y", now-5), stored("x", now-5), stored("a", now-5), stored("b", now-7))
		e.read("b", now) // makes no difference
		e.wantCull(1, nil, `"b"`)
		e.wantCull(2, nil, `"y" "x"`) // in the order of insertion
		e.wantCull(9, nil, `"a" "z"`)
		e.wantCount(0)
	}},

	{"LeastRecentlyUsed", func(e *env) {
		e.setPolicy(driver.LeastRecentlyUsed)
		e.put(stored("z", now-9), stored("y", now-9), stored("x", now-9), stored("w", now-8), stored("v", now-9))
		e.read("z", now-3)
		e.read("v", now-2)
		e.read("z", now-1)
		e.read("x", now-8)
		e.wantCull(2, nil, `"y" "x"`) // x and w tie: the lower ID goes first
		e.wantCull(9, nil, `"w" "v" "z"`)
	}},

	{"LeastFrequentlyUsed", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(stored("d", now-1), stored("c", now-2), stored("b", now-3), stored("a", now-4))
		for range 3 {
			e.read("a", now)
		}
		e.read("d", now)
		e.wantCull(2, nil, `"c" "b"`)
		e.put(stored("a", now)) // starts again at 0
		e.wantCull(9, nil, `"a" "d"`)
	}},

	{"NoEviction", func(e *env) {
		e.setPolicy(driver.NoEviction)
		e.put(stored("a", now-1), until("b", now-1))
		e.wantCull(9, nil, `"b"`)
		e.wantCount(1)
	}},

	{"Keep", func(e *env) {
		e.setPolicy(driver.LeastRecentlyStored)
		e.put(stored("a", now-3), stored(1, now-2), until("b", now-1), stored("c", now-1))
		e.wantCull(2, "b", `"a" 1`)
		e.wantCull(9, "c", `"b"`)
		e.put(stored(1, now-2))
		e.wantCull(9, 1.0, `"c"`) // an equal key
		e.wantCull(9, "absent", `1`)
	}},

	{"ReturnsRows", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(driver.Put{Key: val("a"), Value: val("value"), Expire: now + 9, Tag: val("t"), Now: now - 1})
		e.read("a", now)
		e.read("a", now+1)
		id := e.row("a").ID
		e.wantRows(e.cull(1, nil), []driver.Row{{
			ID: id, Key: val("a"), Size: 5, Stored: now - 1, Expire: now + 9, Accessed: now + 1, Accesses: 2, Tag: val("t"),
		}})
	}},

	{"StopsBelowSizeLimit", func(e *env) {
		const mib = 1 << 20
		_, err := e.s.Configure(e.ctx, e.c, func(s *driver.Settings) {
			s.Policy, s.SizeLimit = driver.LeastRecentlyStored, 5*mib
		})
		e.ok(err)
		for i := range 10 {
			e.put(e.large(driver.Put{Key: val(i), Now: now + driver.Instant(i)}, codec.Blob, make([]byte, mib)))
		}
		// Files are counted in full, all the rest is less than a mebibyte.
		got := keys(e.cull(100, nil))
		if got != `0 1 2 3 4 5` && got != `0 1 2 3 4` {
			e.Errorf("removed [%s], want the 5 or 6 oldest", got)
		}
		e.wantCull(100, nil, ``)
	}},

	{"SmallCollectionIsNotCulledForOthers", func(e *env) {
		e.setPolicy(driver.LeastRecentlyStored)
		other := e.c
		e.c = e.collectionWith(e.s, "second", driver.DefaultSettings())
		e.put(pair("a", 1))
		e.wantCull(9, nil, ``)
		e.c = other
		e.put(pair("a", 1))
		e.wantCull(9, nil, `"a"`)
	}},

	{"SameTransaction", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(stored("a", now), stored("b", now), stored("c", now))
		e.update(func(tx driver.Tx) {
			for _, k := range []string{"a", "c"} {
				_, _, err := tx.Get(e.ctx, e.c, val(k), driver.Lookup{Now: now})
				e.ok(err)
			}
			e.putTx(tx, stored("d", now))
			rows, err := tx.Cull(e.ctx, e.c, now, 2, val("d"))
			e.ok(err)
			if got, want := keys(rows), `"b" "a"`; got != want {
				e.Errorf("Cull removed [%s], want [%s]", got, want)
			}
		})
	}},

	{"AccessesWhileTheTransactionRuns", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(stored("a", now), stored("b", now))
		e.update(func(tx driver.Tx) {
			e.read("a", now) // by somebody else, who does not wait
			rows, err := tx.Cull(e.ctx, e.c, now, 1, null)
			e.ok(err)
			if got, want := keys(rows), `"b"`; got != want {
				e.Errorf("Cull removed [%s], want [%s]", got, want)
			}
		})
	}},

	{"ManyRows", func(e *env) {
		e.setPolicy(driver.LeastRecentlyStored)
		e.update(func(tx driver.Tx) {
			for i := range 1000 {
				e.putTx(tx, stored(i, now-driver.Instant(i*7%1000)))
			}
		})
		for n := 999; n > 990; n-- { // i*7 % 1000 == n
			e.wantCull(1, nil, fmt.Sprint(n*143%1000))
		}
	}},
}

var accessTests = tests{
	{"ByClock", func(e *env) {
		e.setPolicy(driver.LeastRecentlyUsed)
		e.put(pair("k", 1))
		for i := range 2 {
			l := driver.Lookup{Clock: (now + 1 + driver.Instant(i)).Time}
			if i == 0 {
				_, _, err := e.s.Get(e.ctx, e.c, val("k"), l)
				e.ok(err)
			} else {
				e.update(func(tx driver.Tx) {
					_, _, err := tx.Get(e.ctx, e.c, val("k"), l)
					e.ok(err)
				})
			}
			e.settle()
			if r := e.row("k"); r.Accesses != int64(i+1) || r.Accessed != now+1+driver.Instant(i) {
				e.Errorf("%d accesses, the last at now%+v", r.Accesses, r.Accessed-now)
			}
		}
	}},

	{"CountedOnlyForPoliciesThatAsk", func(e *env) {
		for policy, want := range map[driver.Policy]int64{
			driver.LeastRecentlyStored: 0, driver.NoEviction: 0, driver.LeastRecentlyUsed: 1, driver.LeastFrequentlyUsed: 1,
		} {
			e.setPolicy(policy)
			e.put(pair(string(policy), 1))
			e.read(string(policy), now+1)
			e.settle()
			r := e.row(string(policy))
			if r.Accesses != want || r.Accessed != now+driver.Instant(want) {
				e.Errorf("%s: %d accesses, at now%+v", policy, r.Accesses, r.Accessed-now)
			}
		}
	}},

	{"QuietMissAndScanDoNotCount", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(until("k", now+5))
		want := e.row("k")
		_, _, err := e.s.Get(e.ctx, e.c, val("k"), driver.Lookup{Now: now + 5}) // expired
		e.ok(err)
		e.scan(driver.Scan{})
		e.row("k")
		e.settle()
		e.wantRows([]driver.Row{e.row("k")}, []driver.Row{want})
	}},

	{"ClockGoesBack", func(e *env) {
		e.setPolicy(driver.LeastRecentlyUsed)
		e.put(pair("a", 1), pair("b", 1))
		e.read("b", now+1)
		e.read("a", now+2)
		e.read("a", now-5)
		e.settle()
		if r := e.row("a"); r.Accessed != now+2 || r.Accesses != 2 {
			e.Errorf("%d accesses, the last at now%+v", r.Accesses, r.Accessed-now)
		}
		e.wantCull(1, nil, `"b"`)
	}},

	{"OfAnEarlierRowDoNotCount", func(e *env) {
		// The same key, ID and instant: all that tells the rows apart is
		// that one was put after the other.
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(pair("put", 1), pair("deleted", 1))
		e.read("put", now)
		e.read("deleted", now)
		e.put(pair("put", 2))
		e.delete("deleted", now)
		e.put(pair("deleted", 2))
		e.settle()
		for _, k := range []string{"put", "deleted"} {
			if r := e.row(k); r.Accesses != 0 {
				e.Errorf("%s: %d accesses, want 0", k, r.Accesses)
			}
		}
	}},

	{"OfASnapshotDoNotReachLaterRows", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(until("put", now+10), until("deleted", now+10))
		e.view(func(tx driver.Tx) {
			e.delete("deleted", now)
			for _, k := range []string{"put", "another"} { // which may take the ID
				e.put(driver.Put{Key: val(k), Value: val(2), Expire: now + 20, Now: now + 1})
			}
			for _, k := range []string{"put", "deleted"} {
				_, ok, err := tx.Get(e.ctx, e.c, val(k), driver.Lookup{Now: now + 2, Slide: now + 50})
				if !ok || err != nil {
					e.Errorf("%s: found %v, %v", k, ok, err)
				}
			}
		})
		e.settle()
		for _, k := range []string{"put", "another"} {
			if r := e.row(k); r.Accesses != 0 || r.Accessed != now+1 || r.Expire != now+20 {
				e.Errorf("%s: %d accesses, at now%+v, expires at now%+v", k, r.Accesses, r.Accessed-now, r.Expire-now)
			}
		}
	}},

	{"SurviveReopen", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(pair("k", 1))
		e.read("k", now+1)
		e.reopen() // Close writes what is still to be written
		if r := e.row("k"); r.Accesses != 1 || r.Accessed != now+1 {
			e.Errorf("%d accesses, the last at now%+v", r.Accesses, r.Accessed-now)
		}
	}},
}

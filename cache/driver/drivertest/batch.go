package drivertest

import (
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// putting puts rows by one call and returns what it returned.
func (e *env) putting(ps ...driver.Put) (gone []driver.Row) {
	e.Helper()
	e.update(func(tx driver.Tx) {
		var err error
		if len(ps) == 1 {
			gone, err = tx.Put(e.ctx, e.c, ps[0])
		} else {
			gone, err = tx.PutMany(e.ctx, e.c, ps)
		}
		e.ok(err)
	})
	for _, r := range gone {
		if !r.Value.IsNull() {
			e.Error("a row that is gone has its value")
		}
	}
	return gone
}

func (e *env) wantGoneRows(gone []driver.Row, want string) {
	e.Helper()
	if got := keys(gone); got != want {
		e.Errorf("gone are [%s], want [%s]", got, want)
	}
}

// making is p, which makes room.
func making(p driver.Put, cull int) driver.Put {
	p.Cull = cull
	return p
}

var batchTests = tests{
	{"PutMakesRoom", func(e *env) {
		e.setPolicy(driver.LeastRecentlyStored)
		e.put(stored("a", now-4), stored("b", now-3), until("c", now-1), stored("d", now-2))
		e.wantGoneRows(e.putting(stored("e", now-9)), ``)
		e.wantGoneRows(e.putting(making(stored("f", now), 2)), `"c" "e"`) // what has expired first
		// What was put stays, though it is the oldest.
		e.wantGoneRows(e.putting(making(stored("g", now-9), 1)), `"a"`)
		e.wantScan(driver.Scan{Order: driver.ByKey}, `"b" "d" "f" "g"`)
	}},

	{"PutMakesRoomAsTheSettingsSay", func(e *env) {
		e.setPolicy(driver.LeastRecentlyStored)
		for i, key := range []string{"a", "b", "c", "d", "e"} {
			e.put(stored(key, now-10+driver.Instant(i)))
		}
		second := e.open(Options{})
		c := e.collection(second, "test")
		for _, limit := range []int{0, 2} {
			// A setting of another process holds from the next write on.
			_, err := second.Configure(e.ctx, c, func(s *driver.Settings) { s.CullLimit = limit })
			e.ok(err)
			e.wantGoneRows(e.putting(making(stored("f", now), driver.CullLimit)), map[int]string{0: ``, 2: `"a" "b"`}[limit])
		}
	}},

	{"PutReturnsWhatHadExpired", func(e *env) {
		expired := func(key any, at driver.Instant) driver.Put {
			p := pair(key, 2)
			p.Expired, p.Now = true, at
			return p
		}
		e.put(until("a", now), until("b", now+1), pair("c", 1))
		e.wantGoneRows(e.putting(expired("a", now-1)), ``) // not yet
		e.put(until("a", now))
		gone := e.putting(expired("a", now))
		e.wantGoneRows(gone, `"a"`)
		if gone[0].Expire != now {
			e.Errorf("the row that is gone expires at %v, and did at %v", gone[0].Expire, now)
		}
		e.wantGoneRows(e.putting(expired("b", now)), ``)
		e.wantGoneRows(e.putting(expired("c", now)), ``)
		e.wantGoneRows(e.putting(expired("d", now)), ``)
		e.put(until("b", now-1))
		e.wantGoneRows(e.putting(pair("b", 3)), ``) // nobody asks
		e.wantValue("a", 2)
		e.wantCount(4)
	}},

	{"PutManyIsPutOfEach", func(e *env) {
		e.setPolicy(driver.LeastRecentlyStored)
		e.wantGoneRows(e.putting([]driver.Put{}...), ``)
		e.put(until("x", now-2), stored("old", now-8))
		file := e.large(driver.Put{Key: val("file"), Now: now - 1}, codec.Blob, []byte("content"))
		again := making(pair("x", 2), 1)
		again.Expired = true
		gone := e.putting(file, pair("k", 1), again, pair("k", 2), making(pair("l", 3), 1))
		e.wantGoneRows(gone, `"x" "old" "file"`)
		e.wantScan(driver.Scan{Order: driver.ByKey}, `"k" "l" "x"`)
		e.wantValue("k", 2)
		// All or nothing.
		e.wantErr(e.s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
			if _, err := tx.PutMany(e.ctx, e.c, []driver.Put{pair("m", 1), pair("n", 1)}); err != nil {
				return err
			}
			return errRollback
		}), errRollback)
		e.wantGone("m", "n")
	}},

	{"GetManyIsGetOfEach", func(e *env) {
		_, err := e.s.Configure(e.ctx, e.c, func(s *driver.Settings) {
			s.Policy, s.Statistics = driver.LeastFrequentlyUsed, true
		})
		e.ok(err)
		e.put(pair("a", 1), pair("b", 2), until("c", now), pair("d", 4))
		asked := []codec.Value{val("d"), val("none"), val("c"), val("a"), val("d")}
		e.view(func(tx driver.Tx) {
			rows, err := tx.GetMany(e.ctx, e.c, asked, driver.Lookup{Now: now})
			e.ok(err)
			if got := keys(rows); got != `"d" "a" "d"` {
				e.Errorf("found are [%s]", got)
			}
			for i, want := range []int64{4, 1, 4} {
				if got := rows[i].Value.Integer(); got != want {
					e.Errorf("value of %s is %d, want %d", show(rows[i].Key), got, want)
				}
			}
			rows, err = tx.GetMany(e.ctx, e.c, nil, quiet)
			e.ok(err)
			e.wantGoneRows(rows, ``)
		})
		e.settle()
		if r := e.row("d"); r.Accesses != 2 {
			e.Errorf("%d accesses of a key that was asked for twice", r.Accesses)
		}
		stats, err := e.s.Stats(e.ctx, e.c, false)
		e.ok(err)
		if want := (driver.Stats{Hits: 3, Misses: 2}); stats != want {
			e.Errorf("Stats are %+v, want %+v", stats, want)
		}
	}},
}

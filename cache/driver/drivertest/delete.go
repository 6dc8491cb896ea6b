package drivertest

import "github.com/go-diskcache/diskcache/cache/driver"

func (e *env) delete(key any, at driver.Instant) (ok bool) {
	e.Helper()
	e.update(func(tx driver.Tx) {
		var err error
		ok, err = tx.Delete(e.ctx, e.c, val(key), at)
		e.ok(err)
	})
	return ok
}

var deleteTests = tests{
	{"Present", func(e *env) {
		e.put(pair("a", 1), pair("b", 2))
		if !e.delete("a", now) {
			e.Error("Delete of a row is false")
		}
		e.wantGone("a")
		e.wantValue("b", 2)
		e.wantCount(1)
		if e.delete("a", now) {
			e.Error("Delete of nothing is true")
		}
	}},

	{"ExpiredGoesButDoesNotCount", func(e *env) {
		e.put(until("k", now+1))
		if e.delete("k", now+1) {
			e.Error("Delete of an expired row is true")
		}
		e.wantCount(0)
		e.put(until("k", now+1))
		if !e.delete("k", now) {
			e.Error("Delete of a row that expires later is false")
		}
	}},

	{"EqualKey", func(e *env) {
		e.put(pair(1, 1), pair("1", 2))
		if !e.delete(1.0, now) {
			e.Error("1.0 does not delete 1")
		}
		e.wantScan(driver.Scan{}, `"1"`)
	}},

	{"NewRowIsLast", func(e *env) {
		e.put(pair("a", 1), pair("b", 2), pair("c", 3))
		e.delete("a", now)
		e.put(pair("a", 4))
		e.wantScan(driver.Scan{}, `"b" "c" "a"`)
	}},
}

package drivertest

import (
	"math"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// distinct keys in database order.
var distinctKeys = []any{
	math.Inf(-1), -1e300, int64(math.MinInt64), -2.5, -1, 0, 5e-324, 0.5, 1, 2, int64(1 << 53), int64(1<<53 + 1), int64(math.MaxInt64), 1e300, math.Inf(1),
	"", "\x00", "\x00a", "1", "1.0", "A", "a", "a\x00", "a\x00b", "aa", "z", "ä", "日", "\xff",
	[]byte{}, []byte{0}, []byte{0, 0}, []byte("1"), []byte("A"), []byte("a"), []byte{255},
}

var keyTests = tests{
	{"Distinct", func(e *env) {
		for i, k := range distinctKeys {
			e.put(pair(k, i))
		}
		e.wantCount(int64(len(distinctKeys)))
		for i, k := range distinctKeys {
			e.wantValue(k, i)
			if got := e.row(k).Key; got.Kind() != val(k).Kind() || !codec.Equal(got, val(k)) {
				e.Errorf("Key is %s, want %s", show(got), show(val(k)))
			}
		}
	}},

	{"DatabaseOrder", func(e *env) {
		for i := range distinctKeys { // in some other order
			e.put(pair(distinctKeys[i*7%len(distinctKeys)], i))
		}
		var want []driver.Row
		for _, k := range distinctKeys {
			want = append(want, driver.Row{Key: val(k)})
		}
		e.wantScan(driver.Scan{Order: driver.ByKey}, keys(want))
	}},

	{"EqualNumbers", func(e *env) {
		for _, c := range []struct{ first, second any }{
			{1, 1.0}, {-3.0, -3}, {0, 0.0}, {int64(1 << 53), float64(1 << 53)}, {int64(math.MinInt64), float64(math.MinInt64)},
			{0.0, math.Copysign(0, -1)},
		} {
			e.update(func(tx driver.Tx) {
				_, err := tx.Delete(e.ctx, e.c, val(c.first), now)
				e.ok(err)
			})
			e.put(pair(c.first, "first"))
			id := e.row(c.second).ID
			e.put(pair(c.second, "second"))
			r := e.row(c.first)
			if r.ID != id || r.Value.Text() != "second" {
				e.Errorf("%s and %s are two rows", show(val(c.first)), show(val(c.second)))
			}
			if r.Key.Kind() != val(c.first).Kind() {
				e.Errorf("Key is %s, want it as first written, %s", show(r.Key), show(val(c.first)))
			}
		}
	}},

	{"TextIsNotBlobIsNotNumber", func(e *env) {
		e.put(pair("1", "text"), pair([]byte("1"), "blob"), pair(1, "number"))
		e.wantValue("1", "text")
		e.wantValue([]byte("1"), "blob")
		e.wantValue(1.0, "number")
	}},

	{"LargeIntegersAreExact", func(e *env) {
		// As a float64 the first two would be the same number.
		e.put(pair(int64(1<<53+1), "integer"), pair(float64(1<<53), "real"), pair(int64(math.MaxInt64), "max"))
		e.wantValue(int64(1<<53+1), "integer")
		e.wantValue(int64(1<<53), "real")
		e.wantGone(float64(1 << 63))
		e.wantCount(3)
	}},

	{"LongKeys", func(e *env) {
		long := make([]byte, 100_000)
		e.put(pair(long, 1), pair(string(long), 2), pair(long[:99_999], 3))
		e.wantValue(long, 1)
		e.wantValue(string(long), 2)
		e.wantValue(long[:99_999], 3)
	}},
}

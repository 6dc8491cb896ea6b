package drivertest

import (
	"bytes"
	"math"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

var putTests = tests{
	{"MissOnEmpty", func(e *env) {
		e.wantGone("k")
		e.wantCount(0)
	}},

	{"AllFields", func(e *env) {
		e.put(driver.Put{Key: val("k"), Value: val("value"), Expire: now + 10, Tag: val("t"), Now: now})
		r := e.row("k")
		want := driver.Row{
			ID: r.ID, Key: val("k"), Value: val("value"), Size: 5,
			Stored: now, Expire: now + 10, Accessed: now, Tag: val("t"),
		}
		if d := cmp.Diff(want, r, same); d != "" {
			e.Errorf("row (-want +got):\n%s", d)
		}
		if r.ID <= 0 {
			e.Errorf("ID is %d, want a positive one", r.ID)
		}
		e.wantRows(e.scan(driver.Scan{}), []driver.Row{want})
	}},

	{"StorageClasses", func(e *env) {
		for _, v := range []any{
			nil, 0, 1, -1, int64(math.MaxInt64), int64(math.MinInt64), 0.0, 1.5, -1e300, 5e-324, 3.0, math.Inf(1), math.Inf(-1),
			"", "text", "NUL\x00inside", "1", "1.0", "日本", "not UTF-8 \xff",
			[]byte{}, []byte("blob"), []byte{0, 255}, []byte("1"),
			strings.Repeat("x", 40_000), bytes.Repeat([]byte{7}, 40_000),
		} {
			e.put(pair("k", v))
			e.wantValue("k", v)
			r := e.row("k")
			size := int64(val(v).Len())
			if k := val(v).Kind(); k == codec.Integer || k == codec.Real {
				size = 8
			}
			if r.Size != size || r.File != "" {
				e.Errorf("%s: Size is %d, want %d; File is %q", show(val(v)), r.Size, size, r.File)
			}
		}
		e.wantCount(1)
	}},

	{"Tags", func(e *env) {
		for _, tag := range []any{nil, 1, 2.5, "tag", []byte("tag")} {
			e.put(driver.Put{Key: val("k"), Value: val(1), Tag: val(tag), Now: now})
			if got := e.row("k").Tag; got.Kind() != val(tag).Kind() || !codec.Equal(got, val(tag)) {
				e.Errorf("Tag is %s, want %s", show(got), show(val(tag)))
			}
		}
	}},

	{"ReplaceKeepsIDAndResetsRest", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(pair("a", 1), driver.Put{Key: val("b"), Value: val(2), Expire: now + 10, Tag: val("t"), Now: now}, pair("c", 3))
		before := e.row("b")
		e.read("b", now+1)
		e.put(driver.Put{Key: val("b"), Value: val("new"), Now: now + 2})
		want := driver.Row{ID: before.ID, Key: val("b"), Value: val("new"), Size: 3, Stored: now + 2, Accessed: now + 2}
		if d := cmp.Diff(want, e.row("b"), same); d != "" {
			e.Errorf("row (-want +got):\n%s", d)
		}
		e.wantScan(driver.Scan{}, `"a" "b" "c"`)
		e.wantCount(3)
	}},

	{"ReplaceExpiredKeepsID", func(e *env) {
		e.put(driver.Put{Key: val("a"), Value: val(1), Expire: now + 1, Now: now}, pair("b", 2))
		id := e.row("a").ID
		e.put(driver.Put{Key: val("a"), Value: val(3), Now: now + 5})
		if r := e.row("a"); r.ID != id || r.Expire != 0 {
			e.Errorf("ID %d, Expire %v, want %d, 0", r.ID, r.Expire, id)
		}
	}},

	{"KeepChangesValueAndStoreTimeOnly", func(e *env) {
		e.setPolicy(driver.LeastFrequentlyUsed)
		e.put(driver.Put{Key: val("k"), Value: val(1), Expire: now + 10, Tag: val("t"), Now: now})
		e.read("k", now+1)
		e.settle()
		want := e.row("k")
		if want.Accesses != 1 {
			e.Errorf("Accesses is %d, want 1", want.Accesses)
		}
		e.put(driver.Put{Key: val("k"), Value: val("other"), Expire: now + 99, Tag: val("u"), Keep: true, Now: now + 2})
		want.Value, want.Size, want.Stored = val("other"), 5, now+2
		if d := cmp.Diff(want, e.row("k"), same); d != "" {
			e.Errorf("row (-want +got):\n%s", d)
		}
	}},

	{"KeepOfExpiredOrMissingIsPlain", func(e *env) {
		e.put(driver.Put{Key: val("old"), Value: val(1), Expire: now + 1, Tag: val("t"), Now: now})
		id := e.row("old").ID
		for _, k := range []string{"old", "new"} {
			e.put(driver.Put{Key: val(k), Value: val(2), Expire: now + 20, Tag: val("u"), Keep: true, Now: now + 1})
			r := e.row(k)
			want := driver.Row{ID: r.ID, Key: val(k), Value: val(2), Size: 8, Stored: now + 1, Accessed: now + 1, Expire: now + 20, Tag: val("u")}
			if d := cmp.Diff(want, r, same); d != "" {
				e.Errorf("%s (-want +got):\n%s", k, d)
			}
		}
		if got := e.row("old").ID; got != id {
			e.Errorf("ID is %d, was %d", got, id)
		}
	}},

	{"Bare", func(e *env) {
		e.put(pair("k", "value"))
		r, ok, err := e.s.Get(e.ctx, e.c, val("k"), driver.Lookup{Now: now, Quiet: true, Bare: true})
		e.ok(err)
		if !ok || !r.Value.IsNull() || r.Size != 5 {
			e.Errorf("bare Get: %v, value %s, size %d", ok, show(r.Value), r.Size)
		}
		if r := e.scan(driver.Scan{Bare: true})[0]; !r.Value.IsNull() || r.Size != 5 {
			e.Errorf("bare Scan: value %s, size %d", show(r.Value), r.Size)
		}
	}},

	{"NullKey", func(e *env) {
		err := e.s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, pair(nil, 1))) })
		if err == nil {
			e.Error("Put accepts Null as a key")
		}
		e.wantCount(0)
	}},

	{"NoSharedMemory", func(e *env) {
		key, value, tag := []byte("key"), []byte("value"), []byte("tag")
		e.put(driver.Put{Key: val(key), Value: val(value), Tag: val(tag), Now: now})
		key[0], value[0], tag[0] = 'X', 'X', 'X'
		for range 2 {
			r := e.row([]byte("key"))
			if string(r.Key.Blob()) != "key" || string(r.Value.Blob()) != "value" || string(r.Tag.Blob()) != "tag" {
				e.Errorf("stored row shares memory: %s %s %s", r.Key.Blob(), r.Value.Blob(), r.Tag.Blob())
			}
			r.Key.Blob()[0], r.Value.Blob()[0], r.Tag.Blob()[0] = 'Y', 'Y', 'Y'
			r = e.scan(driver.Scan{})[0]
			r.Key.Blob()[0], r.Value.Blob()[0], r.Tag.Blob()[0] = 'Z', 'Z', 'Z'
		}
	}},

	{"SurvivesReopen", func(e *env) {
		e.put(driver.Put{Key: val("a"), Value: val(1.5), Expire: now + 10, Tag: val([]byte("t")), Now: now}, pair(2, []byte("b")), pair([]byte("c"), nil))
		before := e.scan(driver.Scan{})
		e.reopen()
		e.wantRows(e.scan(driver.Scan{}), before)
	}},
}

//go:build unix

package near

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

func newRows(t testing.TB, max int64) *Rows {
	t.Helper()
	r, err := NewRows(max)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

var values = []codec.Value{
	{},
	codec.IntegerValue(0), codec.IntegerValue(math.MinInt64), codec.IntegerValue(7),
	codec.RealValue(0.5), codec.RealValue(math.Inf(1)), codec.RealValue(-3),
	codec.TextValue(""), codec.TextValue("text\x00more"), codec.TextValue(strings.Repeat("é", 999)),
	codec.BlobValue(nil), codec.BlobValue([]byte("text\x00more")), codec.BlobValue(bytes.Repeat([]byte{255}, 4097)),
}

var compare = cmp.Comparer(func(a, b codec.Value) bool { return a.Kind() == b.Kind() && codec.Equal(a, b) })

// TestRoundTrip: what is found is what was put, in every kind of key, value
// and tag.
func TestRoundTrip(t *testing.T) {
	r := newRows(t, 1<<20)
	s := Stamp{epoch: 2, version: 4}
	for _, key := range values[1:] {
		for i, value := range values {
			want := driver.Row{
				ID: 1 << 40, Key: key, Value: value, Tag: values[len(values)-1-i], Stored: 1.25, Expire: 2.5,
				Accessed: 3.75, Accesses: 5, ForeignValue: i%2 == 0,
			}
			switch value.Kind() {
			case codec.Integer, codec.Real:
				want.Size = 8
			default:
				want.Size = int64(value.Len())
			}
			h := Hash(3, key)
			r.Put(Append(nil, h, 3, key, &want), s)
			var got driver.Row
			if a := r.Get(h, s, 3, key, false, &got); a != Found {
				t.Fatalf("key %v, value %v: answer %d", key, value, a)
			}
			if d := cmp.Diff(want, got, compare); d != "" {
				t.Error(d)
			}
			var bare driver.Row
			r.Get(h, s, 3, key, true, &bare)
			want.Value = codec.Value{}
			if d := cmp.Diff(want, bare, compare); d != "" {
				t.Error("bare:", d)
			}
			for what, a := range map[string]Answer{
				"epoch":      r.Get(h, Stamp{epoch: 4, version: 4}, 3, key, false, &got),
				"version":    r.Get(h, Stamp{epoch: 2, version: 6}, 3, key, false, &got),
				"collection": r.Get(h, s, 4, key, false, &got),
				"key":        r.Get(h, s, 3, codec.TextValue("other"), false, &got),
			} {
				if a != Unknown {
					t.Errorf("another %s: answer %d", what, a)
				}
			}
		}
	}
}

// TestCopies: what Get returns is not changed by what comes later.
func TestCopies(t *testing.T) {
	r := newRows(t, 1<<20)
	s := Stamp{2, 2}
	key := codec.TextValue("k")
	h := Hash(0, key)
	put := func(c byte) {
		row := driver.Row{Value: codec.BlobValue(bytes.Repeat([]byte{c}, 100)), Tag: codec.TextValue(strings.Repeat(string(c), 9))}
		r.Put(Append(nil, h, 0, key, &row), s)
	}
	put('a')
	var got driver.Row
	r.Get(h, s, 0, key, false, &got)
	for range 100_000 {
		put('b')
	}
	if string(got.Value.Blob()) != strings.Repeat("a", 100) || got.Tag.Text() != "aaaaaaaaa" {
		t.Error("a row changed after it was returned")
	}
	got.Value.Blob()[0] = 'x'
	r.Get(h, s, 0, key, false, &got)
	if got.Value.Blob()[0] != 'b' {
		t.Error("what a caller does to a row is seen by others")
	}
}

// TestEqualKeys: 1 and 1.0 are one key, a text and a blob are two.
func TestEqualKeys(t *testing.T) {
	for _, same := range [][2]codec.Value{
		{codec.IntegerValue(1), codec.RealValue(1)},
		{codec.IntegerValue(0), codec.RealValue(math.Copysign(0, -1))},
		{codec.IntegerValue(math.MinInt64), codec.RealValue(math.MinInt64)},
		{codec.IntegerValue(1 << 62), codec.RealValue(1 << 62)},
	} {
		if !codec.Equal(same[0], same[1]) {
			t.Fatal("not equal", same)
		}
		if Hash(1, same[0]) != Hash(1, same[1]) {
			t.Error("equal keys with different hashes:", same)
		}
		r := newRows(t, 1<<20)
		r.Put(Append(nil, Hash(1, same[0]), 1, same[0], &driver.Row{ID: 1}), Stamp{})
		var row driver.Row
		if r.Get(Hash(1, same[1]), Stamp{}, 1, same[1], false, &row) != Found || row.Key.Kind() != same[1].Kind() {
			t.Error("not found under the equal key", same)
		}
	}
	if Hash(1, codec.TextValue("a")) == Hash(1, codec.BlobValue([]byte("a"))) || Hash(1, codec.TextValue("a")) == Hash(2, codec.TextValue("a")) {
		t.Error("hashes do not tell kinds or collections apart")
	}
}

// TestHashSpreads: keys as people make them use nearly as many slots and
// parts as random numbers do.
func TestHashSpreads(t *testing.T) {
	for name, key := range map[string]func(i int) codec.Value{
		"integers": func(i int) codec.Value { return codec.IntegerValue(int64(i)) },
		"strided":  func(i int) codec.Value { return codec.IntegerValue(int64(i) << 20) },
		"reals":    func(i int) codec.Value { return codec.RealValue(float64(i) + 0.5) },
		"texts":    func(i int) codec.Value { return codec.TextValue(fmt.Sprint("key-", i)) },
		"blobs":    func(i int) codec.Value { return codec.BlobValue(fmt.Appendf(nil, "%032d", i)) },
	} {
		used, perPart := map[uint64]bool{}, [numParts]int{}
		for i := range numSlots {
			h := Hash(0, key(i))
			used[h&(numSlots-1)] = true
			perPart[h>>60]++
		}
		// A random function hits 1-1/e of the slots: 63 %.
		if n := len(used) * 100 / numSlots; n < 61 || n > 66 {
			t.Errorf("%s: %d %% of the slots are used", name, n)
		}
		for i, n := range perPart {
			if n < numSlots/numParts*9/10 || n > numSlots/numParts*11/10 {
				t.Errorf("%s: part %d has %d of %d", name, i, n, numSlots/numParts)
			}
		}
	}
}

// TestRandomRows compares with a map: what is found is what was put last, and
// what was forgotten is not found. Entries of all sizes go round the rings
// many times, and their bytes stay within the bound.
func TestRandomRows(t *testing.T) {
	for _, max := range []int64{16 * 1024, 16 * 4096, 1 << 20, 16<<20 + 8*16} {
		r := newRows(t, max)
		rng := rand.New(rand.NewPCG(1, uint64(max)))
		want := map[int64]int64{}
		s := Stamp{2, 2}
		found := 0
		for step := range 60_000 {
			k := rng.Int64N(300)
			key := codec.IntegerValue(k)
			h := Hash(0, key)
			switch rng.IntN(10) {
			case 0:
				r.Forget(h)
				delete(want, k)
			case 1:
				r.Put(Append(nil, h, 0, key, nil), s)
				want[k] = -1
			case 2, 3, 4:
				size := rng.IntN(200)
				if rng.IntN(20) == 0 {
					size = rng.IntN(int(max / numParts / 2))
				}
				row := driver.Row{ID: int64(step), Value: codec.BlobValue(bytes.Repeat([]byte{byte(step)}, size))}
				b := Append(nil, h, 0, key, &row)
				if len(b) > 0 {
					r.Put(b, s)
					want[k] = int64(step)
				}
			default:
				var row driver.Row
				a := r.Get(h, s, 0, key, false, &row)
				switch id, ok := want[k]; {
				case a == Unknown:
					continue
				case !ok:
					t.Fatalf("max %d, step %d: %d is known and should not be", max, step, k)
				case a == Absent && id != -1 || a == Found && row.ID != id:
					t.Fatalf("max %d, step %d: %d has answer %d and ID %d, want %d", max, step, k, a, row.ID, id)
				case a == Found:
					for _, c := range row.Value.Blob() {
						if c != byte(id) {
							t.Fatal("bytes of another value")
						}
					}
				}
				found++
			}
		}
		if found == 0 {
			t.Errorf("max %d: nothing was ever found", max)
		}
		if _, _, n := r.Stats(); n > max {
			t.Errorf("%d bytes in use, the bound is %d", n, max)
		}
	}
}

// TestSecondChance: an entry that is used stays when others pass through.
func TestSecondChance(t *testing.T) {
	r := newRows(t, 1<<20)
	s := Stamp{2, 2}
	put := func(k int64) {
		key := codec.IntegerValue(k)
		r.Put(Append(nil, Hash(0, key), 0, key, &driver.Row{Value: codec.BlobValue(make([]byte, 500))}), s)
	}
	get := func(k int64) Answer {
		key := codec.IntegerValue(k)
		return r.Get(Hash(0, key), s, 0, key, false, new(driver.Row))
	}
	put(-1)
	put(-2)
	for k := range int64(20_000) {
		put(k)
		if k%100 == 0 && get(-1) != Found {
			t.Fatalf("an entry that is used was dropped after %d others", k)
		}
	}
	if get(-2) == Found {
		t.Error("an entry that nobody used is still there")
	}
}

func BenchmarkGet(b *testing.B) {
	r := newRows(b, 64<<20)
	s := Stamp{2, 2}
	keys := make([]codec.Value, 1000)
	for i := range keys {
		keys[i] = codec.TextValue(fmt.Sprint("key-", i))
		h := Hash(0, keys[i])
		r.Put(Append(nil, h, 0, keys[i], &driver.Row{Value: codec.BlobValue(make([]byte, 300))}), s)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		key := keys[i%len(keys)]
		i++
		var row driver.Row
		if r.Get(Hash(0, key), s, 0, key, false, &row) != Found {
			b.Fatal("not found")
		}
	}
}

func BenchmarkPut(b *testing.B) {
	r := newRows(b, 64<<20)
	key := codec.TextValue("key")
	var buf []byte
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		h := uint64(i) * hashPrime
		buf = Append(buf[:0], h, 0, key, &driver.Row{Value: codec.BlobValue(make([]byte, 300))})
		r.Put(buf, Stamp{2, 2})
	}
}

// More than an int has room for is as much as there can be, not too little.
func TestRowsLarge(t *testing.T) {
	for _, size := range []int64{1 << 31, 1 << 32, 1 << 33} {
		r, err := NewRows(size)
		if errors.Is(err, unix.ENOMEM) {
			continue // the system has not as much
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

package codec_test

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

type (
	id      string
	raw     []byte
	small   int8
	count   uint64
	celsius float64
	flag    bool
)

func TestString(t *testing.T) {
	laws[id]{
		codec: codec.String[id](), name: "string",
		fixed: []id{"", "\x00", "\U0010ffff", "\ufffd"},
		next:  func(r *rand.Rand) id { return id(randomText(r)) },
		order: func(a, b id) int { return strings.Compare(string(a), string(b)) },
		again: func(_ *rand.Rand, v id) id { return id(strings.Clone(string(v))) },
	}.check(t)
	laws[string]{
		codec: codec.String[string](), name: "string",
		fixed: []string{"\xff", "a\x80"},
		next:  func(r *rand.Rand) string { return string(randomBytes(r)) },
	}.check(t)
	for s, want := range map[string]codec.Kind{"é": codec.Text, "": codec.Text, "\xc3": codec.Blob, "\xed\xa0\x80": codec.Blob} {
		if enc, err := codec.String[string]().Encode(s); enc.Kind() != want || err != nil {
			t.Errorf("%q is a %v, want %v (error %v)", s, enc.Kind(), want, err)
		}
	}
	refuses(t, codec.String[string](), null, one, half)
}

func TestBytes(t *testing.T) {
	laws[raw]{
		codec: codec.Bytes[raw](), name: "bytes",
		fixed: []raw{{}, {0}, {0xff}},
		next:  func(r *rand.Rand) raw { return randomBytes(r) },
		order: func(a, b raw) int { return bytes.Compare(a, b) },
		again: func(_ *rand.Rand, v raw) raw { return bytes.Clone(v) },
	}.check(t)
	c := codec.Bytes[[]byte]()
	enc, err := c.Encode(nil)
	if err != nil || enc.Kind() != codec.Blob {
		t.Errorf("nil is %v, error %v", enc, err)
	}
	if got, err := c.Decode(enc); got == nil || len(got) != 0 || err != nil {
		t.Errorf("nil came back as %#v, error %v", got, err)
	}
	refuses(t, c, null, one, half, text)
}

func TestInt(t *testing.T) {
	laws[int64]{
		codec: codec.Int[int64](), name: "int",
		fixed: []int64{0, 1, -1, math.MinInt64, math.MaxInt64},
		next:  func(r *rand.Rand) int64 { return int64(r.Uint64()) >> r.IntN(64) },
		order: cmp.Compare[int64],
	}.check(t)
	laws[small]{
		codec: codec.Int[small](), name: "int",
		fixed: []small{math.MinInt8, math.MaxInt8},
		next:  func(r *rand.Rand) small { return small(r.Uint32()) },
		order: cmp.Compare[small],
	}.check(t)
	decodes(t, codec.Int[int64](), codec.RealValue(-1<<63), math.MinInt64)
	decodes(t, codec.Int[int64](), codec.RealValue(3), 3)
	decodes(t, codec.Int[small](), codec.RealValue(-128), -128)
	refuses(t, codec.Int[int64](), null, half, text, blob, codec.RealValue(1<<63),
		codec.RealValue(math.Inf(1)), codec.RealValue(math.Inf(-1)), codec.RealValue(-1e300))
	refuses(t, codec.Int[small](), codec.IntegerValue(128), codec.IntegerValue(-129), codec.RealValue(128),
		codec.IntegerValue(256), codec.IntegerValue(math.MaxInt64))
}

func TestUint(t *testing.T) {
	laws[count]{
		codec: codec.Uint[count](), name: "uint",
		fixed: []count{0, 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64},
		next:  func(r *rand.Rand) count { return count(r.Uint64() >> r.IntN(64)) },
		order: cmp.Compare[count],
	}.check(t)
	laws[uint8]{
		codec: codec.Uint[uint8](), name: "uint",
		fixed: []uint8{0, 255},
		next:  func(r *rand.Rand) uint8 { return uint8(r.Uint32()) },
		order: cmp.Compare[uint8],
	}.check(t)
	top := bytes.Repeat([]byte{0xff}, 8)
	decodes(t, codec.Uint[uint64](), codec.BlobValue(top), math.MaxUint64)
	decodes(t, codec.Uint[uint64](), codec.RealValue(3), 3)
	refuses(t, codec.Uint[uint64](), null, half, text, blob, empty, codec.IntegerValue(-1), codec.RealValue(-1),
		codec.RealValue(1<<63), codec.BlobValue(top[1:]), codec.BlobValue(append(top, 0)),
		codec.BlobValue([]byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}))
	refuses(t, codec.Uint[uint8](), codec.IntegerValue(256), codec.BlobValue(top))
}

func TestFloat(t *testing.T) {
	same := func(a, b celsius) bool { return a == b || a != a && b != b }
	laws[celsius]{
		codec: codec.Float[celsius](), name: "float",
		fixed: []celsius{0, celsius(math.Copysign(0, -1)), 1, -1, celsius(math.Inf(1)), celsius(math.Inf(-1)),
			celsius(math.NaN()), math.MaxFloat64, math.SmallestNonzeroFloat64},
		next:  func(r *rand.Rand) celsius { return celsius(math.Float64frombits(r.Uint64())) },
		order: cmp.Compare[celsius],
		equal: same,
	}.check(t)
	laws[float32]{
		codec: codec.Float[float32](), name: "float",
		fixed: []float32{0.1, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(1))},
		next:  func(r *rand.Rand) float32 { return math.Float32frombits(r.Uint32() &^ (1 << 30)) },
		order: cmp.Compare[float32],
	}.check(t)
	decodes(t, codec.Float[float64](), codec.IntegerValue(1<<53+1), 1<<53)
	decodes(t, codec.Float[float32](), codec.RealValue(0.1), 0.1)
	decodes(t, codec.Float[float32](), codec.IntegerValue(3), 3)
	refuses(t, codec.Float[float64](), text, blob)
	refuses(t, codec.Float[float32](), codec.RealValue(1e300), codec.RealValue(-1e39))
}

func TestBool(t *testing.T) {
	laws[flag]{
		codec: codec.Bool[flag](), name: "bool",
		fixed: []flag{false, true},
		next:  func(r *rand.Rand) flag { return r.IntN(2) == 0 },
		order: func(a, b flag) int { return cmp.Compare(btoi(a), btoi(b)) },
	}.check(t)
	decodes(t, codec.Bool[bool](), codec.RealValue(1), true)
	refuses(t, codec.Bool[bool](), null, half, text, blob, codec.IntegerValue(2), codec.IntegerValue(-1))
}

func btoi(b flag) int {
	if b {
		return 1
	}
	return 0
}

func decodes[T comparable](t *testing.T, c codec.Codec[T], enc codec.Value, want T) {
	t.Helper()
	if got, err := c.Decode(enc); got != want || err != nil {
		t.Errorf("%s decodes %v as %v, error %v; want %v", c.Name(), enc, got, err, want)
	}
}

func TestNativeAllocations(t *testing.T) {
	str, byt, num, flt := codec.String[string](), codec.Bytes[[]byte](), codec.Int[int](), codec.Float[float64]()
	def := codec.Default[celsius]()
	b := []byte("some bytes")
	n := testing.AllocsPerRun(100, func() {
		e1, _ := str.Encode("some text")
		e2, _ := byt.Encode(b)
		e3, _ := num.Encode(42)
		e4, _ := flt.Encode(1.5)
		e5, _ := def.Encode(1.5)
		v1, _ := str.Decode(e1)
		v2, _ := byt.Decode(e2)
		v3, _ := num.Decode(e3)
		v4, _ := flt.Decode(e4)
		v5, _ := def.Decode(e5)
		if v1 != "some text" || len(v2) != len(b) || v3 != 42 || v4 != 1.5 || v5 != 1.5 {
			panic("round trip")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package codec_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/codec"
)

type edge struct{ From, To int }

type graph struct {
	Name  string
	Edges map[edge]float64
	Next  *graph
}

func TestGob(t *testing.T) {
	laws[graph]{
		codec: codec.Gob[graph](), name: "gob",
		next: func(r *rand.Rand) graph {
			return graph{
				Name:  randomText(r),
				Edges: map[edge]float64{{1, r.IntN(9)}: math.Inf(1), {2, 3}: r.Float64()},
				Next:  &graph{Name: "next"},
			}
		},
	}.check(t)
	refusesToEncode(t, codec.Gob[*graph](), nil)
	var inner *graph
	refusesToEncode(t, codec.Gob[**graph](), nil, &inner)
	refusesToEncode[any](t, codec.Gob[any](), nil, (*graph)(nil))
	refusesToEncode(t, codec.Gob[chan int](), nil)
	if got, err := codec.Gob[*graph]().Decode(must(codec.Gob[*graph]().Encode(&graph{Name: "x"}))); err != nil || got.Name != "x" {
		t.Errorf("got %v, error %v", got, err)
	}
	refusesToEncode(t, codec.Gob[struct{ a int }](), struct{ a int }{1})

	c := codec.Gob[graph]()
	refuses(t, c, null, one, half, text, blob, empty)
	enc, err := c.Encode(graph{Name: "x", Edges: map[edge]float64{{1, 2}: 3}})
	if err != nil {
		t.Fatal(err)
	}
	good := enc.Blob()
	for n := range good {
		refuses(t, c, codec.BlobValue(good[:n]))
	}
	refuses(t, c, codec.BlobValue(append(bytes.Clone(good), 0)), codec.BlobValue(append(bytes.Clone(good), good...)))
	refuses(t, codec.Gob[int](), enc)
}

// A map that claims 2^30 entries must not be allocated.
func TestGobHugeMap(t *testing.T) {
	c := codec.Gob[map[string]int]()
	enc, err := c.Encode(map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	// The last message is: length, type, 0, entries, and the entry "a": 1.
	good := enc.Blob()
	tail := []byte{1, 1, 'a', 2}
	if !bytes.HasSuffix(good, tail) {
		t.Fatalf("gob of another form: %x", good)
	}
	n := len(good) - len(tail)
	length := bytes.LastIndexByte(good[:n], byte(len(good)-n+3))
	if length < 0 {
		t.Fatalf("gob of another form: %x", good)
	}
	bad := append(bytes.Clone(good[:n]), 0xfc, 0x40, 0, 0, 0)
	bad = append(bad, tail[1:]...)
	bad[length] += 4
	refuses(t, c, codec.BlobValue(bad))
}

// zoo has a field of each kind that gob writes.
type zoo struct {
	B  bool
	I  int8
	U  uint64
	P  uintptr
	F  float32
	C  complex128
	S  string
	By []byte
	A  [3]uint8
	AS [2]struct{ X, Y int }
	M  map[string][]map[int]*zoo
	Pt ***int
	T  time.Time
	N  *big.Int
	Me marshals
	Em
	R []rec
	E any
}

type (
	Em       struct{ Inner []string }
	rec      []rec
	marshals struct{ s string }
)

func (m marshals) MarshalBinary() ([]byte, error)  { return []byte(m.s), nil }
func (m *marshals) UnmarshalBinary(b []byte) error { m.s = string(b); return nil }

func TestGobKinds(t *testing.T) {
	n := -7
	p := &n
	pp := &p
	v := zoo{
		true, math.MinInt8, math.MaxUint64, 1 << 20, -1.5, complex(1, -2), "text", []byte{0, 255},
		[3]uint8{1, 0, 200}, [2]struct{ X, Y int }{{1, 0}, {0, -1}},
		map[string][]map[int]*zoo{"a": {{1: {I: 1}}, {}}, "": {}},
		&pp, time.Unix(1, 2).UTC(), big.NewInt(-1 << 40), marshals{"x"}, Em{[]string{"", "y"}}, []rec{{}, {{}, {{}}}}, nil,
	}
	roundTrip(t, v)
	roundTrip(t, zoo{})
	roundTrip(t, map[[2]string]zoo{{"a", "b"}: v, {}: {}})
	roundTrip(t, []*zoo{&v, {}})
	roundTrip(t, math.Inf(-1))
	roundTrip(t, complex(float32(1), 2))
	roundTrip(t, "\xff")
	roundTrip(t, []byte("bytes"))
	roundTrip(t, [2][]int64{{1, -1 << 62}, nil})
	roundTrip(t, time.Unix(1, 0).UTC())
	roundTrip(t, rec{{}, {{}}})
	roundTrip(t, make([]float64, 100_000))

	// What the type no longer has is skipped.
	type less struct{ S string }
	enc := must(codec.Gob[zoo]().Encode(v))
	if got, err := codec.Gob[less]().Decode(enc); err != nil || got.S != "text" {
		t.Errorf("got %v, error %v", got, err)
	}
}

func roundTrip[T any](t *testing.T, v T) {
	t.Helper()
	c := codec.Gob[T]()
	enc, err := c.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(enc)
	if err != nil || !reflect.DeepEqual(got, v) && !emptied(t, got, enc) {
		t.Errorf("%+v came back as %+v, error %v", v, got, err)
	}
	for n := range min(enc.Len(), 2000) {
		refuses(t, c, codec.BlobValue(enc.Blob()[:n]))
	}
}

// emptied reports whether what was decoded from enc differs from what was
// encoded by empty slices that are nil: then both have equal gobs, but for the
// order of maps.
func emptied[T any](t *testing.T, v T, enc codec.Value) bool {
	t.Helper()
	return must(codec.Gob[T]().Encode(v)).Len() == enc.Len()
}

// gobOf returns gob data: definitions of types, and a value.
func gobOf(defs [][]byte, value []byte) codec.Value {
	var data []byte
	for _, m := range append(defs, value) {
		data = append(append(data, gobNumber(len(m))...), m...)
	}
	return codec.BlobValue(data)
}

func gobNumber(n int) []byte {
	if n < 0x80 {
		return []byte{byte(n)}
	}
	return []byte{0xfc, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// Ids in data: 65 and -65 are two bytes long, 2*id+sign.
var (
	id65    = []byte{0xff, 130}
	id66    = []byte{0xff, 132}
	def65   = []byte{0xff, 129}
	def66   = []byte{0xff, 131}
	gobText = []byte{12}
	gobAny  = []byte{16}
	gobInt  = []byte{4}
)

func cat(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		case string:
			b = append(append(b, byte(len(p))), p...)
		}
	}
	return b
}

// Definitions, as wireType has them: a slice, a map, and a struct whose first
// field is called name and whose second one is a number N.
func gobSliceOf(def, elem []byte) []byte    { return cat(def, 2, 1, 1, "s", 0, 1, elem, 0, 0) }
func gobMapOf(def, key, elem []byte) []byte { return cat(def, 4, 1, 1, "m", 0, 1, key, 1, elem, 0, 0) }
func gobStructOf(def []byte, name string, field []byte) []byte {
	return cat(def, 3, 1, 1, "t", 0, 1, 2, 1, name, 1, field, 0, 1, "N", 1, gobInt, 0, 0, 0)
}

type tree map[int]tree

type list struct {
	Next *list
	N    int
}

// Data that encoding/gob would read until the stack, or the memory, is at its
// end.
func TestGobBombs(t *testing.T) {
	const deep = 8 << 20
	steps := bytes.Repeat([]byte{1}, deep)
	ends := make([]byte, deep+1)
	chain := gobStructOf(def65, "Next", id65)

	// The type is recursive, what is stored of it is small.
	good := gobOf([][]byte{chain}, cat(id65, 1, 1, 1, 2, 4, 0, 0, 0, 0))
	if v, err := codec.Gob[list]().Decode(good); err != nil || v.Next.Next.Next.N != 2 {
		t.Fatalf("%+v, error %v", v, err)
	}
	for name, bad := range map[string]codec.Value{
		"struct":           gobOf([][]byte{chain}, cat(id65, steps, ends)),
		"not closed":       gobOf([][]byte{chain}, cat(id65, steps)),
		"slice of itself":  gobOf([][]byte{gobSliceOf(def65, id65)}, cat(id65, 0, steps, 0)),
		"map of itself":    gobOf([][]byte{gobMapOf(def65, gobInt, id65)}, cat(id65, 0, bytes.Repeat([]byte{1, 2}, deep), 0)),
		"skipped struct":   gobOf([][]byte{gobStructOf(def66, "Unknown", id65), chain}, cat(id66, 1, steps, ends, 0)),
		"skipped slice":    gobOf([][]byte{gobStructOf(def66, "Unknown", id65), gobSliceOf(def65, id65)}, cat(id66, 1, steps, 0, 0)),
		"two definitions":  gobOf([][]byte{cat(def65, 2, 1, 1, "s", 0, 1, gobInt, 0, 1, 1, 1, "t", 0, 0, 0)}, cat(id65, 0, 0)),
		"defined twice":    gobOf([][]byte{chain, gobSliceOf(def65, gobInt)}, cat(id65, 0)),
		"undefined":        gobOf([][]byte{gobSliceOf(def65, id66)}, cat(id65, 0, 1, 1)),
		"no value":         gobOf([][]byte{chain}, def66),
		"huge map":         gobOf([][]byte{gobMapOf(def65, gobText, gobInt)}, cat(id65, 0, 0xfb, 1, 0, 0, 0, 0, "a", 2)),
		"endless map":      gobOf([][]byte{gobMapOf(def65, id66, id66), gobStructOf(def66, "X", gobInt)}, cat(id65, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0)),
		"huge slice":       gobOf([][]byte{gobSliceOf(def65, gobInt)}, cat(id65, 0, 0xfc, 0x10, 0, 0, 0, 2)),
		"an interface":     gobOf([][]byte{gobSliceOf(def65, gobAny)}, cat(id65, 0, 1, "int", gobInt, 2, 0, 2)),
		"a nil interface":  gobOf([][]byte{gobSliceOf(def65, gobAny)}, cat(id65, 0, 1, 0)),
		"a built-in type":  gobOf(nil, cat(40, 1, 1, 1, 'x', 0, 0)),
		"id of 33 bits":    gobOf([][]byte{chain}, cat(0xfb, 2, 0, 0, 0, 130, 0)),
		"number of 9 byte": gobOf(nil, cat(4, 0, 0xf7, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, codec.Gob[list](), bad)
			refuses(t, codec.Gob[rec](), bad)
			refuses(t, codec.Gob[tree](), bad)
			refuses(t, codec.Gob[map[string]int](), bad)
			refuses(t, codec.Gob[map[list]list](), bad)
			refuses(t, codec.Gob[[]any](), bad)
		})
	}
}

// Encode fails for what Decode would refuse.
func TestGobDepth(t *testing.T) {
	nested := func(n int) *list {
		var l *list
		for i := range n {
			l = &list{l, i}
		}
		return l
	}
	c := codec.Gob[list]()
	enc, err := c.Encode(*nested(10_000))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Decode(enc); err != nil || !reflect.DeepEqual(v, *nested(10_000)) {
		t.Error("came back as another value", err)
	}
	for _, n := range []int{10_001, 100_000} {
		if _, err := c.Encode(*nested(n)); !errors.Is(err, codec.ErrEncode) || !strings.Contains(err.Error(), "10,000 deep") {
			t.Errorf("%d deep: %v", n, err)
		}
	}
	refusesToEncode(t, codec.Gob[zoo](), zoo{E: 1})
	refusesToEncode[any](t, codec.Gob[any](), 1)
	refusesToEncode(t, codec.Gob[[]any](), []any{nil})
	refusesToEncode(t, codec.Gob[map[string]error](), map[string]error{"a": nil})
}

// What another program wrote with encoding/gob is read.
func TestGobForeign(t *testing.T) {
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(map[string]*list{"a": {N: 1}}); err != nil {
		t.Fatal(err)
	}
	got, err := codec.Gob[map[string]list]().Decode(codec.BlobValue(buf.Bytes()))
	if got["a"].N != 1 || err != nil {
		t.Errorf("got %v, error %v", got, err)
	}
}

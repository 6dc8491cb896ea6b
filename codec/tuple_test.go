package codec_test

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/codec"
)

func randomString(r *rand.Rand) string {
	b := make([]byte, r.IntN(5))
	for i := range b {
		b[i] = "\x00\x01ab\xFF"[r.IntN(4)] // without the last: that is no text
	}
	return string(b)
}

func randomInt(r *rand.Rand) int64 {
	i := int64(r.Uint64()) >> r.IntN(64)
	return i + int64(r.IntN(3)) - 1
}

func randomFloat(r *rand.Rand) float64 {
	switch r.IntN(4) {
	case 0:
		return float64(randomInt(r))
	case 1:
		return float64(randomInt(r)) / 8
	case 2:
		return r.NormFloat64()
	}
	f := math.Float64frombits(r.Uint64())
	if f != f {
		return 0
	}
	return f
}

func TestTuple2Laws(t *testing.T) {
	type key = codec.Pair[string, int64]
	c := codec.Tuple2(codec.String[string](), codec.Int[int64]())
	laws[key]{
		codec: c,
		name:  "tuple(string,int)",
		fixed: []key{
			c.Of("", 0), c.Of("a", math.MinInt64), c.Of("a", -1), c.Of("a", 0), c.Of("a", 1), c.Of("a", math.MaxInt64),
			c.Of("a\x00", -1), c.Of("a\x00\x00", -1), c.Of("a\x00\x01", 1), c.Of("a\x01", -1), c.Of("ab", -1), c.Of("\x00", 5),
		},
		next: func(r *rand.Rand) key { return c.Of(randomString(r), randomInt(r)) },
		order: func(a, b key) int {
			return cmp.Or(strings.Compare(a.First, b.First), cmp.Compare(a.Second, b.Second))
		},
	}.check(t)
}

func TestTuple3Laws(t *testing.T) {
	type key = codec.Triple[float64, time.Time, string]
	c := codec.Tuple3(codec.Float[float64](), codec.Desc(codec.Time()), codec.Desc(codec.String[string]()))
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	laws[key]{
		codec: c,
		name:  "tuple(float,desc(time),desc(string))",
		fixed: []key{
			c.Of(math.Inf(-1), at, ""), c.Of(-math.MaxFloat64, at, ""), c.Of(-1<<63, at, ""), c.Of(-1.5, at, ""), c.Of(-1, at, ""),
			c.Of(-5e-324, at, ""), c.Of(0, at, ""), c.Of(5e-324, at, ""), c.Of(0.5, at, ""), c.Of(1, at, ""), c.Of(1, at.Add(1), ""),
			c.Of(1, at, "a"), c.Of(1, at, "a\x00"), c.Of(1.5, at, ""), c.Of(1<<53, at, ""), c.Of(1<<63, at, ""), c.Of(math.Inf(1), at, ""),
		},
		next: func(r *rand.Rand) key {
			return c.Of(randomFloat(r), at.Add(time.Duration(r.IntN(3))), randomString(r))
		},
		order: func(a, b key) int {
			return cmp.Or(cmp.Compare(a.First, b.First), b.Second.Compare(a.Second), strings.Compare(b.Third, a.Third))
		},
	}.check(t)
}

func TestDescLaws(t *testing.T) {
	laws[float64]{
		codec: codec.Desc(codec.Float[float64]()),
		name:  "desc(float)",
		fixed: []float64{math.Inf(-1), -1 << 63, -1.5, 0, 0.5, 1, 1 << 63, math.Inf(1)},
		next:  randomFloat,
		order: func(a, b float64) int { return cmp.Compare(b, a) },
	}.check(t)
	laws[string]{
		codec: codec.Desc(codec.Desc(codec.String[string]())),
		name:  "desc(desc(string))",
		next:  randomString,
		order: strings.Compare,
	}.check(t)
}

// The default codec of a composite key keeps the order of its parts, however they nest.
func TestTupleDefault(t *testing.T) {
	type inner = codec.Pair[int8, bool]
	type key = codec.Triple[string, inner, time.Time]
	c := codec.Default[key]()
	if c.Name() != "tuple(string,tuple(int,bool),time)" {
		t.Errorf("named %q", c.Name())
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	want := key{First: "a", Second: inner{First: -1, Second: true}, Third: at}
	enc, err := c.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Decode(enc); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	if err := codec.Keyable(c); err != nil {
		t.Error(err)
	}
	if codec.Keyable(codec.Tuple2(codec.Int[int](), codec.Gob[int]())) == nil || codec.Keyable(codec.Desc(codec.Gob[int]())) == nil {
		t.Error("gob is part of a key")
	}
}

// The beginning of a key is the beginning of the encodings of just those keys that
// it stands for, and none itself.
func TestTuplePrefix(t *testing.T) {
	c := codec.Tuple3(codec.String[string](), codec.Int[int](), codec.String[string]())
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a, b, third, a2, b2 := randomString(r), r.IntN(3), randomString(r), randomString(r), r.IntN(3)
		enc, err := c.Encode(c.Of(a, b, third))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			of   codec.Triple[string, int, string]
			want bool
		}{{c.First(a2), a == a2}, {c.FirstTwo(a2, b2), a == a2 && b == b2}, {c.FirstTwo(a, b2), b == b2}} {
			p, whole, err := c.EncodePrefix(tt.of)
			if err != nil || whole {
				t.Fatal(whole, err)
			}
			if got := bytes.HasPrefix(enc.Blob(), p); got != tt.want {
				t.Errorf("%q begins with %q: %v", enc.Blob(), p, got)
			}
			var ee *codec.EncodeError
			if _, err := c.Encode(tt.of); !errors.As(err, &ee) {
				t.Errorf("Encode of a part: %v", err)
			}
		}
	}
	pairs := codec.Tuple2(codec.String[string](), codec.Int[int]())
	if p, whole, err := pairs.EncodePrefix(pairs.First("a")); string(p) != " a\x00\x01" || whole || err != nil {
		t.Errorf("%q, %v, %v", p, whole, err)
	}
	if _, err := pairs.Encode(pairs.First("a")); !errors.Is(err, codec.ErrEncode) {
		t.Error(err)
	}
}

// Each value has one encoding: nothing else is read.
func TestOrderedRefuses(t *testing.T) {
	half := "\x3f\xe0\x00\x00\x00\x00\x00\x00"
	for name, b := range map[string]string{
		"nothing":                  "",
		"unknown":                  "\x30",
		"no end":                   " a",
		"no end after a zero":      " a\x00",
		"odd escape":               " a\x00\x02",
		"a zero before a number":   "\x0f\x00\x01\x00",
		"before a negative number": "\x09\xff\xfe\xff",
		"a number cut short":       "\x0f\x01\x01",
		"zero with a sign":         "\x0d\x00",
		"odd fraction":             "\x0e\x01\x02" + half,
		"no fraction":              "\x0e\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00",
		"a fraction of 1":          "\x0e\x01\x01\x3f\xf0\x00\x00\x00\x00\x00\x00",
		"a negative fraction":      "\x0e\x01\x01\xbf\xe0\x00\x00\x00\x00\x00\x00",
		"NaN as a fraction":        "\x0e\x01\x01\x7f\xf8\x00\x00\x00\x00\x00\x00",
		"a fraction cut short":     "\x0e\x01\x01\x3f",
		"a fraction that is lost":  "\x15\x40\x00\x00\x00\x00\x00\x00\x00\x01" + half,
		"2^63 as a whole number":   "\x15\x80\x00\x00\x00\x00\x00\x00\x00\x00",
		"beyond -2^63":             "\x03\x7f\xff\xff\xff\xff\xff\xff\xfe\xff",
		"1 as a huge number":       "\x16\x3f\xf0\x00\x00\x00\x00\x00\x00",
		"-2^63 as a huge number":   "\x02\xbc\x1f\xff\xff\xff\xff\xff\xff",
		"NaN":                      "\x16\x7f\xf8\x00\x00\x00\x00\x00\x00",
	} {
		var de *codec.DecodeError
		if v, _, err := codec.CutOrdered([]byte(b)); !errors.As(err, &de) {
			t.Errorf("%s is read as %v, %v", name, v, err)
		}
	}
	pairs := codec.Tuple2(codec.Int[int](), codec.Int[int]())
	enc, err := pairs.Encode(pairs.Of(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]codec.Value{
		"more parts":  codec.BlobValue(append(bytes.Clone(enc.Blob()), enc.Blob()...)),
		"fewer parts": codec.BlobValue(enc.Blob()[:3]),
		"text":        codec.TextValue(string(enc.Blob())),
		"null":        {},
	} {
		if got, err := pairs.Decode(v); !errors.Is(err, codec.ErrDecode) {
			t.Errorf("%s is read as %v, %v", name, got, err)
		}
		if got, err := codec.Desc(codec.Int[int]()).Decode(v); !errors.Is(err, codec.ErrDecode) {
			t.Errorf("%s is read as %v, %v", name, got, err)
		}
	}
}

// FuzzOrdered holds the laws of AppendOrdered: order, equality, no encoding the beginning
// of another one, and only what it writes is read.
func FuzzOrdered(f *testing.F) {
	for _, v := range ordered {
		f.Add(uint8(v.Kind()), v.Integer(), v.Real(), append([]byte(v.Text()), v.Blob()...), uint8(v.Kind()), int64(1), 1.5, []byte("a\x00"))
	}
	f.Fuzz(func(t *testing.T, kind1 uint8, int1 int64, real1 float64, bytes1 []byte, kind2 uint8, int2 int64, real2 float64, bytes2 []byte) {
		value := func(kind uint8, i int64, r float64, b []byte) codec.Value {
			switch codec.Kind(kind % 5) {
			case codec.Integer:
				return codec.IntegerValue(i)
			case codec.Real:
				return codec.RealValue(r)
			case codec.Text:
				return codec.TextValue(string(b))
			case codec.Blob:
				return codec.BlobValue(b)
			}
			return codec.Value{}
		}
		v, w := value(kind1, int1, real1, bytes1), value(kind2, int2, real2, bytes2)
		a, b := codec.AppendOrdered(nil, v), codec.AppendOrdered([]byte("x"), w)[1:]
		if got, want := bytes.Compare(a, b), codec.Compare(v, w); got != want {
			t.Fatalf("%v and %v compare as %d, their encodings %x and %x as %d", v, w, want, a, b, got)
		}
		if !bytes.Equal(a, b) && (bytes.HasPrefix(a, b) || bytes.HasPrefix(b, a)) {
			t.Fatalf("of %v and %v, %x and %x, one begins with the other", v, w, a, b)
		}
		got, rest, err := codec.CutOrdered(append(bytes.Clone(a), b...))
		if err != nil || !codec.Equal(got, v) || !bytes.Equal(rest, b) {
			t.Fatalf("%v is read as %v, %x, %v", v, got, rest, err)
		}
		before := bytes.Clone(bytes1)
		if got, rest, err = codec.CutOrdered(bytes1); err == nil {
			if again := append(codec.AppendOrdered(nil, got), rest...); !bytes.Equal(again, before) {
				t.Fatalf("%x is read as %v, which is %x", before, got, again)
			}
		}
		if !bytes.Equal(before, bytes1) {
			t.Fatal("CutOrdered changed what it read")
		}
		decodeAny(t, codec.Codec[codec.Pair[string, float64]](codec.Tuple2(codec.String[string](), codec.Float[float64]())), codec.BlobValue(bytes1))
		decodeAny(t, codec.Codec[codec.Triple[int, uint64, []byte]](codec.Tuple3(codec.Int[int](), codec.Desc(codec.Uint[uint64]()), codec.Bytes[[]byte]())), codec.BlobValue(bytes1))
	})
}

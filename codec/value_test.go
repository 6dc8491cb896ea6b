package codec_test

import (
	"math"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

// ordered are values in strictly ascending order.
var ordered = []codec.Value{
	{},
	codec.RealValue(math.Inf(-1)),
	codec.RealValue(-math.MaxFloat64),
	codec.RealValue(-math.Nextafter(1<<63, math.Inf(1))),
	codec.IntegerValue(math.MinInt64),
	codec.IntegerValue(math.MinInt64 + 1),
	codec.IntegerValue(-2),
	codec.RealValue(-1.5),
	codec.IntegerValue(-1),
	codec.RealValue(-math.SmallestNonzeroFloat64),
	codec.IntegerValue(0),
	codec.RealValue(math.SmallestNonzeroFloat64),
	codec.IntegerValue(1),
	codec.RealValue(1.5),
	codec.IntegerValue(2),
	codec.RealValue(1 << 53),
	codec.IntegerValue(1<<53 + 1),
	codec.RealValue(1<<53 + 2),
	codec.IntegerValue(math.MaxInt64),
	codec.RealValue(1 << 63),
	codec.RealValue(math.Inf(1)),
	codec.TextValue(""),
	codec.TextValue("a"),
	codec.TextValue("a\x00"),
	codec.TextValue("b"),
	codec.TextValue("é"),
	codec.BlobValue(nil),
	codec.BlobValue([]byte{0}),
	codec.BlobValue([]byte("a")),
}

func TestCompare(t *testing.T) {
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := codec.Compare(a, b); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
			}
			if got := codec.Equal(a, b); got != (want == 0) {
				t.Errorf("Equal(%v, %v) = %t", a, b, got)
			}
		}
	}
}

func TestEqual(t *testing.T) {
	equal := [][2]codec.Value{
		{codec.IntegerValue(1), codec.RealValue(1)},
		{codec.IntegerValue(0), codec.RealValue(math.Copysign(0, -1))},
		{codec.IntegerValue(math.MinInt64), codec.RealValue(-1 << 63)},
		{codec.RealValue(math.NaN()), {}},
		{codec.BlobValue(nil), codec.BlobValue([]byte{})},
	}
	for _, p := range equal {
		if !codec.Equal(p[0], p[1]) || !codec.Equal(p[1], p[0]) {
			t.Errorf("%v and %v are not equal", p[0], p[1])
		}
	}
}

func TestValueString(t *testing.T) {
	for want, v := range map[string]codec.Value{
		"NULL":                 {},
		"-9223372036854775808": codec.IntegerValue(math.MinInt64),
		"1.0":                  codec.RealValue(1),
		"1e+21":                codec.RealValue(1e21),
		"9e999":                codec.RealValue(math.Inf(1)),
		"-9e999":               codec.RealValue(math.Inf(-1)),
		"'it''s'":              codec.TextValue("it's"),
		"X'00FF'":              codec.BlobValue([]byte{0, 255}),
		"X''":                  codec.BlobValue(nil),
	} {
		if got := v.String(); got != want {
			t.Errorf("String = %s, want %s", got, want)
		}
	}
}

func TestValueAccessors(t *testing.T) {
	for _, v := range ordered {
		k := v.Kind()
		if v.IsNull() != (k == codec.Null) ||
			v.Integer() != 0 && k != codec.Integer ||
			v.Real() != 0 && k != codec.Real ||
			v.Text() != "" && k != codec.Text ||
			v.Blob() != nil && k != codec.Blob {
			t.Errorf("%v (%v) answers for another kind", v, k)
		}
		if v.Len() != len(v.Text())+len(v.Blob()) {
			t.Errorf("Len of %v = %d", v, v.Len())
		}
	}
}

func TestClone(t *testing.T) {
	b := []byte("abc")
	v := codec.BlobValue(b)
	c := v.Clone()
	b[0] = 'x'
	if string(c.Blob()) != "abc" || string(v.Blob()) != "xbc" {
		t.Errorf("clone %q of %q", c.Blob(), v.Blob())
	}
	for _, v := range ordered {
		if !codec.Equal(v.Clone(), v) || v.Clone().Kind() != v.Kind() {
			t.Errorf("clone of %v is %v", v, v.Clone())
		}
	}
}

func TestKindString(t *testing.T) {
	want := []string{"null", "integer", "real", "text", "blob", "unknown"}
	for k, s := range want {
		if got := codec.Kind(k).String(); got != s {
			t.Errorf("Kind(%d) = %q, want %q", k, got, s)
		}
	}
}

package codec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-diskcache/diskcache/codec"
)

// stored makes a value of any kind from a fuzzer's arguments.
func stored(kind uint8, num uint64, data []byte) codec.Value {
	switch codec.Kind(kind % 5) {
	case codec.Integer:
		return codec.IntegerValue(int64(num))
	case codec.Real:
		return codec.RealValue(math.Float64frombits(num))
	case codec.Text:
		return codec.TextValue(string(data))
	case codec.Blob:
		return codec.BlobValue(data)
	}
	return codec.Value{}
}

// decodeAny decodes what may be anything. What it takes, it must write and
// read again; what it does not take is a DecodeError.
func decodeAny[T any](t *testing.T, c codec.Codec[T], enc codec.Value) {
	t.Helper()
	before := enc.Clone()
	v, err := c.Decode(enc)
	if !codec.Equal(before, enc) {
		t.Fatalf("%s changed what it decoded", c.Name())
	}
	if err != nil {
		var de *codec.DecodeError
		if !errors.As(err, &de) {
			t.Fatalf("%s: error %v (%T)", c.Name(), err, err)
		}
		return
	}
	again, err := c.Encode(v)
	if err != nil {
		t.Fatalf("%s does not encode %v, which it decoded: %v", c.Name(), v, err)
	}
	w, err := c.Decode(again)
	if err != nil {
		t.Fatalf("%s does not decode what it encoded: %v", c.Name(), err)
	}
	if codec.Keyable(c) != nil {
		return
	}
	if third, err := c.Encode(w); err != nil || !codec.Equal(third, again) {
		t.Fatalf("%s encodes %v as %v and then as %v, error %v", c.Name(), v, again, third, err)
	}
}

func FuzzNative(f *testing.F) {
	for _, v := range ordered {
		f.Add(uint8(v.Kind()), uint64(v.Integer()), append([]byte(v.Text()), v.Blob()...))
		f.Add(uint8(v.Kind()), math.Float64bits(v.Real()), []byte("2024-02-29T07:00:00.000005000Z"))
	}
	f.Fuzz(func(t *testing.T, kind uint8, num uint64, data []byte) {
		enc := stored(kind, num, data)
		decodeAny(t, codec.Default[id](), enc)
		decodeAny(t, codec.Default[raw](), enc)
		decodeAny(t, codec.Default[small](), enc)
		decodeAny(t, codec.Default[int64](), enc)
		decodeAny(t, codec.Default[uint16](), enc)
		decodeAny(t, codec.Default[count](), enc)
		decodeAny(t, codec.Default[float32](), enc)
		decodeAny(t, codec.Default[celsius](), enc)
		decodeAny(t, codec.Default[flag](), enc)
		decodeAny(t, codec.Default[time.Time](), enc)
	})
}

func FuzzMarshaler(f *testing.F) {
	f.Add("fe80::1%eth0")
	f.Add("10.0.0.0/8")
	f.Add("\x0a\x00\x00\x00\x08")
	f.Fuzz(func(t *testing.T, s string) {
		decodeAny(t, codec.Default[netip.Addr](), codec.TextValue(s))
		decodeAny(t, codec.Default[uuid](), codec.TextValue(s))
		decodeAny(t, codec.BinaryMarshaler[netip.AddrPort](), codec.BlobValue([]byte(s)))
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"url": "\ud83d\ude00\u2028", "score": 1e+16, "links": {"a": 0.1}, "next": {"url": "", "tags": ["x"]}}`,
		`[1, -0.0, 1e-7, {"": [[]]}, null, true, "\ufffd\u0000\ud800"]`, `[NaN]`, `-Infinity`, `"\`, `1.50E+003`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		enc := codec.TextValue(s)
		decodeAny(t, codec.JSON[any](), enc)
		decodeAny(t, codec.JSON[page](), enc)
		decodeAny(t, codec.JSON[[]float32](), enc)
		decodeAny(t, codec.JSON[map[int]float64](), enc)
		decodeAny(t, codec.JSON[json.Number](), enc)

		// The text is JSON of the same value still, and ASCII.
		var v, w any
		if json.Unmarshal([]byte(s), &v) != nil {
			return
		}
		enc, err := codec.JSON[any]().Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(enc.Text()), &w); err != nil {
			t.Fatalf("%s: %v", enc.Text(), err)
		}
		a, _ := json.Marshal(v)
		b, _ := json.Marshal(w)
		if !bytes.Equal(a, b) {
			t.Fatalf("%s became %s", a, b)
		}
		for _, c := range []byte(enc.Text()) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q has byte %#x", enc.Text(), c)
			}
		}
	})
}

// Two strings never have one encoding, wherever in a value they are: what is
// not Unicode has none.
func FuzzJSONText(f *testing.F) {
	for _, s := range []string{"", "a", "\xff", "\xed\xa0\x80", "\ufffd", "\u2028😀", `\ufffd`, `\ud800`, `\ud83d\ude00`, `\\`, "a\x7f\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		writesOrRefuses(t, s, s)
		writesOrRefuses(t, s, textual(s))
		writesOrRefuses(t, s, []*string{&s})
		writesOrRefuses(t, s, page{URL: s, Next: &page{Tags: []string{s}}})
		writesOrRefuses(t, s, map[string][]string{"a": {"b", s}})
		writesOrRefuses(t, s, map[string]int{s: 1})
		writesOrRefuses(t, s, map[textual]any{textual(s): map[string]any{s: s}})
		if !utf8.ValidString(s) {
			if _, err := codec.JSON[any]().Encode(map[string]any{"a": textual(s)}); err == nil {
				t.Fatalf("%q is written", s)
			}
		}
		// What a method writes is either kept or refused.
		c := codec.JSON[json.RawMessage]()
		raw := json.RawMessage(`"` + s + `"`)
		if enc, err := c.Encode(raw); err == nil {
			if got, err := c.Decode(enc); err != nil || !sameJSON(got, raw) {
				t.Fatalf("%q came back as %q, error %v", raw, got, err)
			}
		}
	})
}

// writesOrRefuses checks that a value that holds s can be written if s is valid,
// and only then.
func writesOrRefuses[T any](t *testing.T, s string, v T) {
	t.Helper()
	c := codec.JSON[T]()
	enc, err := c.Encode(v)
	if (err == nil) != utf8.ValidString(s) {
		t.Fatalf("%T of %q: %v, error %v", v, s, enc, err)
	}
	if err != nil {
		return
	}
	if got, err := c.Decode(enc); err != nil || !reflect.DeepEqual(got, v) {
		t.Fatalf("%T of %q came back as %v, error %v", v, s, got, err)
	}
}

// sameJSON reports whether two JSON strings are of the same characters.
func sameJSON(a, b []byte) bool {
	var s, t string
	return json.Unmarshal(a, &s) == nil && json.Unmarshal(b, &t) == nil && s == t
}

func FuzzGob(f *testing.F) {
	f.Add(must(codec.Gob[graph]().Encode(graph{Name: "x", Edges: map[edge]float64{{1, 2}: 3}, Next: &graph{}})).Blob())
	f.Add(must(codec.Gob[[]string]().Encode([]string{"a", "b"})).Blob())
	f.Add(must(codec.Gob[map[string]int]().Encode(map[string]int{"a": 1})).Blob())
	f.Fuzz(func(t *testing.T, data []byte) {
		decodeAny(t, codec.Gob[graph](), codec.BlobValue(data))
		decodeAny(t, codec.Gob[[]string](), codec.BlobValue(data))
		decodeAny(t, codec.Gob[map[string]int](), codec.BlobValue(data))
	})
}

func FuzzZlib(f *testing.F) {
	bomb := make([]byte, 5000)
	for level := range 10 {
		f.Add(must(codec.Zlib(codec.Bytes[[]byte](), level).Encode([]byte("some text, some text"))).Blob(), level)
		f.Add(must(codec.Zlib(codec.Bytes[[]byte](), level).Encode(bomb)).Blob(), level)
	}
	f.Fuzz(func(t *testing.T, data []byte, level int) {
		level = int(uint(level)%11) - 1
		enc := codec.BlobValue(data)
		decodeAny(t, codec.ZlibLimit(codec.Bytes[[]byte](), level, 1<<20), enc)
		decodeAny(t, codec.ZlibLimit(codec.JSON[any](), level, 1<<20), enc)
		c := codec.Zlib(codec.Bytes[[]byte](), level)
		if got, err := c.Decode(must(c.Encode(data))); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%x came back as %x, error %v", data, got, err)
		}
	})
}

func FuzzSeal(f *testing.F) {
	c := must(codec.Seal(codec.Default[string](), key1, key2)).(codec.Located[string])
	good := must(hex.DecodeString(sealedText))
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := c.DecodeAt(codec.BlobValue(data), sealedAt)
		if bytes.Equal(data, good) != (err == nil) {
			t.Fatalf("%x opened as %q, error %v", data, v, err)
		}
		if err != nil && !errors.Is(err, codec.ErrSealed) || err == nil && v != "some text" {
			t.Fatalf("%q, error %v", v, err)
		}
	})
}

// A sealed value opens at its location, and at no other one.
func FuzzSealLocation(f *testing.F) {
	c := must(codec.Seal(codec.Default[string](), key1)).(codec.Located[string])
	f.Add("v", "", "", uint8(codec.Text), uint8(codec.Text), uint64(0), uint64(0), []byte("k"), []byte("k"))
	f.Add("v", "cache/a", "cache/ab", uint8(codec.Integer), uint8(codec.Real), uint64(1), math.Float64bits(1), []byte{}, []byte{})
	f.Add("v", "a", "a", uint8(codec.Blob), uint8(codec.Null), uint64(1), uint64(1), []byte("kk"), []byte("k"))
	f.Fuzz(func(t *testing.T, v, coll1, coll2 string, kind1, kind2 uint8, num1, num2 uint64, data1, data2 []byte) {
		p := codec.Location{Collection: coll1, Key: stored(kind1, num1, data1)}
		q := codec.Location{Collection: coll2, Key: stored(kind2, num2, data2)}
		enc := must(c.EncodeAt(v, p))
		if got, err := c.DecodeAt(enc, p); got != v || err != nil {
			t.Fatalf("%q at %v came back as %q, error %v", v, p, got, err)
		}
		same := coll1 == coll2 && (p.Key.IsNull() || codec.Equal(p.Key, q.Key))
		if got, err := c.DecodeAt(enc, q); (err == nil) != same || err == nil && got != v {
			t.Fatalf("%q moved from %v to %v: %q, error %v", v, p, q, got, err)
		}
	})
}

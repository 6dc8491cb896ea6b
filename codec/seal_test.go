package codec_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

var (
	key1 = bytes.Repeat([]byte{1}, codec.KeySize)
	key2 = bytes.Repeat([]byte{2}, codec.KeySize)
)

// sealedText is "some text", once sealed with key1 for sealedAt. The format must
// not change.
const sealedText = "028347bf18d1ffca8cc59f854516e6f19c48fd9fb96e65d90907c3708f2f7f57317ea61def84e1859f9101"

var sealedAt = codec.Location{Collection: "cache/pages", Key: codec.TextValue("k")}

func sealed[T any](t *testing.T, inner codec.Codec[T], key []byte, old ...[]byte) codec.Codec[T] {
	t.Helper()
	c, err := codec.Seal(inner, key, old...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSeal(t *testing.T) {
	laws[string]{
		codec: sealed(t, codec.String[string](), key1), name: "seal(string)",
		fixed: []string{"", "\xff"},
		next:  randomText,
	}.check(t)
	laws[[]byte]{
		codec: sealed(t, codec.Bytes[[]byte](), key1), name: "seal(bytes)",
		fixed: [][]byte{{}},
		next:  randomBytes,
	}.check(t)
	laws[int64]{
		codec: sealed(t, codec.Int[int64](), key1), name: "seal(int)",
		fixed: []int64{math.MinInt64},
		next:  func(r *rand.Rand) int64 { return r.Int64() },
	}.check(t)
	laws[float64]{
		codec: sealed(t, codec.Float[float64](), key1), name: "seal(float)",
		fixed: []float64{math.NaN(), math.Inf(1)},
		next:  func(r *rand.Rand) float64 { return r.Float64() },
		equal: func(a, b float64) bool { return a == b || a != a && b != b },
	}.check(t)
	laws[page]{
		codec: sealed(t, codec.Zlib(codec.JSON[page](), 6), key1), name: "seal(zlib(json))",
		next: func(r *rand.Rand) page { return page{URL: randomText(r)} },
	}.check(t)
}

func TestSealRefuses(t *testing.T) {
	c := sealed(t, codec.String[string](), key1)
	refuses(t, c, null, one, half, text, blob, empty)
	enc, err := c.Encode("attack at dawn")
	if err != nil {
		t.Fatal(err)
	}
	good := enc.Blob()
	if want := len("attack at dawn") + 34; len(good) != want {
		t.Errorf("%d bytes sealed, want %d", len(good), want)
	}
	if bytes.Contains(good, []byte("dawn")) {
		t.Error("not encrypted")
	}
	bad := func(c codec.Codec[string], b []byte) {
		t.Helper()
		refuses(t, c, codec.BlobValue(b))
		if _, err := c.Decode(codec.BlobValue(b)); !errors.Is(err, codec.ErrSealed) {
			t.Errorf("error %v", err)
		}
	}
	for n := range good {
		bad(c, good[:n])
		changed := bytes.Clone(good)
		changed[n] ^= 4
		bad(c, changed)
	}
	bad(c, append(bytes.Clone(good), 0))
	bad(sealed(t, codec.String[string](), key2), good)
	bad(sealed(t, codec.Zlib(codec.String[string](), 1), key1), good)
	if got, err := c.Decode(enc); got != "attack at dawn" || err != nil {
		t.Errorf("got %q, error %v", got, err)
	}
}

func TestSealFormat(t *testing.T) {
	enc := codec.BlobValue(must(hex.DecodeString(sealedText)))
	c := sealed(t, codec.String[string](), key1).(codec.Located[string])
	if got, err := c.DecodeAt(enc, sealedAt); got != "some text" || err != nil {
		t.Errorf("got %q, error %v", got, err)
	}
}

// A value opens where it was sealed for, and nowhere else.
func TestSealLocation(t *testing.T) {
	at := func(collection string, key codec.Value) codec.Location {
		return codec.Location{Collection: collection, Key: key}
	}
	places := []codec.Location{
		at("", codec.TextValue("k")), at("", codec.TextValue("kk")), at("", codec.TextValue("")), at("k", codec.TextValue("")),
		at("", codec.BlobValue([]byte("k"))), at("", codec.IntegerValue(1)), at("", codec.IntegerValue(0)), at("", codec.RealValue(1.5)),
		at("", codec.RealValue(math.Inf(1))), at("cache/a", codec.TextValue("k")), at("cache/ak", codec.TextValue("")), at("deque/a", codec.TextValue("k")),
	}
	plain := sealed(t, codec.String[string](), key1).(codec.Located[string])
	packed := codec.Zlib(plain, 1).(codec.Located[string])
	twice := sealed(t, codec.Zlib(plain, 1), key2).(codec.Located[string])
	for _, c := range []codec.Located[string]{plain, packed, twice} {
		for i, p := range places {
			enc := must(c.EncodeAt("v", p))
			for j, q := range places {
				got, err := c.DecodeAt(enc, q)
				if i == j && (got != "v" || err != nil) || i != j && !errors.Is(err, codec.ErrSealed) {
					t.Errorf("%s: from %v to %v: %q, error %v", c.Name(), p, q, got, err)
				}
			}
			if _, err := c.DecodeAt(enc, at(p.Collection, codec.Value{})); !errors.Is(err, codec.ErrSealed) {
				t.Errorf("%s: from %v without a key: error %v", c.Name(), p, err)
			}
			// A key that was not known is not looked at.
			enc = must(c.EncodeAt("v", at(p.Collection, codec.Value{})))
			for _, q := range places {
				if got, err := c.DecodeAt(enc, q); (err == nil) != (q.Collection == p.Collection) || err == nil && got != "v" {
					t.Errorf("%s: from %q to %v: %q, error %v", c.Name(), p.Collection, q, got, err)
				}
			}
		}
		for _, same := range [][2]codec.Value{
			{codec.IntegerValue(1), codec.RealValue(1)}, {codec.RealValue(0), codec.RealValue(math.Copysign(0, -1))},
			{codec.IntegerValue(math.MinInt64), codec.RealValue(math.MinInt64)},
		} {
			for i := range same {
				if _, err := c.DecodeAt(must(c.EncodeAt("v", at("c", same[i]))), at("c", same[1-i])); err != nil {
					t.Errorf("%s: equal keys %v: %v", c.Name(), same, err)
				}
			}
		}
		if got, err := c.DecodeAt(must(c.Encode("v")), codec.Location{}); got != "v" || err != nil {
			t.Errorf("%s: %q, error %v", c.Name(), got, err)
		}
	}
	other := sealed(t, codec.JSON[string](), key1).(codec.Located[string])
	if _, err := other.DecodeAt(must(plain.EncodeAt("v", places[0])), places[0]); !errors.Is(err, codec.ErrSealed) {
		t.Errorf("with another inner codec: %v", err)
	}
	if _, ok := codec.Zlib(codec.String[string](), 1).(codec.Located[string]); ok {
		t.Error("Zlib is Located without reason")
	}
}

func TestSealRotation(t *testing.T) {
	before := sealed(t, codec.String[string](), key1)
	during := sealed(t, codec.String[string](), key2, key1)
	after := sealed(t, codec.String[string](), key2)
	old, _ := before.Encode("old")
	if got, err := during.Decode(old); got != "old" || err != nil {
		t.Errorf("with the old key: %q, error %v", got, err)
	}
	enc, _ := during.Encode("new")
	if got, err := after.Decode(enc); got != "new" || err != nil {
		t.Errorf("with the new key: %q, error %v", got, err)
	}
	if _, err := before.Decode(enc); !errors.Is(err, codec.ErrSealed) || !strings.Contains(err.Error(), "not among those given") {
		t.Errorf("error %v", err)
	}
	enc.Blob()[enc.Len()-1] ^= 1
	if _, err := after.Decode(enc); !errors.Is(err, codec.ErrSealed) || strings.Contains(err.Error(), "not among those given") {
		t.Errorf("error %v", err)
	}
}

// The id of a key is the same for all values, and nothing of the key.
func TestSealKeyID(t *testing.T) {
	id := func(key []byte, at codec.Location) string {
		c := sealed(t, codec.String[string](), key).(codec.Located[string])
		return string(must(c.EncodeAt("v", at)).Blob()[2:6])
	}
	if a, b := id(key1, sealedAt), id(key1, codec.Location{}); a != b {
		t.Errorf("ids %x and %x", a, b)
	}
	if a, b := id(key1, sealedAt), id(key2, sealedAt); a == b || a == string(key1[:4]) {
		t.Errorf("ids %x and %x", a, b)
	}
}

func TestSealKeys(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		_, err := codec.Seal(codec.String[string](), make([]byte, n))
		if err == nil || !strings.Contains(err.Error(), "seal(string)") {
			t.Errorf("key of %d bytes: error %v", n, err)
		}
		if _, err := codec.Seal(codec.String[string](), key1, make([]byte, n)); err == nil {
			t.Errorf("no error for an old key of %d bytes", n)
		}
	}
	zero := make([]byte, codec.KeySize)
	if _, err := codec.Seal(codec.String[string](), zero); err == nil || !strings.Contains(err.Error(), "all zero") {
		t.Errorf("key of zeros: error %v", err)
	}
	if _, err := codec.Seal(codec.String[string](), key1, zero); err == nil {
		t.Error("no error for an old key of zeros")
	}
	key := bytes.Clone(key1)
	c := sealed(t, codec.String[string](), key)
	enc, _ := c.Encode("x")
	clear(key)
	if got, err := c.Decode(enc); got != "x" || err != nil {
		t.Errorf("after the caller's key changed: %q, error %v", got, err)
	}
}

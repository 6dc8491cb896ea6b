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

// sealedText is "some text", once sealed with key1. The format must not change.
const sealedText = "0103fe8543793473c4c62ca68e5ff074764eb55586d648fa8fadfc6cea60877dfc2cef0235129e"

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
	if want := len("attack at dawn") + 30; len(good) != want {
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
	if got, err := c.Decode(enc); got != "attack at dawn" || err != nil {
		t.Errorf("got %q, error %v", got, err)
	}
}

func TestSealFormat(t *testing.T) {
	enc := codec.BlobValue(must(hex.DecodeString(sealedText)))
	if got, err := sealed(t, codec.String[string](), key1).Decode(enc); got != "some text" || err != nil {
		t.Errorf("got %q, error %v", got, err)
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
	if _, err := before.Decode(enc); !errors.Is(err, codec.ErrSealed) {
		t.Errorf("error %v", err)
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
	key := bytes.Clone(key1)
	c := sealed(t, codec.String[string](), key)
	enc, _ := c.Encode("x")
	clear(key)
	if got, err := c.Decode(enc); got != "x" || err != nil {
		t.Errorf("after the caller's key changed: %q, error %v", got, err)
	}
}

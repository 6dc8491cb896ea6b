package codec_test

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

func TestZlib(t *testing.T) {
	for level := -1; level <= 9; level++ {
		laws[string]{
			codec: codec.Zlib(codec.String[string](), level), name: "zlib(string)",
			fixed: []string{"", "\xff", strings.Repeat("abc", 1000)},
			next:  func(r *rand.Rand) string { return randomText(r) },
			again: func(_ *rand.Rand, v string) string { return strings.Clone(v) },
		}.check(t)
	}
	laws[[]byte]{
		codec: codec.Zlib(codec.Bytes[[]byte](), 9), name: "zlib(bytes)",
		fixed: [][]byte{{}},
		next:  randomBytes,
	}.check(t)
	laws[uint64]{
		codec: codec.Zlib(codec.Uint[uint64](), 1), name: "zlib(uint)",
		next: func(r *rand.Rand) uint64 { return r.Uint64() },
	}.check(t)
	laws[float64]{
		codec: codec.Zlib(codec.Float[float64](), 1), name: "zlib(float)",
		next: func(r *rand.Rand) float64 { return r.Float64() },
	}.check(t)

	c := codec.Zlib(codec.String[string](), 1)
	refuses(t, c, null, one, half, text, blob, empty)
	enc, _ := c.Encode(strings.Repeat("text", 100))
	good := enc.Blob()
	for n := range good {
		refuses(t, c, codec.BlobValue(good[:n]))
		bad := bytes.Clone(good)
		bad[n] ^= 0x55
		refuses(t, c, codec.BlobValue(bad))
	}
	refuses(t, c, codec.BlobValue(append(bytes.Clone(good), 0)), codec.BlobValue(append(bytes.Clone(good), good...)))
	// A failed call leaves nothing behind in what is reused.
	if got, err := c.Decode(enc); len(got) != 400 || err != nil {
		t.Errorf("got %q, error %v", got, err)
	}
}

// What DiskCache's JSONDisk stores for these keys, at its default level.
func TestZlibJSONDisk(t *testing.T) {
	stores(t, "key", "780153ca4ead540200049e018e")
	stores(t, []int{1, 2}, "78018b36d451308a050004ee0168")
	stores(t, map[string]float64{"a": 1.5}, "7801ab564a54b25230d433ad05000e31028c")
	stores(t, any(nil), "7801cb2bcdc90100045f01bc")
}

func stores[T any](t *testing.T, v T, want string) {
	t.Helper()
	c := codec.Zlib(codec.JSON[T](), 1)
	if c.Name() != "zlib(json)" {
		t.Errorf("name %q", c.Name())
	}
	enc, err := c.Encode(v)
	if got := hex.EncodeToString(enc.Blob()); enc.Kind() != codec.Blob || got != want || err != nil {
		t.Errorf("%v is %v %s, error %v, want %s", v, enc.Kind(), got, err, want)
	}
}

func TestZlibForeignEncoder(t *testing.T) {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	w.Write([]byte(`{"a": 1}`))
	w.Close()
	got, err := codec.Zlib(codec.JSON[map[string]int](), 1).Decode(codec.BlobValue(buf.Bytes()))
	if got["a"] != 1 || err != nil {
		t.Errorf("got %v, error %v", got, err)
	}
}

func TestZlibLevels(t *testing.T) {
	for _, level := range []int{-2, 10} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic for level %d", level)
				}
			}()
			codec.Zlib(codec.String[string](), level)
		}()
	}
}

func TestZlibLimit(t *testing.T) {
	small := codec.ZlibWithLimit(codec.String[string](), 1, 1000)
	big := codec.Zlib(codec.String[string](), 1)
	for n, fits := range map[int]bool{0: true, 1: true, 1000: true, 1001: false, 1_000_000: false} {
		enc, err := big.Encode(strings.Repeat("x", n))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = small.Decode(enc); fits != (err == nil) || !fits && !errors.Is(err, codec.ErrTooLarge) {
			t.Errorf("decoding %d bytes: %v", n, err)
		}
		if !fits {
			refuses(t, small, enc)
		}
		if _, err = small.Encode(strings.Repeat("x", n)); fits != (err == nil) || !fits && !errors.Is(err, codec.ErrTooLarge) {
			t.Errorf("encoding %d bytes: %v", n, err)
		}
	}
}

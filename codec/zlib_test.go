package codec_test

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"runtime"
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
	defer func() {
		if recover() == nil {
			t.Error("no panic for a negative limit")
		}
	}()
	codec.ZlibLimit(codec.String[string](), 1, -1)
}

func TestZlibLimit(t *testing.T) {
	small := codec.ZlibLimit(codec.String[string](), 1, 1000)
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

// A bomb takes no more memory than the limit, and what fits twice
// that.
func TestZlibMemory(t *testing.T) {
	const limit = 4 << 20
	bomb := must(codec.Zlib(codec.Bytes[[]byte](), 1).Encode(make([]byte, 12<<20)))
	fits := must(codec.Zlib(codec.Bytes[[]byte](), 1).Encode(make([]byte, limit)))
	c := codec.ZlibLimit(codec.Bytes[[]byte](), 1, limit)
	allocated := func(enc codec.Value) (uint64, []byte, error) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := c.Decode(enc)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc, got, err
	}
	n, _, err := allocated(bomb)
	if !errors.Is(err, codec.ErrTooLarge) || n > limit+2<<20 {
		t.Errorf("%d bytes allocated for a bomb of %d, error %v", n, bomb.Len(), err)
	}
	n, got, err := allocated(fits)
	if len(got) != limit || err != nil || n > 2*limit+2<<20 {
		t.Errorf("%d bytes allocated for %d, error %v", n, len(got), err)
	}
}

// What is read in chunks is put together again.
func TestZlibChunks(t *testing.T) {
	c := codec.Zlib(codec.Bytes[[]byte](), 1)
	for _, n := range []int{0, 1, 63, 64, 65, 1000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 - 7} {
		v := make([]byte, n)
		for i := 0; i < n; i += 100 { // compresses well, but not to nothing
			v[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
		}
		if got, err := c.Decode(must(c.Encode(v))); err != nil || !bytes.Equal(got, v) {
			t.Fatalf("%d bytes came back as %d, error %v", len(v), len(got), err)
		}
	}
}

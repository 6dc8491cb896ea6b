package deflate_test

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-diskcache/diskcache/codec/internal/deflate"
)

var writeInputs = flag.String("inputs", "", "write the inputs of testdata/zlib.txt to this directory, and do nothing else")

// random is a generator whose numbers never change: Vigna's splitmix64.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) intn(n int) int { return int(r.next() % uint64(n)) }

// The shapes of the inputs: n bytes each.
var shapes = map[string]func(r *random, n int) []byte{
	"noise": func(r *random, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.next())
		}
		return b
	},
	"zeros": func(_ *random, n int) []byte { return make([]byte, n) },
	"letters": func(r *random, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcd"[r.intn(4)]
		}
		return b
	},
	"words": func(r *random, n int) []byte {
		words := make([]string, 500)
		for i := range words {
			for range 1 + r.intn(9) {
				words[i] += string(rune('a' + r.intn(26)))
			}
		}
		var b []byte
		for len(b) < n {
			// Some words are much more frequent.
			b = append(b, words[r.intn(1+r.intn(len(words)))]...)
			b = append(b, ' ')
		}
		return b[:n]
	},
	// Copies of all lengths from all distances, beyond the window, too.
	"copies": func(r *random, n int) []byte {
		b := make([]byte, 0, n+1000)
		for len(b) < n {
			if len(b) < 10 || r.intn(3) == 0 {
				for range 1 + r.intn(20) {
					b = append(b, byte(r.next()))
				}
				continue
			}
			from := len(b) - 1 - r.intn(min(len(b), 70000))
			for range 3 + r.intn(1+r.intn(400)) {
				b = append(b, b[from])
				from++
			}
		}
		return b[:n]
	},
	// Symbols twice as frequent as the next: codes longer than fit.
	"skewed": func(r *random, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			for b[i] < 40 && r.intn(100) < 45 {
				b[i]++
			}
		}
		return b
	},
	// Three bytes repeated from around where a match no longer pays.
	"far": func(r *random, n int) []byte {
		b := make([]byte, 0, n+5)
		for len(b) < n {
			if len(b) > 5000 && r.intn(2) == 0 {
				from := len(b) - 3900 - r.intn(400)
				b = append(b, b[from:from+3+r.intn(2)]...)
			}
			b = append(b, byte(r.next()))
		}
		return b[:n]
	},
	// A period just inside or outside of the window.
	"period": func(r *random, n int) []byte {
		period := []int{1, 2, 258, 259, 32505, 32506, 32507, 32768}[r.intn(8)]
		b := make([]byte, n)
		for i := range b {
			if i < period {
				b[i] = byte(r.next())
			} else {
				b[i] = b[i-period]
			}
		}
		return b
	},
	"mixed": func(r *random, n int) []byte {
		b := make([]byte, 0, n)
		for len(b) < n {
			c := byte(r.next())
			switch m := 1 + r.intn(30000); r.intn(3) {
			case 0:
				b = append(b, bytes.Repeat([]byte{c}, m)...)
			case 1:
				for range m {
					b = append(b, byte(r.next()))
				}
			default:
				for range m / 20 {
					b = fmt.Appendf(b, `{"id": %d, "on": true}`, r.intn(1000))
				}
			}
		}
		return b[:n]
	},
}

var sizes = []int{0, 1, 2, 3, 4, 10, 258, 1000, 4100, 16384, 65536, 110000}

type input struct {
	shape string
	size  int
}

func (in input) String() string { return fmt.Sprintf("%s-%d", in.shape, in.size) }

func (in input) make() []byte {
	r := random(in.size)
	for _, c := range in.shape {
		r = r*31 + random(c)
	}
	return shapes[in.shape](&r, in.size)
}

func inputs() (all []input) {
	for shape := range shapes {
		for _, size := range sizes {
			if size > 20000 && (shape == "letters" || shape == "skewed") {
				continue // full of short matches, and so very slow
			}
			all = append(all, input{shape, size})
		}
	}
	return all
}

// TestZlib compares with testdata/zlib.txt, what the C library makes of the
// inputs. Each line has an input's name, a level, and the SHA-256 of the
// compressed bytes. To make it:
//
//	go test -run TestZlib -args -inputs /tmp/inputs
//	python3 testdata/zlibtable.py /tmp/inputs > testdata/zlib.txt
func TestZlib(t *testing.T) {
	if dir := *writeInputs; dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, in := range inputs() {
			if err := os.WriteFile(filepath.Join(dir, in.String()), in.make(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	want := readTable(t)
	for _, in := range inputs() {
		if testing.Short() && in.size > 70000 {
			continue
		}
		src := in.make()
		for level := -1; level <= 9; level++ {
			key := in.String() + " " + strconv.Itoa(level)
			sum := sha256.Sum256(deflate.Append(nil, src, level))
			if got := hex.EncodeToString(sum[:]); got != want[key] {
				t.Errorf("%s: %s, want %s", key, got, want[key])
			}
			delete(want, key)
		}
	}
	if len(want) > 0 && !testing.Short() {
		t.Errorf("%d lines without an input", len(want))
	}
}

func readTable(t *testing.T) map[string]string {
	f, err := os.Open("testdata/zlib.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := make(map[string]string)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		i := strings.LastIndexByte(lines.Text(), ' ')
		table[lines.Text()[:i]] = lines.Text()[i+1:]
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return table
}

func TestAppend(t *testing.T) {
	got := deflate.Append([]byte("before"), nil, 6)
	if want := "before\x78\x9c\x03\x00\x00\x00\x00\x01"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Compressors are reused. What one call left must not show in the next.
func TestConcurrent(t *testing.T) {
	in := inputs()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := random(g)
			for range 30 {
				src := in[r.intn(len(in))].make()
				if len(src) > 70000 {
					continue
				}
				roundTrip(t, src, r.intn(10))
			}
		})
	}
	wg.Wait()
}

func roundTrip(t *testing.T, src []byte, level int) {
	packed := deflate.Append(nil, src, level)
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Errorf("level %d: %v", level, err)
		return
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, src) {
		t.Errorf("level %d: %d bytes came back as %d, error %v", level, len(src), len(got), err)
	}
}

func FuzzAppend(f *testing.F) {
	for _, in := range inputs() {
		if in.size < 5000 {
			f.Add(in.make(), 1+in.size%9)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, level int) {
		roundTrip(t, src, int(uint(level)%10))
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 10000, 300000} {
		src := input{"words", size}.make()
		for _, level := range []int{1, 6, 9} {
			b.Run(fmt.Sprintf("size=%d/level=%d", size, level), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				var dst []byte
				for b.Loop() {
					dst = deflate.Append(dst[:0], src, level)
				}
			})
		}
	}
}

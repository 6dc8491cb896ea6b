package shard

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

// What DiskCache 5.4 answers, for those who do not have it.
func TestHash(t *testing.T) {
	for _, c := range []struct {
		key  codec.Value
		hash int64
	}{
		{number(0), 0}, {number(1), 1}, {number(-1), 4294967294}, {number(-5), 4294967290},
		{codec.IntegerValue(1 << 40), 256}, {codec.IntegerValue(-1 << 40), 4294967039}, {codec.IntegerValue(math.MaxInt64), 2147483647}, {codec.IntegerValue(math.MinInt64), 2147483647},
		{codec.IntegerValue(0xFFFFFFFF), 0}, {codec.IntegerValue(-0xFFFFFFFF), 0},
		{codec.RealValue(1), 143655216}, {codec.RealValue(2.5), 35913797}, {codec.RealValue(0), 524289},
		{codec.RealValue(math.Copysign(0, -1)), 67633281}, {codec.RealValue(math.Inf(1)), 177209712},
		{text("a"), 6422626}, {text(""), 1}, {text("日"), 76022307}, {codec.BlobValue([]byte("a")), 6422626}, {codec.BlobValue(nil), 1},
	} {
		for _, n := range []int{1, 2, 3, 7, 8, 16, 1000} {
			if got := Of(c.key, n); got != int(c.hash%int64(n)) {
				t.Errorf("%v of %d shards: %d, want %d", show1(c.key), n, got, int(c.hash%int64(n)))
			}
		}
	}
}

// script prints the hash of each line: a kind and the key.
const script = `
import sys, struct, diskcache, tempfile, shutil
d = tempfile.mkdtemp()
h = diskcache.Disk(d).hash
for line in sys.stdin:
    kind, _, key = line.rstrip("\n").partition(" ")
    key = {"i": int, "r": lambda s: struct.unpack(">d", bytes.fromhex(s))[0], "t": lambda s: bytes.fromhex(s).decode(), "b": bytes.fromhex}[kind](key)
    print(h(key))
shutil.rmtree(d)
`

func TestHashIsPythons(t *testing.T) {
	cmd := exec.Command("/usr/bin/python3", "-c", script)
	var keys []codec.Value
	var in strings.Builder
	add := func(k codec.Value) {
		keys = append(keys, k)
		switch k.Kind() {
		case codec.Integer:
			fmt.Fprintf(&in, "i %d\n", k.Integer())
		case codec.Real:
			fmt.Fprintf(&in, "r %016x\n", math.Float64bits(k.Real()))
		case codec.Text:
			fmt.Fprintf(&in, "t %s\n", hex.EncodeToString([]byte(k.Text())))
		default:
			fmt.Fprintf(&in, "b %s\n", hex.EncodeToString(k.Blob()))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		add(codec.IntegerValue(int64(r.Uint64() >> (i % 64))))
		add(codec.IntegerValue(-int64(r.Uint64() >> (1 + i%63))))
		if f := math.Float64frombits(r.Uint64()); f == f {
			add(codec.RealValue(f))
		}
		add(codec.RealValue(float64(i)))
		b := make([]byte, r.IntN(3*i+1))
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		add(codec.BlobValue(b))
		add(text(strings.ToValidUTF8(string(b), "ü")))
	}
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("Python's diskcache is not installed: %v", err)
	}
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	for _, k := range keys {
		lines.Scan()
		var h int64
		if _, err := fmt.Sscan(lines.Text(), &h); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{2, 3, 8, 100} {
			if got := Of(k, n); got != int(h%int64(n)) {
				t.Errorf("%s of %d shards: %d, in Python %d", show1(k), n, got, h%int64(n))
			}
		}
	}
}

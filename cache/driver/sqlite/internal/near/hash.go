package near

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"

	"github.com/go-diskcache/diskcache/codec"
)

// Constants with as many ones as zeros, from the digits of pi.
const (
	seed  = 0x243f6a8885a308d3
	prime = 0x9e3779b97f4a7c15
)

// mix is the folded 128-bit product that wyhash and its kin are made of
// (Wang Yi et al., "Modern Non-Cryptographic Hash Function and Pseudorandom
// Number Generator").
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Hash returns the hash of a key of a collection, the same in all processes.
// Keys that are equal, as 1 and 1.0 are, have equal hashes.
func Hash(collection int64, key codec.Value) uint64 {
	h := mix(uint64(collection)^seed, prime)
	switch key.Kind() {
	case codec.Integer:
		return number(h, key.Integer())
	case codec.Real:
		f := key.Real()
		if f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
			return number(h, int64(f))
		}
		return number(h^2, int64(math.Float64bits(f)))
	case codec.Text:
		return hashString(h^3, key.Text())
	case codec.Blob:
		b := key.Blob()
		return hashString(h^4, unsafe.String(unsafe.SliceData(b), len(b)))
	}
	return h
}

// number ends the hash of a number, hashString that of a text or a blob.
func number(h uint64, i int64) uint64 {
	h = mix(h^uint64(i), prime^1)
	return h ^ h>>32
}

func hashString(h uint64, s string) uint64 {
	h ^= uint64(len(s)) * prime
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for len(b) >= 8 {
		h = mix(h^binary.LittleEndian.Uint64(b), prime)
		b = b[8:]
	}
	var last [8]byte
	copy(last[:], b)
	h = mix(h^binary.LittleEndian.Uint64(last[:]), seed)
	return h ^ h>>32
}

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
	hashSeed  = 0x243f6a8885a308d3
	hashPrime = 0x9e3779b97f4a7c15
)

// foldedProduct is the folded 128-bit product that wyhash and its kin are made of
// (Wang Yi et al., "Modern Non-Cryptographic Hash Function and Pseudorandom
// Number Generator").
func foldedProduct(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Hash returns the hash of a key of a collection, the same in all processes.
// Keys that are equal, as 1 and 1.0 are, have equal hashes.
func Hash(collection int64, key codec.Value) uint64 {
	h := foldedProduct(uint64(collection)^hashSeed, hashPrime)
	switch key.Kind() {
	case codec.Integer:
		return hashInteger(h, key.Integer())
	case codec.Real:
		f := key.Real()
		if f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
			return hashInteger(h, int64(f))
		}
		return hashInteger(h^2, int64(math.Float64bits(f)))
	case codec.Text:
		return hashString(h^3, key.Text())
	case codec.Blob:
		b := key.Blob()
		return hashString(h^4, unsafe.String(unsafe.SliceData(b), len(b)))
	}
	return h
}

// hashInteger ends the hash of a number, hashString that of a text or a blob.
func hashInteger(h uint64, i int64) uint64 {
	h = foldedProduct(h^uint64(i), hashPrime^1)
	return h ^ h>>32
}

func hashString(h uint64, s string) uint64 {
	h ^= uint64(len(s)) * hashPrime
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for len(b) >= 8 {
		h = foldedProduct(h^binary.LittleEndian.Uint64(b), hashPrime)
		b = b[8:]
	}
	var last [8]byte
	copy(last[:], b)
	h = foldedProduct(h^binary.LittleEndian.Uint64(last[:]), hashSeed)
	return h ^ h>>32
}

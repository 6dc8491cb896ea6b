package shard

import (
	"encoding/binary"
	"hash/adler32"
	"math"

	"github.com/go-diskcache/diskcache/codec"
)

// mask is what DiskCache divides integers by.
const mask = 0xFFFFFFFF

// Of returns the shard, of n, that a key belongs to: DiskCache's hash, modulo
// n.
func Of(key codec.Value, n int) int {
	if n == 1 {
		return 0
	}
	var h int64
	switch key.Kind() {
	case codec.Integer:
		h = key.Integer() % mask
		if h < 0 { // Python's remainder has the sign of the divisor
			h += mask
		}
	case codec.Real:
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], math.Float64bits(key.Real()))
		h = int64(adler32.Checksum(b[:]))
	case codec.Text:
		h = int64(adler32.Checksum([]byte(key.Text())))
	default:
		h = int64(adler32.Checksum(key.Blob()))
	}
	return int(h % int64(n))
}

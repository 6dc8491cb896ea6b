package postgres

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/go-diskcache/diskcache/codec"
)

// keyPart is the longest beginning of a key that is in an index, whose entries may
// have some 2,700 bytes.
const keyPart = 1024

// key is a key as its columns have it.
type key struct {
	k, h, rest []byte
}

// none stands for an empty column: a nil slice would be NULL.
var none = []byte{}

func keyOf(v codec.Value) key {
	b := codec.AppendOrdered(make([]byte, 0, 16+v.Len()), v)
	if len(b) <= keyPart {
		return key{b, none, none}
	}
	h := sha256.Sum256(b[keyPart:])
	return key{b[:keyPart], h[:], b[keyPart:]}
}

// decodeKey returns the key that is kept as k and rest, in the kind that it was given
// in. It shares no memory with them.
func decodeKey(k, rest []byte, kind codec.Kind) (codec.Value, error) {
	b := make([]byte, 0, len(k)+len(rest))
	return decodeOrdered(append(append(b, k...), rest...), kind)
}

// decodeOrdered reads a value that is kept in its ordered encoding, which does not tell
// 1 from 1.0.
func decodeOrdered(b []byte, kind codec.Kind) (codec.Value, error) {
	v, _, err := codec.CutOrdered(b)
	if err == nil && kind == codec.Real && v.Kind() == codec.Integer {
		v = codec.RealValue(float64(v.Integer()))
	}
	return v, err
}

// tagOf returns the columns of a tag: NULL for none.
func tagOf(v codec.Value) (tag []byte, hash any) {
	if v.IsNull() {
		return nil, nil
	}
	tag = codec.AppendOrdered(nil, v)
	sum := sha256.Sum256(tag)
	return tag, int64(binary.BigEndian.Uint64(sum[:]))
}

// size returns the bytes of an encoded value.
func size(v codec.Value) int64 {
	if k := v.Kind(); k == codec.Integer || k == codec.Real {
		return 8
	}
	return int64(v.Len())
}

// overhead is what a row weighs beside its contents.
const overhead = 64

package codec

import (
	"encoding/binary"
	"math"
)

type signed interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64
}

type unsigned interface {
	~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// Int returns the codec of the signed integer types, named "int". It writes
// integers. Decode also takes a real without a fraction, since 1 and 1.0 are
// the same key, and fails for a number that T cannot hold.
func Int[T ~int | ~int8 | ~int16 | ~int32 | ~int64]() Codec[T] { return intCodec[T]{} }

type intCodec[T signed] struct{ pure }

func (intCodec[T]) Name() string { return "int" }

func (intCodec[T]) Encode(v T) (Value, error) { return IntegerValue(int64(v)), nil }

func (c intCodec[T]) Decode(enc Value) (T, error) {
	i, err := integerOf(enc)
	if err == nil && int64(T(i)) != i {
		err = outOfRange
	}
	if err != nil {
		return 0, decodeError(c.Name(), enc, err)
	}
	return T(i), nil
}

// Uint returns the codec of the unsigned integer types, named "uint". It
// writes integers up to math.MaxInt64, the largest that a database holds,
// and larger numbers as blobs of eight big-endian bytes, which sort after all
// integers: the order is kept. Decode also takes a real without a fraction,
// and fails for a number that T cannot hold.
func Uint[T ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr]() Codec[T] {
	return uintCodec[T]{}
}

type uintCodec[T unsigned] struct{ pure }

func (uintCodec[T]) Name() string { return "uint" }

func (uintCodec[T]) Encode(v T) (Value, error) {
	if uint64(v) <= math.MaxInt64 {
		return IntegerValue(int64(v)), nil
	}
	return BlobValue(binary.BigEndian.AppendUint64(nil, uint64(v))), nil
}

func (c uintCodec[T]) Decode(enc Value) (T, error) {
	u, err := unsignedOf(enc)
	if err == nil && uint64(T(u)) != u {
		err = outOfRange
	}
	if err != nil {
		return 0, decodeError(c.Name(), enc, err)
	}
	return T(u), nil
}

func integerOf(enc Value) (int64, error) {
	switch enc.kind {
	case Integer:
		return enc.Integer(), nil
	case Real:
		// The bounds come first: the conversion of a float that an int64
		// cannot hold differs from machine to machine.
		f := enc.Real()
		if f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
			return int64(f), nil
		}
		return 0, outOfRange
	}
	return 0, wrongKind
}

func unsignedOf(enc Value) (uint64, error) {
	if enc.kind == Blob {
		if len(enc.Blob()) != 8 {
			return 0, malformed
		}
		u := binary.BigEndian.Uint64(enc.Blob())
		if u <= math.MaxInt64 { // has another encoding
			return 0, malformed
		}
		return u, nil
	}
	i, err := integerOf(enc)
	if err == nil && i < 0 {
		err = outOfRange
	}
	return uint64(i), err
}

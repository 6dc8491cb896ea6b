package codec

import "encoding"

// TextMarshaler returns the codec, named "text", of types that write
// themselves as text, such as netip.Addr. T is the type itself, whether its
// methods have value or pointer receivers, and is all that a call spells out:
//
//	codec.TextMarshaler[netip.Addr]()
//
// Values are ordered by their text, which need not be T's own order. For
// keys, MarshalText must write equal values equally. Decode takes text and
// blobs.
func TextMarshaler[T any, P interface {
	*T
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}]() Codec[T] {
	return textCodec[T]{}
}

// textCodec has no P, since Default knows only T. Its callers see to it that
// the assertions hold.
type textCodec[T any] struct{}

func (textCodec[T]) Name() string { return "text" }

func (c textCodec[T]) Encode(v T) (Value, error) {
	b, err := any(&v).(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return Value{}, encodeError(c.Name(), err)
	}
	return stringCodec[string]{}.Encode(string(b))
}

func (c textCodec[T]) Decode(enc Value) (T, error) {
	var v, zero T
	s, ok := textOf(enc)
	if !ok {
		return zero, decodeError(c.Name(), enc, wrongKind)
	}
	// A copy, since UnmarshalText may write to what it is given.
	if err := any(&v).(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		return zero, decodeError(c.Name(), enc, err)
	}
	return v, nil
}

// BinaryMarshaler returns the codec, named "binary", of types that write
// themselves as bytes, such as url.URL. T is the type itself, as in
// [TextMarshaler].
//
// Values are ordered by their bytes, which need not be T's own order. For
// keys, MarshalBinary must write equal values equally. Decode takes blobs.
func BinaryMarshaler[T any, P interface {
	*T
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}]() Codec[T] {
	return binaryCodec[T, P]{}
}

type binaryCodec[T any, P interface {
	*T
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}] struct{}

func (binaryCodec[T, P]) Name() string { return "binary" }

func (c binaryCodec[T, P]) Encode(v T) (Value, error) {
	b, err := P(&v).MarshalBinary()
	if err != nil {
		return Value{}, encodeError(c.Name(), err)
	}
	return BlobValue(b), nil
}

func (c binaryCodec[T, P]) Decode(enc Value) (T, error) {
	var v, zero T
	if enc.kind != Blob {
		return zero, decodeError(c.Name(), enc, wrongKind)
	}
	if err := P(&v).UnmarshalBinary(append([]byte{}, enc.Blob()...)); err != nil {
		return zero, decodeError(c.Name(), enc, err)
	}
	return v, nil
}

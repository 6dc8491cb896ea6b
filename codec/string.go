package codec

import (
	"unicode/utf8"
	"unsafe"
)

// String returns the codec of strings, named "string". It writes text, which
// sorts as Go sorts strings. Neither direction allocates.
//
// A string that is not valid UTF-8 is written as a blob, because other
// programs fail on invalid text. It still round-trips, but sorts after all
// valid strings. Decode takes text and blobs.
func String[T ~string]() Codec[T] { return stringCodec[T]{} }

type stringCodec[T ~string] struct{ pure }

func (stringCodec[T]) Name() string { return "string" }

func (stringCodec[T]) Encode(v T) (Value, error) {
	if s := string(v); utf8.ValidString(s) {
		return TextValue(s), nil
	}
	return BlobValue([]byte(v)), nil
}

func (c stringCodec[T]) Decode(enc Value) (T, error) {
	s, ok := textOf(enc)
	if !ok {
		return "", decodeError(c.Name(), enc, wrongKind)
	}
	return T(s), nil
}

// textOf returns the bytes of a text or a blob as a string, without a copy.
// Sharing is safe, since nobody changes the bytes behind a Value.
func textOf(enc Value) (s string, ok bool) {
	if enc.kind != Text && enc.kind != Blob {
		return "", false
	}
	return unsafe.String(enc.bytes, enc.num), true
}

// bytesOf is textOf as a byte slice, for functions that only read it.
func bytesOf(enc Value) (b []byte, ok bool) {
	if enc.kind != Text && enc.kind != Blob {
		return nil, false
	}
	return unsafe.Slice(enc.bytes, enc.num), true
}

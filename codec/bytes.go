package codec

// Bytes returns the codec of byte slices, named "bytes". It writes blobs,
// which sort as bytes.Compare does. Neither direction allocates: Encode's
// Value shares the slice's memory, and so does the slice that Decode returns.
//
// Nil and an empty slice are both the empty blob, which decodes to an empty
// slice that is not nil. Text is not taken for bytes, since a text and a blob
// are different keys.
func Bytes[T ~[]byte]() Codec[T] { return bytesCodec[T]{} }

type bytesCodec[T ~[]byte] struct{ pure }

func (bytesCodec[T]) Name() string { return "bytes" }

func (bytesCodec[T]) Encode(v T) (Value, error) { return BlobValue(v), nil }

func (c bytesCodec[T]) Decode(enc Value) (T, error) {
	if enc.kind != Blob {
		return nil, decodeError(c.Name(), enc, wrongKind)
	}
	if enc.bytes == nil {
		return T{}, nil
	}
	return T(enc.Blob()), nil
}

package codec

// Location is where a value is stored.
type Location struct {
	Collection string // its full name, as cache.Cache.Name returns it
	Key        Value  // of the entry; Null if it is not known when the value is encoded
}

// Located is an optional interface of a [Codec] whose encodings depend on where
// they are stored, so that nobody can move them. [Seal] is one. Collections
// use these methods for their values where there are any. The methods of Codec
// are for the zero Location. A codec that wraps a Located one should be Located,
// too, and hand the Location on, as [Zlib] does.
//
// A value that was encoded with a Key is decoded with an equal one. One that
// was encoded without is decoded with any.
type Located[T any] interface {
	Codec[T]

	// EncodeAt is Encode for a value that will be stored at a location.
	EncodeAt(v T, at Location) (Value, error)

	// DecodeAt is Decode for a value that was found at a location.
	DecodeAt(enc Value, at Location) (T, error)
}

// encodeAt encodes v for a location, if c wants to know it.
func encodeAt[T any](c Codec[T], v T, at Location) (Value, error) {
	if c, ok := c.(Located[T]); ok {
		return c.EncodeAt(v, at)
	}
	return c.Encode(v)
}

// decodeAt is the inverse of encodeAt.
func decodeAt[T any](c Codec[T], enc Value, at Location) (T, error) {
	if c, ok := c.(Located[T]); ok {
		return c.DecodeAt(enc, at)
	}
	return c.Decode(enc)
}

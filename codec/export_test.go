package codec

// ZlibWithLimit is Zlib with another limit than MaxLen.
func ZlibWithLimit[T any](inner Codec[T], level, limit int) Codec[T] {
	c := Zlib(inner, level).(*zlibCodec[T])
	c.max = limit
	return c
}

package codec

// Bool returns the codec of booleans, named "bool". It writes the integers 0
// and 1, so false sorts before true. Decode also takes the reals 0 and 1, and
// no other number.
func Bool[T ~bool]() Codec[T] { return boolCodec[T]{} }

type boolCodec[T ~bool] struct{ pure }

func (boolCodec[T]) Name() string { return "bool" }

func (boolCodec[T]) Encode(v T) (Value, error) {
	if v {
		return IntegerValue(1), nil
	}
	return IntegerValue(0), nil
}

func (c boolCodec[T]) Decode(enc Value) (T, error) {
	i, err := integerOf(enc)
	if err == nil && i != 0 && i != 1 {
		err = outOfRange
	}
	if err != nil {
		return false, decodeError(c.Name(), enc, err)
	}
	return i == 1, nil
}

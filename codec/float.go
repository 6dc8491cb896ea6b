package codec

import "math"

// Float returns the codec of the floating-point types, named "float". It
// writes reals, and a float32 exactly. NaN becomes null, as in SQLite and in
// Python, and null decodes to NaN; it sorts before all numbers. -0 and 0 are
// equal keys.
//
// Decode rounds a number that T cannot hold exactly, such as a large integer
// or, for a float32, 0.1 that a Python program wrote. It fails if a finite
// number would become infinite.
func Float[T ~float32 | ~float64]() Codec[T] { return floatCodec[T]{} }

type floatCodec[T ~float32 | ~float64] struct{ pure }

func (floatCodec[T]) Name() string { return "float" }

func (floatCodec[T]) Encode(v T) (Value, error) { return RealValue(float64(v)), nil }

func (c floatCodec[T]) Decode(enc Value) (T, error) {
	switch enc.kind {
	case Real:
		f := enc.Real()
		if math.IsInf(float64(T(f)), 0) && !math.IsInf(f, 0) {
			return 0, decodeError(c.Name(), enc, outOfRange)
		}
		return T(f), nil
	case Integer:
		return T(enc.Integer()), nil
	case Null:
		return T(math.NaN()), nil
	}
	return 0, decodeError(c.Name(), enc, wrongKind)
}

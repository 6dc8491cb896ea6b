package codec

import (
	"encoding"
	"encoding/json"
	"reflect"
	"time"
	"unsafe"
)

// Default returns the codec that fits T, the first of:
//
//   - T is, or is defined as, a basic type: [String], [Bytes], [Int], [Uint],
//     [Float] or [Bool]. Methods of T do not matter. "type Celsius float64"
//     is a real, "type ID string" a text.
//   - T is time.Time or defined as it: [Time].
//   - T is a [Pair] or a [Triple]: [Tuple2] or [Tuple3] of what Default returns
//     for the parts.
//   - T writes itself as text and JSON would use that text: *T has the
//     methods of encoding.TextMarshaler and encoding.TextUnmarshaler, and not
//     those of json.Marshaler or json.Unmarshaler. The codec is
//     [TextMarshaler]; netip.Addr is an example.
//   - Everything else, pointers and interfaces included: [JSON].
//
// The choice is made here, once; encoding and decoding look no types up
// except where JSON does.
func Default[T any]() Codec[T] {
	t := reflect.TypeFor[T]()
	switch t.Kind() {
	case reflect.String:
		return as[T](String[string]())
	case reflect.Bool:
		return as[T](Bool[bool]())
	case reflect.Int:
		return as[T](Int[int]())
	case reflect.Int8:
		return as[T](Int[int8]())
	case reflect.Int16:
		return as[T](Int[int16]())
	case reflect.Int32:
		return as[T](Int[int32]())
	case reflect.Int64:
		return as[T](Int[int64]())
	case reflect.Uint:
		return as[T](Uint[uint]())
	case reflect.Uint8:
		return as[T](Uint[uint8]())
	case reflect.Uint16:
		return as[T](Uint[uint16]())
	case reflect.Uint32:
		return as[T](Uint[uint32]())
	case reflect.Uint64:
		return as[T](Uint[uint64]())
	case reflect.Uintptr:
		return as[T](Uint[uintptr]())
	case reflect.Float32:
		return as[T](Float[float32]())
	case reflect.Float64:
		return as[T](Float[float64]())
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[byte]() {
			return as[T](Bytes[[]byte]())
		}
	case reflect.Struct:
		var zero T
		if composite, ok := any(zero).(interface{ defaultCodec() any }); ok {
			return composite.defaultCodec().(Codec[T])
		}
		if t.ConvertibleTo(reflect.TypeFor[time.Time]()) {
			return as[T](Time())
		}
	}
	if p := reflect.PointerTo(t); p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) &&
		p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) &&
		!p.Implements(reflect.TypeFor[json.Marshaler]()) &&
		!p.Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return textCodec[T]{}
	}
	return JSON[T]()
}

// as returns c, which is pure, as a codec of T. U must be T's underlying type, or both be
// defined as the same type.
func as[T, U any](c Codec[U]) Codec[T] {
	if same, ok := c.(Codec[T]); ok {
		return same
	}
	return underlying[T, U]{c: c}
}

// underlying is a codec of T by way of U, a type of the same representation.
// The conversions of a generic T to its underlying type that the language
// has need a constraint, which Default cannot put on its T; unsafe ones are
// right for exactly the types that the language would convert.
type underlying[T, U any] struct {
	pure
	c Codec[U]
}

func (u underlying[T, U]) Name() string { return u.c.Name() }

func (u underlying[T, U]) Encode(v T) (Value, error) {
	return u.c.Encode(*(*U)(unsafe.Pointer(&v)))
}

func (u underlying[T, U]) Decode(enc Value) (T, error) {
	v, err := u.c.Decode(enc)
	return *(*T)(unsafe.Pointer(&v)), err
}

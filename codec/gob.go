package codec

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
)

// Gob returns the codec, named "gob", that writes a value as a stream of
// encoding/gob: a blob that describes the type and then holds the value. It
// suits types that JSON cannot write, such as maps with struct keys, and data
// that is much larger as JSON. Gob does not write what is zero, so a field
// that points to a zero, or holds an empty slice, comes back nil. A T that is
// a nil pointer or a nil interface is an error.
//
// Gob cannot encode keys: the bytes depend on which types the process has
// encoded before and on the order of maps. Nor do they have an order.
//
// Decode first reads the data with limits that encoding/gob does not have, so
// that no data ends the process: values may be nested 10,000 deep, and there must
// be as many elements as a length says. What is allocated grows with the data,
// at most by the size of the largest type within T for each byte. Encode
// fails for what Decode would not take. That includes interface values, where the
// data would choose the type, but for fields that are nil. A type with such values
// can have the methods that [BinaryMarshaler] asks for; Gob uses them.
func Gob[T any]() Codec[T] {
	t := reflect.TypeFor[T]()
	return gobCodec[T]{nilable: t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface}
}

type gobCodec[T any] struct {
	nilable bool // T is a pointer or an interface
}

func (gobCodec[T]) Name() string { return "gob" }

func (gobCodec[T]) Unkeyable() string { return "equal values do not have equal gobs" }

func (c gobCodec[T]) Encode(v T) (enc Value, err error) {
	if c.nilable && endsInNil(reflect.ValueOf(&v).Elem()) {
		return Value{}, encodeError(c.Name(), reason("nil has no gob"))
	}
	// gob panics for a nil pointer within.
	defer func() {
		if p := recover(); p != nil {
			enc, err = Value{}, encodeError(c.Name(), recovered(p))
		}
	}()
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(&v); err != nil {
		return Value{}, encodeError(c.Name(), err)
	}
	if err := checkGob(buf.Bytes()); err != nil {
		return Value{}, encodeError(c.Name(), err)
	}
	return BlobValue(buf.Bytes()), nil
}

func (c gobCodec[T]) Decode(enc Value) (v T, err error) {
	var zero T
	if enc.kind != Blob {
		return zero, decodeError(c.Name(), enc, wrongKind)
	}
	defer func() {
		if p := recover(); p != nil {
			v, err = zero, decodeError(c.Name(), enc, recovered(p))
		}
	}()
	if err := checkGob(enc.Blob()); err != nil {
		return zero, decodeError(c.Name(), enc, err)
	}
	if err := gob.NewDecoder(bytes.NewReader(enc.Blob())).Decode(&v); err != nil {
		return zero, decodeError(c.Name(), enc, joined{malformed, err})
	}
	return v, nil
}

func recovered(p any) error {
	if err, ok := p.(error); ok {
		return err
	}
	return fmt.Errorf("panic: %v", p)
}

func endsInNil(v reflect.Value) bool {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return true
		}
		v = v.Elem()
	}
	return false
}

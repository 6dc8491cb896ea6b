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
// that is much larger as JSON. Concrete types of interface values must be
// registered with gob.Register. Gob does not write what is zero, so a field
// that points to a zero, or holds an empty slice, comes back nil. A T that is
// a nil pointer or a nil interface is an error.
//
// Gob cannot encode keys: the bytes depend on which types the process has
// encoded before and on the order of maps. Nor do they have an order.
//
// Decode checks the lengths of maps before it allocates them, which
// encoding/gob does not. It cannot look into interface values: where strangers
// can write to the store, do not use Gob for types with interfaces that hold
// maps, or wrap it in [Seal].
func Gob[T any]() Codec[T] {
	t := reflect.TypeFor[T]()
	return gobCodec[T]{
		nilable: t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface,
		check:   reachesMap(t, map[reflect.Type]bool{}),
	}
}

type gobCodec[T any] struct {
	nilable bool // T is a pointer or an interface
	check   bool // T has maps
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
	if c.check {
		// Discarding a value reads all of it and allocates none of it, so
		// that a map of a billion entries that are not there fails here.
		if err := readGob(enc.Blob(), nil); err != nil {
			return zero, decodeError(c.Name(), enc, err)
		}
	}
	if err := readGob(enc.Blob(), &v); err != nil {
		return zero, decodeError(c.Name(), enc, err)
	}
	return v, nil
}

func readGob(b []byte, into any) error {
	r := bytes.NewReader(b)
	if err := gob.NewDecoder(r).Decode(into); err != nil {
		return joined{malformed, err}
	}
	if r.Len() > 0 {
		return malformed
	}
	return nil
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

func reachesMap(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Map:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return reachesMap(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if reachesMap(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

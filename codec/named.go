package codec

// Named returns inner under a name of the user's own: name + "(" + inner's name
// + ")", such as "page/v2(json)". It stores what inner stores. Named panics if
// name is empty.
//
// Two structs have the same codec, "json", so that a collection of one opens as
// a collection of the other, and reads as zero values. With a name for the type,
// a collection opens with that name only. Change the name, "page/v1" to
// "page/v2", when the meaning of what is stored changes.
//
// Where inner depends on where a value is stored ([Located]), or its keys have
// beginnings ([Prefixer]), so does the codec that Named returns.
func Named[T any](name string, inner Codec[T]) Codec[T] {
	if name == "" {
		panic("codec: Named without a name")
	}
	n := named[T]{inner, name + "(" + inner.Name() + ")"}
	switch c := inner.(type) {
	case Located[T]:
		return namedLocated[T]{n, c}
	case Prefixer[T]:
		return namedPrefixer[T]{n, c}
	case interface{ Pure() }:
		return namedPure[T]{named: n}
	}
	return n
}

type named[T any] struct {
	inner Codec[T]
	name  string
}

func (c named[T]) Name() string                { return c.name }
func (c named[T]) Unkeyable() string           { return unkeyable(c.inner) }
func (c named[T]) Encode(v T) (Value, error)   { return c.inner.Encode(v) }
func (c named[T]) Decode(enc Value) (T, error) { return c.inner.Decode(enc) }

type namedLocated[T any] struct {
	named[T]
	located Located[T]
}

func (c namedLocated[T]) EncodeAt(v T, at Location) (Value, error) {
	return c.located.EncodeAt(v, at)
}

func (c namedLocated[T]) DecodeAt(enc Value, at Location) (T, error) {
	return c.located.DecodeAt(enc, at)
}

type namedPrefixer[T any] struct {
	named[T]
	prefixer Prefixer[T]
}

func (c namedPrefixer[T]) EncodePrefix(v T) (prefix []byte, whole bool, err error) {
	return c.prefixer.EncodePrefix(v)
}

type namedPure[T any] struct {
	named[T]
	pure
}

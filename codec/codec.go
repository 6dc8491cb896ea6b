// Package codec turns Go values into the four things that SQLite stores -
// integer, real, text, blob - and back.
//
// A collection has one codec for its keys and one for its values, chosen
// once, when it is opened. [Default] picks a native codec for Go's basic
// types, so that other programs (Python's DiskCache, the sqlite3 shell) read
// the same data, and JSON for everything else.
//
// # Choosing a codec
//
// [String], [Bytes], [Int], [Uint], [Float], [Bool] and [Time] store a value
// as the database's own type and keep its order. [TextMarshaler],
// [BinaryMarshaler], [JSON] and [Gob] store what a type's methods or its
// fields say. [Zlib] and [Seal] wrap another codec, to compress and to
// encrypt; to do both, compress first: Seal(Zlib(JSON[T](), 1), key). [Tuple2] and
// [Tuple3] make composite keys that sort by their parts, and [Desc] turns the order of
// a codec round.
//
// # When a type changes
//
// A collection opens with codecs of the names that it was made with. [JSON] has one
// name for all types: [Named] tells apart types, and versions of a type.
// [StrictJSON] fails where it would skip what was stored.
//
// All codecs of this package may be used by many goroutines at once.
package codec

import "errors"

// Codec turns values of type T into a [Value] and back. Implementations must
// be safe for concurrent use and keep these laws:
//
//   - round trip: Decode(Encode(v)) equals v;
//   - equal values encode to equal Values ([Equal]), unless the codec says
//     otherwise with an Unkeyable method (see [Keyable]);
//   - where T has an order and the codec's documentation does not say
//     otherwise, [Compare] of two encoded values agrees with it;
//   - Decode never panics, whatever its input, and allocates in proportion
//     to it.
//
// Codecs fail with an [*EncodeError] or a [*DecodeError], whose messages do
// not contain the value.
type Codec[T any] interface {
	// Name is stored with a collection. Opening the collection with a codec
	// of another name fails, so a Name must not change while stored data
	// lives, and must change when the encoding does.
	Name() string

	// Encode returns v's encoding. The Value may share memory with v.
	Encode(v T) (Value, error)

	// Decode is the inverse of Encode. It owns enc's memory and may keep it,
	// but does not change it.
	Decode(enc Value) (T, error)
}

// pure is embedded by the codecs that run no code but their own, look nothing up and
// do little. A collection may call them where a user's code must not run: in a
// transaction that other goroutines wait for.
type pure struct{}

func (pure) Pure() {}

// Keyable returns nil if c may encode keys, and otherwise an error that says
// why not. Keys are looked up by their encoding, so equal keys must encode
// equally, in every process and every time.
//
// A codec that cannot promise that has a method
//
//	Unkeyable() string
//
// that returns the reason. A codec without the method, or whose method
// returns "", is keyable. Of this package, [Gob] and [Seal] are not, and
// [Zlib] is if the codec inside it is.
func Keyable[T any](c Codec[T]) error {
	why := unkeyable(c)
	if why == "" {
		return nil
	}
	return errors.New("codec: " + c.Name() + " cannot encode keys: " + why)
}

func unkeyable[T any](c Codec[T]) string {
	if u, ok := c.(interface{ Unkeyable() string }); ok {
		return u.Unkeyable()
	}
	return ""
}

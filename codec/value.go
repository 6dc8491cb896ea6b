package codec

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// Kind is one of SQLite's storage classes.
type Kind uint8

// The storage classes in database order: every Null sorts before every
// number, every number before every text, every text before every blob.
// Integers and reals sort together, by their numeric value.
const (
	Null Kind = iota
	Integer
	Real
	Text
	Blob
)

// String returns the name of k as SQLite's typeof function spells it.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Integer:
		return "integer"
	case Real:
		return "real"
	case Text:
		return "text"
	case Blob:
		return "blob"
	}
	return "unknown"
}

// Value is an encoded value: what a [Codec] makes of a Go value and what an
// engine stores. The zero Value is Null.
//
// A Value shares memory with what it was made from. Whoever is handed one
// must not change the bytes behind it. Values are compared by [Equal] and
// [Compare], not by reflect.DeepEqual.
type Value struct {
	_ [0]func() // not comparable by ==

	// Every read hands a Value on several times, so it is small: bytes points
	// at the first of num bytes of a Text or a Blob.
	bytes *byte
	num   uint64
	kind  Kind
}

// IntegerValue returns a Value of kind Integer.
func IntegerValue(i int64) Value { return Value{kind: Integer, num: uint64(i)} }

// RealValue returns a Value of kind Real. SQLite has no NaN and stores it as
// NULL, so RealValue(NaN) is the Null value.
func RealValue(f float64) Value {
	if f != f {
		return Value{}
	}
	return Value{kind: Real, num: math.Float64bits(f)}
}

// TextValue returns a Value of kind Text. Text that other programs are to
// read must be valid UTF-8.
func TextValue(s string) Value {
	return Value{kind: Text, bytes: unsafe.StringData(s), num: uint64(len(s))}
}

// BlobValue returns a Value of kind Blob that shares b's memory. A nil b is
// an empty blob.
func BlobValue(b []byte) Value {
	return Value{kind: Blob, bytes: unsafe.SliceData(b), num: uint64(len(b))}
}

// Kind returns v's storage class.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is the Null value.
func (v Value) IsNull() bool { return v.kind == Null }

// Integer returns the number of an Integer value and 0 for every other kind.
func (v Value) Integer() int64 {
	if v.kind != Integer {
		return 0
	}
	return int64(v.num)
}

// Real returns the number of a Real value and 0 for every other kind.
func (v Value) Real() float64 {
	if v.kind != Real {
		return 0
	}
	return math.Float64frombits(v.num)
}

// Text returns the string of a Text value and "" for every other kind.
func (v Value) Text() string {
	if v.kind != Text {
		return ""
	}
	return unsafe.String(v.bytes, v.num)
}

// Blob returns the bytes of a Blob value, sharing its memory, and nil for
// every other kind.
func (v Value) Blob() []byte {
	if v.kind != Blob {
		return nil
	}
	return unsafe.Slice(v.bytes, v.num)
}

// Len returns the number of bytes of a text or a blob, and 0 for the rest.
func (v Value) Len() int {
	if v.kind != Text && v.kind != Blob {
		return 0
	}
	return int(v.num)
}

// Clone returns a copy of v that shares no memory with it.
func (v Value) Clone() Value {
	switch v.kind {
	case Text:
		return TextValue(strings.Clone(v.Text()))
	case Blob:
		return BlobValue(append([]byte{}, v.Blob()...))
	}
	return v
}

// String returns v as a literal of SQL, for people to read: NULL, 1, 1.5, 'text'
// or X'00FF'.
func (v Value) String() string {
	switch v.kind {
	case Integer:
		return strconv.FormatInt(v.Integer(), 10)
	case Real:
		return formatReal(v.Real())
	case Text:
		return "'" + strings.ReplaceAll(v.Text(), "'", "''") + "'"
	case Blob:
		return fmt.Sprintf("X'%X'", v.Blob())
	}
	return "NULL"
}

// formatReal writes a number so that it is a real when it is read.
func formatReal(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "9e999"
	case math.IsInf(f, -1):
		return "-9e999"
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// Equal reports whether a and b are the same key: 1 and 1.0 are equal, and
// so are 0.0 and -0.0; a text never equals a blob.
func Equal(a, b Value) bool { return Compare(a, b) == 0 }

// Compare orders values as SQLite does: by kind, numbers by exact numeric
// value, text and blobs byte by byte.
func Compare(a, b Value) int {
	if c := cmp.Compare(rank(a.kind), rank(b.kind)); c != 0 {
		return c
	}
	switch a.kind {
	case Integer:
		if b.kind == Integer {
			return cmp.Compare(int64(a.num), int64(b.num))
		}
		return compareIntReal(a.Integer(), b.Real())
	case Real:
		if b.kind == Real {
			return cmp.Compare(a.Real(), b.Real())
		}
		return -compareIntReal(b.Integer(), a.Real())
	case Text:
		return strings.Compare(a.Text(), b.Text())
	case Blob:
		return bytes.Compare(a.Blob(), b.Blob())
	}
	return 0
}

func rank(k Kind) int {
	if k == Integer {
		return int(Real)
	}
	return int(k)
}

// compareIntReal compares without rounding i, which float64(i) does beyond
// 2^53.
func compareIntReal(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return +1
	}
	whole := math.Trunc(f)
	if c := cmp.Compare(i, int64(whole)); c != 0 {
		return c
	}
	return cmp.Compare(whole, f)
}

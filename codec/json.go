package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"sync"
)

// JSON returns the codec, named "json", that writes values with
// encoding/json, as text. The bytes are those of Python's json.dumps with its
// defaults: a space after comma and colon, ASCII only, floats as Python
// prints them (1.0, 1e+16), no HTML escapes. Zlib(JSON[T](), 1) therefore
// reads and writes the keys and values of DiskCache's JSONDisk.
//
// Not as in Python are:
//
//   - the order of object members: struct fields come in Go's order and map
//     keys sorted, where Python has the order of insertion;
//   - a float without a fraction that is behind an interface type, such as
//     float64(1) in an any. It is written as 1, not 1.0, since Decode gives
//     floats for all of Python's numbers there, the integers included;
//   - numbers and escapes that a json.Marshaler, a json.RawMessage or a
//     json.Number brings along. They stay as they are.
//
// For keys, T should have one way to write each value, which holds for
// numbers, strings, structs, slices and maps.
//
// Encode fails where JSON would lose something without a word: for NaN and
// infinities, for strings that are not valid UTF-8, for structs that have
// fields but none that JSON can see, and if T is an interface with methods, such as
// error. Decode takes text and blobs, and all
// that encoding/json reads into a T, but for strings that Go would have to
// change: bytes that are not UTF-8, and halves of surrogate pairs ("\ud800"),
// which Python writes for such bytes in file names. NaN and Infinity, which Python
// writes too, are not JSON and fail. Both directions fail for values that are
// nested more than 10,000 deep. Numbers in an any become float64.
func JSON[T any]() Codec[T] { return newJSON[T](false) }

// StrictJSON is [JSON], but Decode fails for an object with a member for which the
// struct that it is read into has no field. JSON skips such a member: its value is
// lost without a word when what was read is written again. What is missing in an
// object reads as zero with both. A type's own UnmarshalJSON decides for itself.
//
// StrictJSON writes what JSON writes, and has its name, so that either may follow the
// other while data is stored.
func StrictJSON[T any]() Codec[T] { return newJSON[T](true) }

func newJSON[T any](strict bool) *jsonCodec[T] {
	c := &jsonCodec[T]{plan: newJSONPlan(reflect.TypeFor[T]()), strict: strict}
	switch t := reflect.TypeFor[T](); {
	case noVisibleField(t):
		c.unfit = "the type has no field that JSON can see"
	case t.Kind() == reflect.Interface && t.NumMethod() > 0:
		c.unfit = "the type is an interface with methods: JSON does not say which type to read into it"
	}
	return c
}

type jsonCodec[T any] struct {
	plan  *jsonPlan
	unfit reason // why no value of T can be written, or ""

	strict bool // members without a field are errors
}

func (*jsonCodec[T]) Name() string { return "json" }

func (c *jsonCodec[T]) Encode(v T) (Value, error) {
	if c.unfit != "" {
		return Value{}, encodeError(c.Name(), c.unfit)
	}
	s := jsonScratches.Get().(*jsonScratch)
	defer s.free()
	// By pointer, so that methods with pointer receivers are found.
	if err := s.enc.encode(&v); err != nil {
		return Value{}, encodeError(c.Name(), jsonEncodeReason(err))
	}
	text, err := pythonJSON(s.out[:0], s.buf.Bytes(), c.plan)
	s.out = text[:0]
	if err != nil {
		return Value{}, encodeError(c.Name(), err)
	}
	return TextValue(string(text)), nil
}

func (c *jsonCodec[T]) Decode(enc Value) (T, error) {
	var v, zero T
	b, ok := bytesOf(enc)
	if !ok {
		return zero, decodeError(c.Name(), enc, wrongKind)
	}
	if !isUnicode(b) {
		return zero, decodeError(c.Name(), enc, notUnicode)
	}
	var err error
	if c.strict {
		err = readStrictly(b, &v)
	} else {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		return zero, decodeError(c.Name(), enc, jsonDecodeReason(b, err))
	}
	return v, nil
}

// readStrictly is json.Unmarshal, but fails where an object has a member without a
// field.
func readStrictly[T any](b []byte, v *T) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	strict := d.Decode(v)
	if strict == nil && len(bytes.TrimLeft(b[d.InputOffset():], " \t\r\n")) == 0 {
		return nil
	}
	var lenient T
	if err := json.Unmarshal(b, &lenient); err != nil {
		return err // the Decoder's error for the same would have another text
	}
	return joined{noField, strict}
}

// jsonScratch is what one Encode needs besides its result.
type jsonScratch struct {
	buf bytes.Buffer
	enc jsonEncoder // writes to buf
	out []byte
}

var jsonScratches = sync.Pool{New: func() any {
	s := new(jsonScratch)
	s.enc = newJSONEncoder(&s.buf)
	return s
}}

// maxScratch keeps one large value from holding its memory for good.
const maxScratch = 256 << 10

func (s *jsonScratch) free() {
	if s.buf.Cap() > maxScratch || cap(s.out) > maxScratch {
		return
	}
	s.buf.Reset()
	jsonScratches.Put(s)
}

func jsonEncodeReason(err error) error {
	var value *json.UnsupportedValueError
	var typ *json.UnsupportedTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &value):
		if k := value.Value.Kind(); k == reflect.Float32 || k == reflect.Float64 {
			return joined{"JSON has no NaN and no infinity", err}
		}
		return joined{"it contains itself", err}
	case errors.As(err, &typ):
		return joined{reason("JSON cannot write a " + typ.Type.String()), err}
	case errors.As(err, &syntax):
		return joined{"a string is not valid UTF-8, a method wrote no JSON, or it is nested too deeply", err}
	}
	return err
}

// jsonDecodeReason tells what can be told without quoting the data, as the
// messages of encoding/json do.
func jsonDecodeReason(b []byte, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at := syntax.Offset
		if literalAt(b, at) {
			return joined{"NaN and Infinity are not JSON", err}
		}
		return joined{reason("not JSON at byte " + strconv.FormatInt(at, 10)), err}
	case errors.As(err, &typ):
		at := strconv.FormatInt(typ.Offset, 10)
		return joined{reason("does not fit a Go " + typ.Type.String() + " at byte " + at), err}
	}
	return err
}

// literalAt reports whether the byte that ended at offset at, where the
// syntax error is, begins one of the three literals of Python that are not
// JSON. In -Infinity the error is at the I.
func literalAt(b []byte, at int64) bool {
	if at < 1 || at > int64(len(b)) {
		return false
	}
	rest := b[at-1:]
	return bytes.HasPrefix(rest, []byte("NaN")) || bytes.HasPrefix(rest, []byte("Infinity"))
}

package codec

import "errors"

var (
	// ErrDecode is what every [*DecodeError] is, for errors.Is.
	ErrDecode = errors.New("codec: cannot decode")

	// ErrEncode is what every [*EncodeError] is, for errors.Is.
	ErrEncode = errors.New("codec: cannot encode")

	// ErrTooLarge means that a value is larger than a limit. Of this package
	// [Zlib] and [ZlibLimit] have one, for what is decompressed; it comes
	// inside a [*DecodeError] or an [*EncodeError] there.
	ErrTooLarge error = reason("larger than the limit")
)

// A DecodeError says that a stored value cannot be turned back into a Go
// value: it is of the wrong kind, out of the type's range, or damaged.
type DecodeError struct {
	Codec string // the codec's name
	Kind  Kind   // what was to be decoded

	// Err is the cause. Error repeats it only where it is known not to quote
	// the data; an error of another package often does.
	Err error
}

// Error names the codec, the kind and the cause, and never the data.
func (e *DecodeError) Error() string {
	return withReason("codec: "+e.Codec+" cannot decode this "+e.Kind.String(), e.Err)
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrDecode].
func (e *DecodeError) Is(target error) bool { return target == ErrDecode }

// An EncodeError says that a codec has no encoding for a Go value, such as a
// time in the year 10000 or a NaN in JSON.
type EncodeError struct {
	Codec string // the codec's name

	// Err is the cause. Error repeats it only where it is known not to quote
	// the data; an error of another package often does.
	Err error
}

// Error names the codec and the cause, and never the data.
func (e *EncodeError) Error() string {
	return withReason("codec: "+e.Codec+" cannot encode this value", e.Err)
}

// Unwrap returns the cause.
func (e *EncodeError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrEncode].
func (e *EncodeError) Is(target error) bool { return target == ErrEncode }

// reason is a cause whose text is ours and can be shown.
type reason string

func (r reason) Error() string { return string(r) }

const (
	wrongKind  reason = "wrong kind"
	outOfRange reason = "out of range for the type"
	malformed  reason = "malformed"
	notUnicode reason = "a string is not valid UTF-8"
	noField    reason = "a struct has no field for a member of an object"
	partial    reason = "the beginning of a key, for ranges only"
	tooDeep    reason = "nested more than 10,000 deep"
)

// maxDepth is how deep values may be nested that are decoded by recursion: a
// stack that overflows ends the process. It is encoding/json's own limit.
const maxDepth = 10_000

func withReason(msg string, err error) string {
	var r reason
	if errors.As(err, &r) {
		return msg + ": " + string(r)
	}
	return msg
}

func decodeError(name string, enc Value, err error) error {
	return &DecodeError{Codec: name, Kind: enc.kind, Err: err}
}

func encodeError(name string, err error) error {
	return &EncodeError{Codec: name, Err: err}
}

// joined shows why and still lets errors.As find err.
type joined struct {
	why reason
	err error
}

func (j joined) Error() string   { return string(j.why) }
func (j joined) Unwrap() []error { return []error{j.why, j.err} }

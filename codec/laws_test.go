package codec_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

// laws are a codec and what is needed to test that it keeps the laws of
// codec.Codec.
type laws[T any] struct {
	codec codec.Codec[T]
	name  string
	fixed []T                       // values that must be among those tested
	next  func(r *rand.Rand) T      // random ones
	order func(a, b T) int          // nil if the codec has none
	equal func(a, b T) bool         // nil for a deep comparison
	again func(r *rand.Rand, v T) T // an equal value made differently, or nil
}

func (l laws[T]) check(t *testing.T) {
	t.Helper()
	if got := l.codec.Name(); got != l.name {
		t.Errorf("name %q, want %q", got, l.name)
	}
	if l.equal == nil {
		l.equal = func(a, b T) bool { return reflect.DeepEqual(a, b) }
	}
	r := rand.New(rand.NewPCG(1, 2))
	values := l.fixed
	for range 200 {
		values = append(values, l.next(r))
	}
	encoded := make([]codec.Value, len(values))
	for i, v := range values {
		encoded[i] = l.roundTrip(t, v)
		if l.again == nil || codec.Keyable(l.codec) != nil {
			continue
		}
		w := l.again(r, v)
		if enc := l.roundTrip(t, w); !codec.Equal(enc, encoded[i]) {
			t.Errorf("equal values %v and %v encode to %v and %v", v, w, encoded[i], enc)
		}
	}
	if l.order == nil {
		return
	}
	for i, v := range values {
		for j, w := range values {
			if want, got := l.order(v, w), codec.Compare(encoded[i], encoded[j]); got != want {
				t.Fatalf("order of %v and %v is %d, of their encodings %d", v, w, want, got)
			}
		}
	}
}

func (l laws[T]) roundTrip(t *testing.T, v T) codec.Value {
	t.Helper()
	enc, err := l.codec.Encode(v)
	if err != nil {
		t.Fatalf("encode %v: %v", v, err)
	}
	again, err := l.codec.Encode(v)
	if err != nil || codec.Keyable(l.codec) == nil && !codec.Equal(enc, again) {
		t.Errorf("encoding %v twice gave %v and %v, error %v", v, enc, again, err)
	}
	got, err := l.codec.Decode(enc.Clone())
	if err != nil {
		t.Fatalf("decode %v from %v: %v", v, enc, err)
	}
	if !l.equal(got, v) {
		t.Fatalf("%v came back as %v", v, got)
	}
	return enc
}

// refuses checks that c decodes none of the values, and says so in the way
// that is promised.
func refuses[T any](t *testing.T, c codec.Codec[T], values ...codec.Value) {
	t.Helper()
	for _, enc := range values {
		v, err := c.Decode(enc)
		if err == nil {
			t.Errorf("%s decodes %v %v as %v", c.Name(), enc.Kind(), enc, v)
			continue
		}
		var de *codec.DecodeError
		if !errors.As(err, &de) || !errors.Is(err, codec.ErrDecode) || errors.Is(err, codec.ErrEncode) {
			t.Errorf("%s: error %v (%T)", c.Name(), err, err)
			continue
		}
		if de.Err == nil {
			t.Errorf("%s: no cause in %v", c.Name(), err)
		}
		if msg := err.Error(); !strings.Contains(msg, de.Codec) || !strings.Contains(msg, de.Kind.String()) {
			t.Errorf("%s: message %q lacks codec or kind", c.Name(), msg)
		}
	}
}

// refusesToEncode is refuses for Encode.
func refusesToEncode[T any](t *testing.T, c codec.Codec[T], values ...T) {
	t.Helper()
	for _, v := range values {
		enc, err := c.Encode(v)
		var ee *codec.EncodeError
		if err == nil || !errors.As(err, &ee) || !errors.Is(err, codec.ErrEncode) || errors.Is(err, codec.ErrDecode) {
			t.Errorf("%s encodes %v as %v, error %v (%T)", c.Name(), v, enc, err, err)
			continue
		}
		if !enc.IsNull() || ee.Err == nil || !strings.Contains(err.Error(), ee.Codec) {
			t.Errorf("%s: value %v and error %q", c.Name(), enc, err)
		}
	}
}

var (
	null  = codec.Value{}
	one   = codec.IntegerValue(1)
	half  = codec.RealValue(0.5)
	text  = codec.TextValue("x")
	blob  = codec.BlobValue([]byte("x"))
	empty = codec.BlobValue(nil)
)

func randomBytes(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(20))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// randomText is short and of few letters, so that prefixes are frequent.
func randomText(r *rand.Rand) string {
	const letters = "aab\x00éz\u2028😀\"\\"
	runes := []rune(letters)
	s := make([]rune, r.IntN(6))
	for i := range s {
		s[i] = runes[r.IntN(len(runes))]
	}
	return string(s)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

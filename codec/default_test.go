package codec_test

import (
	"cmp"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/codec"
)

type (
	stamp time.Time
	octet byte
	level int
	when  struct{ time.Time }
)

// level has text methods, which do not matter for a basic type.
func (l level) MarshalText() ([]byte, error) { return []byte("level"), nil }
func (l *level) UnmarshalText([]byte) error  { return nil }

func TestDefault(t *testing.T) {
	named := func(want string, got interface{ Name() string }) {
		t.Helper()
		if got.Name() != want {
			t.Errorf("%T is %q, want %q", got, got.Name(), want)
		}
	}
	named("string", codec.Default[string]())
	named("string", codec.Default[id]())
	named("bytes", codec.Default[[]byte]())
	named("bytes", codec.Default[raw]())
	named("bool", codec.Default[bool]())
	named("bool", codec.Default[flag]())
	named("int", codec.Default[int]())
	named("int", codec.Default[int8]())
	named("int", codec.Default[int16]())
	named("int", codec.Default[rune]())
	named("int", codec.Default[int64]())
	named("int", codec.Default[small]())
	named("int", codec.Default[level]())
	named("int", codec.Default[time.Duration]())
	named("uint", codec.Default[uint]())
	named("uint", codec.Default[byte]())
	named("uint", codec.Default[uint16]())
	named("uint", codec.Default[uint32]())
	named("uint", codec.Default[count]())
	named("uint", codec.Default[uintptr]())
	named("float", codec.Default[float32]())
	named("float", codec.Default[celsius]())
	named("time", codec.Default[time.Time]())
	named("time", codec.Default[stamp]())
	named("text", codec.Default[netip.Addr]())
	named("text", codec.Default[uuid]())
	named("json", codec.Default[when]())
	named("json", codec.Default[big.Int]())
	named("json", codec.Default[[]octet]())
	named("json", codec.Default[*netip.Addr]())
	named("json", codec.Default[any]())
	named("json", codec.Default[error]())
	named("json", codec.Default[struct{}]())
	named("json", codec.Default[complex128]())
	named("json", codec.Default[[]string]())
}

func TestDefaultLaws(t *testing.T) {
	laws[id]{
		codec: codec.Default[id](), name: "string",
		next:  func(r *rand.Rand) id { return id(randomText(r)) },
		order: func(a, b id) int { return strings.Compare(string(a), string(b)) },
	}.check(t)
	laws[raw]{
		codec: codec.Default[raw](), name: "bytes",
		fixed: []raw{{}},
		next:  func(r *rand.Rand) raw { return randomBytes(r) },
	}.check(t)
	laws[small]{
		codec: codec.Default[small](), name: "int",
		next:  func(r *rand.Rand) small { return small(r.Uint32()) },
		order: cmp.Compare[small],
	}.check(t)
	laws[count]{
		codec: codec.Default[count](), name: "uint",
		next:  func(r *rand.Rand) count { return count(r.Uint64()) },
		order: cmp.Compare[count],
	}.check(t)
	laws[celsius]{
		codec: codec.Default[celsius](), name: "float",
		next:  func(r *rand.Rand) celsius { return celsius(r.NormFloat64()) },
		order: cmp.Compare[celsius],
	}.check(t)
	laws[stamp]{
		codec: codec.Default[stamp](), name: "time",
		next:  func(r *rand.Rand) stamp { return stamp(time.Unix(int64(r.Uint32()), 5).UTC()) },
		order: func(a, b stamp) int { return time.Time(a).Compare(time.Time(b)) },
	}.check(t)
	laws[netip.Addr]{
		codec: codec.Default[netip.Addr](), name: "text",
		next:  func(r *rand.Rand) netip.Addr { return netip.AddrFrom4([4]byte{byte(r.Uint32())}) },
		equal: func(a, b netip.Addr) bool { return a == b },
	}.check(t)
	laws[any]{
		codec: codec.Default[any](), name: "json",
		fixed: []any{nil, 1.0, "x", []any{true}, map[string]any{}},
		next:  func(r *rand.Rand) any { return map[string]any{randomText(r): randomText(r)} },
	}.check(t)
	refuses(t, codec.Default[small](), codec.IntegerValue(1000), text)
	refuses(t, codec.Default[id](), one)
}

func TestKeyable(t *testing.T) {
	seal := sealed(t, codec.String[string](), key1)
	for c, want := range map[codec.Codec[string]]bool{
		codec.String[string]():                true,
		codec.JSON[string]():                  true,
		codec.Zlib(codec.String[string](), 1): true,
		codec.Default[string]():               true,
		codec.Gob[string]():                   false,
		seal:                                  false,
		codec.Zlib(codec.Gob[string](), 1):    false,
		codec.Zlib(codec.Zlib(seal, 1), 1):    false,
	} {
		err := codec.Keyable(c)
		if (err == nil) != want {
			t.Errorf("%s: %v", c.Name(), err)
		}
		if err != nil && !strings.Contains(err.Error(), c.Name()) {
			t.Errorf("message %q lacks the codec", err)
		}
	}
}

package codec_test

import (
	"encoding/hex"
	"errors"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

// uuid is an array with text methods, one of each kind of receiver.
type uuid [16]byte

func (u uuid) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(u[:])), nil }

func (u *uuid) UnmarshalText(b []byte) error {
	if len(b) != 32 {
		return errors.New("bad uuid " + string(b))
	}
	_, err := hex.Decode(u[:], b)
	return err
}

// failing fails to write itself, with its value in the message.
type failing struct{ secret string }

func (f failing) MarshalText() ([]byte, error)   { return nil, errors.New("bad " + f.secret) }
func (f *failing) UnmarshalText([]byte) error    { return nil }
func (f failing) MarshalBinary() ([]byte, error) { return nil, errors.New("bad " + f.secret) }
func (f *failing) UnmarshalBinary([]byte) error  { return nil }

func TestTextMarshaler(t *testing.T) {
	laws[netip.Addr]{
		codec: codec.TextMarshaler[netip.Addr](), name: "text",
		fixed: []netip.Addr{{}, netip.IPv6Unspecified(), netip.MustParseAddr("fe80::1%eth0")},
		next: func(r *rand.Rand) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(r.Uint32()), byte(r.Uint32())})
		},
		equal: func(a, b netip.Addr) bool { return a == b },
	}.check(t)
	laws[uuid]{
		codec: codec.TextMarshaler[uuid](), name: "text",
		next: func(r *rand.Rand) (u uuid) { copy(u[:], randomBytes(r)); return u },
	}.check(t)
	laws[big.Int]{
		codec: codec.TextMarshaler[big.Int](), name: "text",
		next:  func(r *rand.Rand) big.Int { return *big.NewInt(r.Int64()) },
		equal: func(a, b big.Int) bool { return a.Cmp(&b) == 0 },
	}.check(t)
	c := codec.TextMarshaler[netip.Addr]()
	refuses(t, c, null, one, half, text, blob)
	refusesToEncode(t, codec.TextMarshaler[failing](), failing{"s3cret"})
}

func TestBinaryMarshaler(t *testing.T) {
	laws[netip.Prefix]{
		codec: codec.BinaryMarshaler[netip.Prefix](), name: "binary",
		fixed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		next: func(r *rand.Rand) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(r.Uint32())}), r.IntN(32))
		},
		equal: func(a, b netip.Prefix) bool { return a == b },
	}.check(t)
	laws[url.URL]{
		codec: codec.BinaryMarshaler[url.URL](), name: "binary",
		next: func(r *rand.Rand) url.URL {
			return url.URL{Scheme: "https", Host: "example.org", Path: "/" + hex.EncodeToString(randomBytes(r))}
		},
	}.check(t)
	refuses(t, codec.BinaryMarshaler[netip.Prefix](), null, one, half, text, codec.BlobValue([]byte{1, 2, 3}))
	refusesToEncode(t, codec.BinaryMarshaler[failing](), failing{"s3cret"})
}

// An error of another package may quote the data. It is there to be found,
// but not in the message.
func TestErrorsDoNotQuote(t *testing.T) {
	const secret = "s3cret"
	var errs []error
	add := func(_ any, err error) { errs = append(errs, err) }
	add(codec.TextMarshaler[netip.Addr]().Decode(codec.TextValue(secret)))
	add(codec.TextMarshaler[uuid]().Decode(codec.TextValue(secret)))
	add(codec.TextMarshaler[failing]().Encode(failing{secret}))
	add(codec.BinaryMarshaler[failing]().Encode(failing{secret}))
	add(codec.JSON[failing]().Encode(failing{secret}))
	add(codec.JSON[int]().Decode(codec.TextValue(`"` + secret + `"`)))
	add(codec.JSON[int]().Decode(codec.TextValue(secret)))
	add(codec.JSON[map[string]int]().Decode(codec.TextValue(`{"` + secret + `":"x"}`)))
	add(codec.Time().Decode(codec.TextValue("2024-02-" + secret + "T00:00:00.000Z")))
	add(codec.Gob[failing]().Encode(failing{secret}))
	add(codec.Int[int]().Decode(codec.TextValue(secret)))
	for _, err := range errs {
		if err == nil {
			t.Error("no error")
		} else if strings.Contains(err.Error(), "s3") {
			t.Errorf("%q quotes the data", err)
		}
	}
	if err := errors.Unwrap(errs[2]); err == nil || !strings.Contains(err.Error(), secret) {
		t.Errorf("the cause is %v", err)
	}
}

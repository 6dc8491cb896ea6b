package codec_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/codec"
)

func ExampleDefault() {
	type Celsius float64
	type Reading struct {
		Station string
		Degrees Celsius
	}
	fmt.Println(codec.Default[Celsius]().Name())
	fmt.Println(codec.Default[time.Time]().Name())
	fmt.Println(codec.Default[netip.Addr]().Name())
	fmt.Println(codec.Default[Reading]().Name())

	enc, err := codec.Default[Reading]().Encode(Reading{"Oslo", -4})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(enc.Kind(), enc.Text())
	// Output:
	// float
	// time
	// text
	// json
	// text {"Station": "Oslo", "Degrees": -4.0}
}

func ExampleString() {
	type ID string
	c := codec.String[ID]()
	enc, _ := c.Encode("job-1")
	fmt.Println(enc.Kind(), enc.Text())

	// No program but ours could read this as text.
	enc, _ = c.Encode("\xff\xfe")
	id, _ := c.Decode(enc)
	fmt.Printf("%v %q\n", enc.Kind(), id)
	// Output:
	// text job-1
	// blob "\xff\xfe"
}

func ExampleBytes() {
	c := codec.Bytes[[]byte]()
	enc, _ := c.Encode(nil)
	b, err := c.Decode(enc)
	fmt.Println(enc.Kind(), len(b), b == nil, err)
	// Output: blob 0 false <nil>
}

func ExampleInt() {
	// A number that another program wrote need not fit.
	_, err := codec.Int[int8]().Decode(codec.IntegerValue(1000))
	fmt.Println(err)
	// Output: codec: int cannot decode this integer: out of range for the type
}

func ExampleUint() {
	c := codec.Uint[uint64]()
	small, _ := c.Encode(7)
	large, _ := c.Encode(1 << 63) // more than a database's integer holds
	fmt.Println(small.Kind(), large.Kind(), codec.Compare(small, large))
	// Output: integer blob -1
}

func ExampleFloat() {
	c := codec.Float[float64]()
	f, err := c.Decode(codec.IntegerValue(3)) // Python stores 3 and 3.0 as they come
	fmt.Println(f, err)
	// Output: 3 <nil>
}

func ExampleBool() {
	enc, _ := codec.Bool[bool]().Encode(true)
	fmt.Println(enc.Kind(), enc.Integer())
	// Output: integer 1
}

func ExampleTime() {
	tokyo := time.FixedZone("JST", 9*60*60)
	enc, err := codec.Time().Encode(time.Date(2024, 2, 29, 9, 0, 0, 0, tokyo))
	fmt.Println(enc.Text(), err)
	// Output: 2024-02-29T00:00:00.000000000Z <nil>
}

func ExampleTextMarshaler() {
	c := codec.TextMarshaler[netip.Addr]()
	enc, err := c.Encode(netip.MustParseAddr("192.0.2.1"))
	fmt.Println(enc.Text(), err)
	// Output: 192.0.2.1 <nil>
}

func ExampleBinaryMarshaler() {
	c := codec.BinaryMarshaler[url.URL]()
	enc, _ := c.Encode(url.URL{Scheme: "https", Host: "example.org"})
	u, err := c.Decode(enc)
	fmt.Println(enc.Kind(), u.Host, err)
	// Output: blob example.org <nil>
}

func ExampleJSON() {
	enc, err := codec.JSON[map[string]any]().Encode(map[string]any{"name": "Zoë", "size": 1.5e-7})
	fmt.Println(enc.Text(), err)
	// Output: {"name": "Zo\u00eb", "size": 1.5e-07} <nil>
}

func ExampleStrictJSON() {
	type Page struct{ Title string }
	stored := codec.TextValue(`{"Title": "Home", "Author": "Ann"}`)

	page, err := codec.JSON[Page]().Decode(stored)
	fmt.Println(page, err)
	_, err = codec.StrictJSON[Page]().Decode(stored)
	fmt.Println(err)
	// Output:
	// {Home} <nil>
	// codec: json cannot decode this text: a struct has no field for a member of an object
}

func ExampleNamed() {
	type Page struct{ Title string }
	type User struct{ Name string }
	fmt.Println(codec.Default[Page]().Name(), codec.Default[User]().Name())

	pages := codec.Named("page/v2", codec.Default[Page]())
	users := codec.Named("user/v1", codec.Default[User]())
	fmt.Println(pages.Name(), users.Name())
	// Output:
	// json json
	// page/v2(json) user/v1(json)
}

func ExampleGob() {
	type Point struct{ X, Y int }
	c := codec.Gob[map[Point]string]() // JSON has no such keys
	enc, err := c.Encode(map[Point]string{{1, 2}: "here"})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := c.Decode(enc)
	fmt.Println(m, err)
	// Output: map[{1 2}:here] <nil>
}

// Keys and values of a directory that Python opened with
// diskcache.Cache(directory, disk=diskcache.JSONDisk).
func ExampleZlib() {
	c := codec.Zlib(codec.JSON[[]string](), 1)
	enc, err := c.Encode([]string{"user", "42"})
	fmt.Printf("%s: %v %x %v\n", c.Name(), enc.Kind(), enc.Blob(), err)
	// Output: zlib(json): blob 78018b562a2d4e2d52d251503231528a05001ed803b2 <nil>
}

// A value that is small where it is stored, and not where it is read.
func ExampleZlibLimit() {
	enc, _ := codec.Zlib(codec.String[string](), 9).Encode(strings.Repeat("x", 1_000_000))
	fmt.Println(enc.Len())

	c := codec.ZlibLimit(codec.String[string](), 9, 100_000)
	_, err := c.Decode(enc)
	fmt.Println(err, errors.Is(err, codec.ErrTooLarge))
	// Output:
	// 991
	// codec: zlib(string) cannot decode this blob: larger than the limit true
}

func ExampleSeal() {
	key := make([]byte, codec.KeySize)
	rand.Read(key) // an application keeps its key

	c, err := codec.Seal(codec.JSON[string](), key)
	if err != nil {
		fmt.Println(err)
		return
	}
	enc, err := c.Encode("a secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	enc.Blob()[20] ^= 1 // somebody tampers with the file
	_, err = c.Decode(enc)
	fmt.Println(err, errors.Is(err, codec.ErrSealed))
	// Output: codec: seal(json) cannot decode this blob: sealed with another key or for another location, or changed since true
}

// A value that somebody moves does not open. Collections pass the location by
// themselves.
func ExampleLocated() {
	key := make([]byte, codec.KeySize)
	rand.Read(key)

	sealed, err := codec.Seal(codec.String[string](), key)
	if err != nil {
		fmt.Println(err)
		return
	}
	c := sealed.(codec.Located[string])
	alice := codec.Location{Collection: "cache/users", Key: codec.TextValue("alice")}
	mallory := codec.Location{Collection: "cache/users", Key: codec.TextValue("mallory")}
	enc, err := c.EncodeAt("is an administrator", alice)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.DecodeAt(enc, mallory)
	fmt.Println(errors.Is(err, codec.ErrSealed))
	// Output: true
}

// With a new key, what was sealed with the former one stays readable.
func ExampleSeal_rotation() {
	former, current := make([]byte, codec.KeySize), make([]byte, codec.KeySize)
	rand.Read(former)
	rand.Read(current)

	before, _ := codec.Seal(codec.String[string](), former)
	enc, _ := before.Encode("written last year")

	now, _ := codec.Seal(codec.String[string](), current, former)
	s, err := now.Decode(enc)
	fmt.Println(s, err)
	// Output: written last year <nil>
}

func ExampleKeyable() {
	fmt.Println(codec.Keyable(codec.JSON[string]()))
	fmt.Println(codec.Keyable(codec.Gob[string]()))
	// Output:
	// <nil>
	// codec: gob cannot encode keys: equal values do not have equal gobs
}

func ExampleDecodeError() {
	_, err := codec.String[string]().Decode(codec.IntegerValue(42))
	var de *codec.DecodeError
	if errors.As(err, &de) {
		fmt.Println(de.Codec, de.Kind, errors.Is(err, codec.ErrDecode))
	}
	// Output: string integer true
}

func ExampleEncodeError() {
	_, err := codec.Time().Encode(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))
	fmt.Println(err)
	// Output: codec: time cannot encode this value: out of range for the type
}

func ExampleCompare() {
	fmt.Println(codec.Compare(codec.IntegerValue(2), codec.RealValue(1.5)))
	fmt.Println(codec.Compare(codec.IntegerValue(2), codec.TextValue("1")))
	fmt.Println(codec.Equal(codec.IntegerValue(1), codec.RealValue(1)))
	// Output:
	// 1
	// -1
	// true
}

// foldCase is a codec of strings that are equal without regard to case.
type foldCase struct{ codec.Codec[string] }

func (foldCase) Name() string { return "foldcase" }

func (c foldCase) Encode(s string) (codec.Value, error) {
	return c.Codec.Encode(strings.ToLower(s))
}

// A codec of one's own. What equal keys have in common is their encoding.
func ExampleCodec() {
	var c codec.Codec[string] = foldCase{codec.String[string]()}
	a, _ := c.Encode("README")
	b, _ := c.Encode("readme")
	fmt.Println(c.Name(), codec.Equal(a, b))
	// Output: foldcase true
}

func ExampleTuple2() {
	visits := codec.Tuple2(codec.String[string](), codec.Desc(codec.Int[int]()))
	var keys []codec.Value
	for _, k := range []codec.Pair[string, int]{visits.Of("bob", 1), visits.Of("ann", 1), visits.Of("ann", 10), visits.Of("ann", -2)} {
		enc, err := visits.Encode(k)
		if err != nil {
			fmt.Println(err)
			return
		}
		keys = append(keys, enc)
	}
	slices.SortFunc(keys, codec.Compare)
	for _, enc := range keys {
		k, err := visits.Decode(enc)
		fmt.Println(k.First, k.Second, err)
	}
	fmt.Println(visits.Name())
	// Output:
	// ann 10 <nil>
	// ann 1 <nil>
	// ann -2 <nil>
	// bob 1 <nil>
	// tuple(string,desc(int))
}

func ExampleTuple3() {
	readings := codec.Tuple3(codec.String[string](), codec.Int[int](), codec.Time())
	_, err := readings.Encode(readings.FirstTwo("oslo", 3))
	fmt.Println(err) // it stands for many keys
	// Output: codec: tuple(string,int,time) cannot encode this value: the beginning of a key, for ranges only
}

func ExampleDesc() {
	c := codec.Desc(codec.Int[int]())
	one, _ := c.Encode(1)
	two, _ := c.Encode(2)
	fmt.Println(codec.Compare(one, two), c.Name())
	// Output: 1 desc(int)
}

func ExampleAppendOrdered() {
	a := codec.AppendOrdered(nil, codec.IntegerValue(9))
	b := codec.AppendOrdered(nil, codec.RealValue(10.5))
	fmt.Println(bytes.Compare(a, b))
	v, rest, err := codec.CutOrdered(b)
	fmt.Println(v, len(rest), err)
	// Output:
	// -1
	// 10.5 0 <nil>
}

package codec_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

type page struct {
	URL   string             `json:"url"`
	Score float64            `json:"score"`
	Tags  []string           `json:"tags,omitempty"`
	Links map[string]float32 `json:"links"`
	Next  *page              `json:"next"`
}

func TestJSON(t *testing.T) {
	laws[page]{
		codec: codec.JSON[page](), name: "json",
		next: func(r *rand.Rand) page {
			p := page{URL: randomText(r), Score: float64(r.IntN(10)) / 4}
			if r.IntN(2) == 0 {
				p.Links = map[string]float32{randomText(r): 1, randomText(r): 0.1, randomText(r): 1e20}
				p.Next = &page{Tags: []string{randomText(r)}}
			}
			return p
		},
		again: func(r *rand.Rand, v page) page {
			if v.Links != nil {
				links := make(map[string]float32, r.IntN(100))
				for k, f := range v.Links {
					links[k] = f
				}
				v.Links = links
			}
			return v
		},
	}.check(t)
	c := codec.JSON[page]()
	refuses(t, c, null, one, half, text, blob, empty)
	for _, s := range []string{`{`, `{}x`, `{} {}`, `{"url":1}`, `[]`, `{"score":NaN}`, `{"score":1e999}`, ``, ` `} {
		refuses(t, c, codec.TextValue(s))
	}
	if got, err := c.Decode(codec.BlobValue([]byte(" {\"url\": \"x\"}\n"))); got.URL != "x" || err != nil {
		t.Errorf("from a blob: %v, error %v", got, err)
	}
}

// TestJSONPython compares with json.txt; jsontable.py beside it says what that is.
func TestJSONPython(t *testing.T) {
	f, err := os.Open("testdata/json.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	kinds := map[string]int{}
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		kinds[fields[0]]++
		switch value, want := fields[1], fields[len(fields)-1]; fields[0] {
		case "float":
			bits, _ := strconv.ParseUint(value, 16, 64)
			f := math.Float64frombits(bits)
			writes(t, f, want)
			writes(t, []*float64{&f}, "["+want+"]")
		case "string":
			b, _ := hex.DecodeString(value)
			writes(t, string(b), want)
			writes(t, struct{ A any }{string(b)}, `{"A": `+want+`}`)
		case "value":
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				t.Fatal(err)
			}
			writes(t, v, want)
		case "disk":
			level, _ := strconv.Atoi(fields[2])
			c := codec.Zlib(codec.JSON[json.RawMessage](), level)
			enc, err := c.Encode(json.RawMessage(value))
			if got := hex.EncodeToString(enc.Blob()); got != want || err != nil {
				t.Errorf("%s at level %d: %s, error %v, want %s", value, level, got, err, want)
			}
		}
	}
	if len(kinds) != 4 || lines.Err() != nil {
		t.Errorf("read %v, error %v", kinds, lines.Err())
	}
}

func writes[T any](t *testing.T, v T, want string) {
	t.Helper()
	enc, err := codec.JSON[T]().Encode(v)
	if enc.Text() != want || enc.Kind() != codec.Text || err != nil {
		t.Errorf("%v: %s, error %v, want %s", v, enc.Text(), err, want)
	}
}

// point has its own JSON, with a pointer receiver.
type point struct{ X float64 }

func (p *point) MarshalJSON() ([]byte, error) { return []byte(`{"x":1.50,"s":"\u00E9\ufffd"}`), nil }

func (p *point) UnmarshalJSON([]byte) error { return nil }

type (
	base  struct{ A, B, C float64 }
	other struct {
		C int
		D float64 `json:"B"`
	}
	derived struct {
		base
		*other
		A int
	}
	loop    *loop
	chained []chained
)

// Structs as Python writes the dictionaries with the same members.
func TestJSONTypes(t *testing.T) {
	writes(t, derived{base{1, 2, 3}, &other{4, 5}, 6}, `{"B": 5.0, "A": 6}`)
	writes(t, struct {
		F float64 `json:",string"`
		G float64 `json:"-"`
		H float64 `json:"g,omitempty"`
		i float64
	}{F: 1, H: 2}, `{"F": "1", "g": 2.0}`)
	writes(t, map[string][2]float32{"b": {1, 0.1}, "a": {1e20, 1e-5}}, `{"a": [1e+20, 1e-05], "b": [1.0, 0.1]}`)
	writes(t, map[int]float64{2: 1}, `{"2": 1.0}`)
	writes(t, any(1.0), `1`)
	writes(t, map[string]any{"f": 2.5e-9, "i": 3}, `{"f": 2.5e-09, "i": 3}`)
	writes(t, point{}, `{"x": 1.50, "s": "\u00E9\ufffd"}`)
	writes(t, []point{{}}, `[{"x": 1.50, "s": "\u00E9\ufffd"}]`)
	writes(t, map[string]point{"p": {1}}, `{"p": {"X": 1.0}}`)
	writes(t, json.Number("1E3"), `1E3`)
	writes(t, struct{}{}, `{}`)
	writes(t, []int(nil), `null`)
	writes(t, (*page)(nil), `null`)
	writes(t, loop(nil), `null`)
	writes(t, chained{{}, nil}, `[[], null]`)
	writes(t, []byte("ab"), `"YWI="`)
	writes(t, &page{Next: &page{Score: 1}}, `{"url": "", "score": 0.0, "links": null, "next": {"url": "", "score": 1.0, "links": null, "next": null}}`)
}

func TestJSONRefuses(t *testing.T) {
	refusesToEncode(t, codec.JSON[float64](), math.NaN(), math.Inf(1))
	refusesToEncode(t, codec.JSON[string](), "\xff", "a\xc3")
	refusesToEncode(t, codec.JSON[map[string]any](), map[string]any{"\xff": 1}, map[string]any{"a": "\xff"}, map[string]any{"a": textual("\xff")})
	refusesToEncode(t, codec.JSON[page](), page{URL: "\xff"}, page{Tags: []string{"a", "\xff"}}, page{Next: &page{Links: map[string]float32{"\xff": 1}}})
	refusesToEncode(t, codec.JSON[textual](), "\xff")
	refusesToEncode(t, codec.JSON[map[textual]int](), map[textual]int{"\xff": 1})
	refusesToEncode(t, codec.JSON[json.RawMessage](), json.RawMessage("\"\xff\""), json.RawMessage(`"\ud800"`), json.RawMessage(`{"\udc00":1}`), json.RawMessage(`1 2`))
	refusesToEncode(t, codec.JSON[chan int](), nil)
	refusesToEncode(t, codec.JSON[struct{ a int }](), struct{ a int }{1})
	refusesToEncode(t, codec.JSON[*struct{ base int }](), nil)
	refusesToEncode(t, codec.JSON[error](), errors.New("an error"), nil)
	cycle := map[string]any{}
	cycle["self"] = cycle
	refusesToEncode(t, codec.JSON[map[string]any](), cycle)
	for s, want := range map[string]string{
		`[1.0, NaN]`:        "codec: json cannot decode this text: NaN and Infinity are not JSON",
		`[-Infinity]`:       "codec: json cannot decode this text: NaN and Infinity are not JSON",
		`[Infinity]`:        "codec: json cannot decode this text: NaN and Infinity are not JSON",
		`[1, hello]`:        "codec: json cannot decode this text: not JSON at byte 5",
		`[1, "hello"]`:      "codec: json cannot decode this text: does not fit a Go float64 at byte 11",
		`[1] and that's it`: "codec: json cannot decode this text: not JSON at byte 5",
	} {
		_, err := codec.JSON[[]float64]().Decode(codec.TextValue(s))
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", s, err, want)
		}
	}
	_, err := codec.JSON[int]().Decode(codec.TextValue("x"))
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		t.Errorf("no *json.SyntaxError in %v", err)
	}
}

// Strict JSON writes and reads as JSON does, but refuses to skip a member.
func TestStrictJSON(t *testing.T) {
	lenient, strict := codec.JSON[page](), codec.StrictJSON[page]()
	if lenient.Name() != strict.Name() {
		t.Errorf("names %q and %q", lenient.Name(), strict.Name())
	}
	for _, s := range []string{
		`{}`, `null`, "\t{\"url\": \"x\"}\r\n ", `{"URL": "x", "next": {"score": 1.5}}`, `{"links": {"any": 1}}`, // read
		`{"url": "x", "more": 1}`, `{"next": {"more": null}}`, // refused
		`{`, `{}x`, `{} {}`, `{"url":1}`, `[]`, `{"score":NaN}`, `{"score":1e999}`, ``, ` `, `{"more": 1}x`, "{\"more\": \"\xff\"}", // as by JSON
	} {
		want, lenientErr := lenient.Decode(codec.TextValue(s))
		got, err := strict.Decode(codec.TextValue(s))
		switch {
		case lenientErr != nil:
			if err == nil || err.Error() != lenientErr.Error() {
				t.Errorf("%s: error %v, want %v", s, err, lenientErr)
			}
		case strings.Contains(s, "more"):
			const text = "codec: json cannot decode this text: a struct has no field for a member of an object"
			if err == nil || err.Error() != text || !reflect.DeepEqual(got, page{}) {
				t.Errorf("%s: %v, error %v, want %s", s, got, err, text)
			}
		case err != nil || !reflect.DeepEqual(got, want):
			t.Errorf("%s: %v, want %v, error %v", s, got, want, err)
		}
	}
	refuses(t, strict, null, one, half, text, blob, empty, codec.TextValue(`{"more": 1}`))
}

// textual writes itself as text, whatever its bytes.
type textual string

func (s textual) MarshalText() ([]byte, error)     { return []byte(s), nil }
func (s *textual) UnmarshalText(text []byte) error { *s = textual(text); return nil }

// What encoding/json would change without a word is not decoded.
func TestJSONRefusesToChange(t *testing.T) {
	refuses(t, codec.JSON[any](),
		codec.TextValue("\"\xff\""), codec.BlobValue([]byte("{\"\xff\":1}")), codec.TextValue(`"\ud800"`), codec.TextValue(`"\uDBFFx"`),
		codec.TextValue(`["\udc00\ud800"]`), codec.TextValue(`{"\ud800\u0041":1}`), codec.TextValue(`"\\\ud800"`), codec.TextValue(`"\ud8`))
	refuses(t, codec.JSON[page](), codec.TextValue(`{"url":"\udfff"}`), codec.TextValue("{\"unknown\":\"\xff\"}"))
	for s, want := range map[string]string{
		`"\\ud800"`: `\ud800`, `"\ud83d\ude00"`: "😀", `"\uD83D\uDE00\ud83d\ude00"`: "😀😀", `"\ufffd\u0000"`: "\ufffd\x00", "\"\ufffd\"": "\ufffd",
	} {
		decodes(t, codec.JSON[string](), codec.TextValue(s), want)
	}
}

// Both directions end at the same depth, far from the end of the stack.
func TestJSONDepth(t *testing.T) {
	const most = 10_000
	c := codec.JSON[any]()
	deep := codec.TextValue(strings.Repeat("[", most) + strings.Repeat("]", most))
	v, err := c.Decode(deep)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := c.Encode(v)
	if err != nil || enc.Text() != deep.Text() {
		t.Errorf("%d bytes, error %v", enc.Len(), err)
	}
	for _, text := range []string{"[" + deep.Text() + "]", `{"a":` + deep.Text() + "}", strings.Repeat("[", 1_000_000)} {
		if _, err := c.Decode(codec.TextValue(text)); !errors.Is(err, codec.ErrDecode) {
			t.Errorf("decoding %.10s...: error %v", text, err)
		}
	}
	for _, v := range []any{[]any{v}, map[string]any{"a": v}} {
		if _, err := c.Encode(v); !errors.Is(err, codec.ErrEncode) {
			t.Errorf("encoding a %T: error %v", v, err)
		}
	}
}

package codec_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/codec"
)

func BenchmarkCodec(b *testing.B) {
	p := page{
		URL:   "https://example.org/a/page?of=some&length=1",
		Score: 0.75,
		Tags:  []string{"one", "two", "three"},
		Links: map[string]float32{"https://example.org/b": 1, "https://example.org/c": 0.5},
	}
	seal := must(codec.Seal(codec.JSON[page](), key1))
	bench(b, codec.String[string](), "https://example.org/a/page")
	bench(b, codec.Bytes[[]byte](), []byte("https://example.org/a/page"))
	bench(b, codec.Int[int](), 42)
	bench(b, codec.Uint[uint32](), 42)
	bench(b, codec.Float[float64](), 1.5)
	bench(b, codec.Bool[bool](), true)
	bench(b, codec.Time(), time.Unix(1_700_000_000, 5))
	bench(b, codec.TextMarshaler[netip.Addr](), netip.MustParseAddr("192.0.2.1"))
	bench(b, codec.BinaryMarshaler[netip.Addr](), netip.MustParseAddr("192.0.2.1"))
	bench(b, codec.JSON[page](), p)
	bench(b, codec.Gob[page](), p)
	bench(b, codec.Zlib(codec.JSON[page](), 1), p)
	bench(b, codec.Zlib(codec.JSON[page](), 6), p)
	bench(b, seal, p)
	b.Run("default", func(b *testing.B) {
		bench(b, codec.Default[celsius](), 1.5)
		bench(b, codec.Default[id](), "https://example.org/a/page")
		bench(b, codec.Default[string](), "https://example.org/a/page")
	})
	b.Run("size=100k", func(b *testing.B) {
		text := strings.Repeat("Some text that repeats itself, and some that does not. ", 2000)
		bench(b, codec.JSON[string](), text)
		bench(b, codec.Zlib(codec.String[string](), 1), text)
	})
}

func bench[T any](b *testing.B, c codec.Codec[T], v T) {
	b.Run(c.Name()+"/encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Encode(v); err != nil {
				b.Fatal(err)
			}
		}
	})
	enc := must(c.Encode(v))
	b.Run(c.Name()+"/decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(enc); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package codec_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

type edge struct{ From, To int }

type graph struct {
	Name  string
	Edges map[edge]float64
	Next  *graph
}

func TestGob(t *testing.T) {
	laws[graph]{
		codec: codec.Gob[graph](), name: "gob",
		next: func(r *rand.Rand) graph {
			return graph{
				Name:  randomText(r),
				Edges: map[edge]float64{{1, r.IntN(9)}: math.Inf(1), {2, 3}: r.Float64()},
				Next:  &graph{Name: "next"},
			}
		},
	}.check(t)
	refusesToEncode(t, codec.Gob[*graph](), nil)
	var inner *graph
	refusesToEncode(t, codec.Gob[**graph](), nil, &inner)
	refusesToEncode[any](t, codec.Gob[any](), nil, (*graph)(nil))
	refusesToEncode(t, codec.Gob[chan int](), nil)
	if got, err := codec.Gob[*graph]().Decode(must(codec.Gob[*graph]().Encode(&graph{Name: "x"}))); err != nil || got.Name != "x" {
		t.Errorf("got %v, error %v", got, err)
	}
	refusesToEncode(t, codec.Gob[struct{ a int }](), struct{ a int }{1})

	c := codec.Gob[graph]()
	refuses(t, c, null, one, half, text, blob, empty)
	enc, err := c.Encode(graph{Name: "x", Edges: map[edge]float64{{1, 2}: 3}})
	if err != nil {
		t.Fatal(err)
	}
	good := enc.Blob()
	for n := range good {
		refuses(t, c, codec.BlobValue(good[:n]))
	}
	refuses(t, c, codec.BlobValue(append(bytes.Clone(good), 0)), codec.BlobValue(append(bytes.Clone(good), good...)))
	refuses(t, codec.Gob[int](), enc)
}

// A map that claims 2^30 entries must not be allocated.
func TestGobHugeMap(t *testing.T) {
	c := codec.Gob[map[string]int]()
	enc, err := c.Encode(map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	// The last message is: length, type, 0, entries, and the entry "a": 1.
	good := enc.Blob()
	tail := []byte{1, 1, 'a', 2}
	if !bytes.HasSuffix(good, tail) {
		t.Fatalf("gob of another form: %x", good)
	}
	n := len(good) - len(tail)
	length := bytes.LastIndexByte(good[:n], byte(len(good)-n+3))
	if length < 0 {
		t.Fatalf("gob of another form: %x", good)
	}
	bad := append(bytes.Clone(good[:n]), 0xfc, 0x40, 0, 0, 0)
	bad = append(bad, tail[1:]...)
	bad[length] += 4
	refuses(t, c, codec.BlobValue(bad))
}

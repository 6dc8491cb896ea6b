package codec_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

func TestNamed(t *testing.T) {
	laws[string]{codec: codec.Named("title", codec.String[string]()), name: "title(string)", next: randomText, order: strings.Compare}.check(t)
	laws[page]{codec: codec.Named("page/v2", codec.Zlib(codec.JSON[page](), 1)), name: "page/v2(zlib(json))", next: func(r *rand.Rand) page {
		return page{URL: randomText(r)}
	}}.check(t)
	if err := codec.Keyable(codec.Named("page", codec.Gob[page]())); err == nil || !strings.Contains(err.Error(), "page(gob)") {
		t.Errorf("keys: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("an empty name does not panic")
		}
	}()
	codec.Named("", codec.JSON[page]())
}

// What a codec can beside encoding and decoding, it can under another name, too.
func TestNamedKeeps(t *testing.T) {
	type pure interface{ Pure() }
	if _, ok := codec.Named("n", codec.Int[int]()).(pure); !ok {
		t.Error("the code of a native codec counts as the user's")
	}
	if _, ok := codec.Named("n", codec.JSON[int]()).(pure); ok {
		t.Error("the code of a codec that may call the user's counts as native")
	}

	here, there := codec.Location{Collection: "here"}, codec.Location{Collection: "there"}
	seal := codec.Named("secret", sealed(t, codec.String[string](), key1)).(codec.Located[string])
	enc := must(seal.EncodeAt("v", here))
	if v, err := seal.DecodeAt(enc, here); v != "v" || err != nil {
		t.Errorf("%q, error %v", v, err)
	}
	if _, err := seal.DecodeAt(enc, there); err == nil {
		t.Error("a sealed value can be moved")
	}

	pairs := codec.Tuple2(codec.String[string](), codec.Int[int]())
	prefixer := codec.Named("visit", pairs).(codec.Prefixer[codec.Pair[string, int]])
	want, _, _ := pairs.EncodePrefix(pairs.First("ann"))
	got, whole, err := prefixer.EncodePrefix(pairs.First("ann"))
	if string(got) != string(want) || whole || err != nil {
		t.Errorf("prefix %x, want %x, whole %v, error %v", got, want, whole, err)
	}
}

package cache_test

import (
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

func TestRaw(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		c, err := cache.New(ctx, e.st, "pages", &cache.Options[string, int]{SizeLimit: 1 << 20})
		ok(t, err)
		for i, k := range []string{"a/1", "a/2", "b"} {
			ok(t, c.Set(ctx, k, i))
		}
		raw, err := cache.NewRaw(ctx, e.st, "cache/pages", nil)
		ok(t, err)
		s := raw.Schema()
		equal(t, s.Keys, "string")
		equal(t, s.Values, "int")
		equal(t, s.Settings.SizeLimit, 1<<20)

		text := func(s string) cache.Raw { return cache.Raw{Value: codec.TextValue(s)} }
		keys, err := cache.Collect(raw.Sorted().Prefix(text("a/")).After(text("a/1")).Keys(ctx))
		ok(t, err)
		equal(t, len(keys), 1)
		equal(t, keys[0].Text(), "a/2")
		_, err = cache.Collect(raw.Sorted().Prefix(cache.Raw{Value: codec.IntegerValue(1)}).Keys(ctx))
		is(t, err, cache.ErrInvalid)

		// A copy is opened by those who know its codecs, and by nobody else.
		copied, err := cache.NewRaw(ctx, e.st, "cache/copy", &s)
		ok(t, err)
		for e, err := range raw.Sorted().All(ctx) {
			ok(t, err)
			ok(t, copied.Set(ctx, e.Key, e.Value, e.Options()...))
		}
		is(t, copied.Set(ctx, text("k"), cache.Raw{Foreign: true}), codec.ErrEncode)
		typed, err := cache.New[string, int](ctx, e.st, "copy", nil)
		ok(t, err)
		v, found, err := typed.Get(ctx, "b")
		ok(t, err)
		equal(t, found, true)
		equal(t, v, 2)
		equal(t, typed.Settings(), s.Settings)
		_, err = cache.New[int, int](ctx, e.st, "copy", nil)
		is(t, err, cache.ErrCodecMismatch)
		s.Values = "other"
		_, err = cache.NewRaw(ctx, e.st, "cache/copy", &s)
		is(t, err, cache.ErrCodecMismatch)

		// To look for a collection does not make it.
		gone, err := cache.New(ctx, e.st, "gone", &cache.Options[string, int]{Family: "mine"})
		ok(t, err)
		ok(t, e.st.Drop(ctx, gone.Name()))
		_, err = cache.NewRaw(ctx, e.st, gone.Name(), nil)
		is(t, err, cache.ErrNotFound)
		names, err := e.st.Collections(ctx)
		ok(t, err)
		for _, name := range names {
			if name == gone.Name() {
				t.Error("the collection is there again")
			}
		}
	})
}

// The entries that a program has pickled can be seen, and Check goes on decoding with the
// codecs of the user's.
func TestRawOfPython(t *testing.T) {
	dir := t.TempDir()
	p := startPython(t, dir, "Cache(dir)")
	p.run("c['pickled'] = {1, 2}")
	p.run("c[(1, 2)] = 'v'")
	p.run("c['k'] = 'not a number'")
	st, err := cache.OpenStore(t.Context(), dir, nil)
	ok(t, err)
	defer st.Close()
	_, err = cache.New[string, int](t.Context(), st, "", nil)
	ok(t, err)
	raw, err := cache.NewRaw(t.Context(), st, "", nil)
	ok(t, err)
	entries, err := cache.Collect(raw.Sorted().All(t.Context()))
	ok(t, err)
	equal(t, len(entries), 3)
	foreignKeys, foreignValues := 0, 0
	for _, e := range entries {
		if e.Key.Foreign {
			foreignKeys++
		}
		if e.Value.Foreign {
			foreignValues++
		}
	}
	equal(t, foreignKeys, 1)
	equal(t, foreignValues, 1)
	infos, err := cache.Collect(raw.Sorted().Infos(t.Context()))
	ok(t, err)
	equal(t, len(infos), 3)
	r, err := st.Check(t.Context(), nil)
	ok(t, err)
	equal(t, len(r.Problems), 3)
}

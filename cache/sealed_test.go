package cache_test

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// sealKey is a key for tests.
var sealKey = []byte(strings.Repeat("k", codec.KeySize))

// sealedBytes is the codec of values as they are stored, by the codec that it is
// named after. With it a test does what somebody does who can write to the
// directory and has no key.
type sealedBytes string

func (c sealedBytes) Name() string                              { return string(c) }
func (sealedBytes) Encode(v codec.Value) (codec.Value, error)   { return v, nil }
func (sealedBytes) Decode(enc codec.Value) (codec.Value, error) { return enc.Clone(), nil }

// A sealed value opens under its key in its collection, whichever method wrote
// it and reads it, and nowhere else.
func TestSealed(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		sealed := must(codec.Seal(codec.String[string](), sealKey))(t)
		c := open(t, e.st, "a", &cache.Options[string, string]{Values: sealed, MinFileSize: 500})
		big := strings.Repeat("x", 1000)
		write := map[string]func(k string) error{
			"Set":      func(k string) error { return c.Set(ctx, k, "v") },
			"big":      func(k string) error { return c.Set(ctx, k, big) },
			"Add":      func(k string) error { _, err := c.Add(ctx, k, "v"); return err },
			"GetOrSet": func(k string) error { _, _, err := c.GetOrSet(ctx, k, "v"); return err },
			"SetMany":  func(k string) error { return c.SetMany(ctx, maps.All(map[string]string{k: "v"})) },
			"Modify": func(k string) error {
				_, _, err := c.Modify(ctx, k, func(string, bool) (string, bool, error) { return "v", true, nil })
				return err
			},
			"In": func(k string) error {
				return e.st.Update(ctx, func(tx *cache.Tx) error { return c.In(tx).Set(ctx, k, "v") })
			},
		}
		want := func(k string) string {
			if k == "big" {
				return big
			}
			return "v"
		}
		read := map[string]func(k string) (string, error){
			"Get":      func(k string) (string, error) { v, _, err := c.Get(ctx, k); return v, err },
			"GetEntry": func(k string) (string, error) { ent, _, err := c.GetEntry(ctx, k); return ent.Value, err },
			"GetOrSet": func(k string) (string, error) { v, _, err := c.GetOrSet(ctx, k, "other"); return v, err },
			"GetMany": func(k string) (string, error) {
				es, err := c.GetMany(ctx, k)
				return first(es).Value, err
			},
			"Sorted": func(k string) (string, error) {
				es, err := cache.Collect(c.Sorted().From(k).Limit(1).All(ctx))
				return first(es).Value, err
			},
			"Modify": func(k string) (string, error) {
				v, _, err := c.Modify(ctx, k, func(v string, _ bool) (string, bool, error) { return v, true, nil })
				return v, err
			},
			"Pop": func(k string) (string, error) { v, _, err := c.Pop(ctx, k); return v, err },
		}
		for how, set := range write {
			for by, get := range read {
				ok(t, set(how))
				v, err := get(how)
				if err != nil || v != want(how) {
					t.Fatalf("%s after %s: %.10q, error %v", by, how, v, err)
				}
			}
			ok(t, set(how))
		}
		es := must(cache.Collect(c.All(ctx)))(t)
		equal(t, len(es), len(write))
		for _, ent := range es {
			equal(t, ent.Value, want(ent.Key))
		}

		n := 0
		for e, err := range c.All(ctx) {
			ok(t, err)
			if e.Value != "v" && e.Value != big {
				t.Errorf("All: %.10q", e.Value)
			}
			n++
		}
		equal(t, n, len(write))
		for ent, err := range c.Backward(ctx) {
			ok(t, err)
			equal(t, ent.Value, want(ent.Key))
		}
		is(t, c.SetFrom(ctx, "plain", strings.NewReader("v")), cache.ErrInvalid)

		// Somebody puts the values where they do not belong.
		stored := open(t, e.st, "a", &cache.Options[string, codec.Value]{Values: sealedBytes("seal(string)")})
		elsewhere := open(t, e.st, "b", &cache.Options[string, codec.Value]{Values: sealedBytes("seal(string)")})
		b := open(t, e.st, "b", &cache.Options[string, string]{Values: sealed})
		ok(t, b.Set(ctx, "Set", "its own"))
		v, _, err := stored.Get(ctx, "Set")
		ok(t, err)
		ok(t, stored.Set(ctx, "moved", v))
		ok(t, elsewhere.Set(ctx, "Add", v))
		ok(t, elsewhere.Set(ctx, "Set", v))
		for by, get := range read {
			v, err := get("moved")
			is(t, err, codec.ErrSealed)
			is(t, err, cache.ErrCodecMismatch)
			equal(t, v, "")
			if by == "Pop" {
				equal(t, must(c.Contains(ctx, "moved"))(t), true)
			}
		}
		for _, k := range []string{"Add", "Set"} {
			_, _, err := b.Get(ctx, k)
			is(t, err, codec.ErrSealed)
		}
		r := must(e.st.Check(ctx, nil))(t)
		n = 0
		for _, p := range r.Problems {
			if p.Kind != driver.Undecodable {
				t.Errorf("%v", p)
			}
			n++
		}
		equal(t, n, 2) // stored was opened last, and is what Check decodes a with
		skip := open(t, e.st, "a", &cache.Options[string, string]{Values: sealed, SkipUndecodable: true})
		_, found, err := skip.Get(ctx, "moved")
		ok(t, err)
		equal(t, found, false)
		v, _, err = stored.Get(ctx, "Set") // back where it was
		ok(t, err)
		ok(t, stored.Set(ctx, "Set", v))
		got, _, err := c.Get(ctx, "Set")
		ok(t, err)
		equal(t, got, "v")

		// Numbers that are counted, and queues, whose keys come late.
		n64 := open(t, e.st, "n", &cache.Options[string, int64]{Values: must(codec.Seal(codec.Int[int64](), sealKey))(t)})
		for want := range int64(3) {
			equal(t, must(cache.Incr(ctx, n64, "k", 1))(t), want+1)
		}
		q := open(t, e.st, "q", &cache.Options[int64, string]{Values: sealed, MinFileSize: 500})
		for _, item := range []string{"x", big} {
			k := must(q.Queue("").PushBack(ctx, item))(t)
			v, _, err := q.Get(ctx, k)
			ok(t, err)
			equal(t, v, item)
			ent, _, err := q.Queue("").PopFront(ctx)
			ok(t, err)
			equal(t, ent.Value, item)
		}
	})
}

func first[T any](all []T) (v T) {
	if len(all) > 0 {
		v = all[0]
	}
	return v
}

// Keys that are equal are the same location, however they are written.
func TestSealedEqualKeys(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		sealed := must(codec.Seal(codec.String[string](), sealKey))(t)
		floats := open(t, e.st, "f", &cache.Options[float64, string]{Values: sealed})
		negative := math.Copysign(0, -1)
		ok(t, floats.Set(ctx, 0, "zero"))
		v, _, err := floats.Get(ctx, negative)
		ok(t, err)
		equal(t, v, "zero")
		ok(t, floats.Set(ctx, negative, "zero again"))
		es := must(cache.Collect(floats.All(ctx)))(t)
		equal(t, len(es), 1)
		equal(t, es[0].Value, "zero again")
	})
}

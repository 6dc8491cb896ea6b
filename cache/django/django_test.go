package django_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/django"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// must returns a function that fails the test that it is given on an error, and returns
// what else a call has returned.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

// clock is the time of a store.
type clock struct{ now time.Time }

func open[V any](t *testing.T, dir string, o *django.Options[V]) *django.Cache[V] {
	t.Helper()
	c, err := django.Open(t.Context(), dir, o)
	ok(t, err)
	t.Cleanup(func() { ok(t, c.Close()) })
	return c
}

// has demands a value, or none.
func has[V comparable](t *testing.T, c *django.Cache[V], key string, want V, found bool) {
	t.Helper()
	v, yes, err := c.Get(t.Context(), key)
	ok(t, err)
	if v != want || yes != found {
		t.Errorf("%s: got %v, %v, want %v, %v", key, v, yes, want, found)
	}
}

// A subtest for each method of DjangoCache.
func TestParity(t *testing.T) {
	ctx := t.Context()
	for _, row := range []struct {
		name string
		fn   func(t *testing.T, c *django.Cache[string], clock *clock)
	}{
		{"set, get", func(t *testing.T, c *django.Cache[string], clock *clock) {
			has(t, c, "k", "", false)
			ok(t, c.Set(ctx, "k", "default"))
			ok(t, c.Set(ctx, "minute", "v", cache.TTL(time.Minute), cache.Tag("t")))
			ok(t, c.Set(ctx, "None", "v", cache.NoExpiry()))
			ok(t, c.Set(ctx, "0", "v"))
			ok(t, c.Set(ctx, "0", "v", django.Timeout(0)))
			has(t, c, "0", "", false)
			clock.now = clock.now.Add(59 * time.Second)
			has(t, c, "minute", "v", true)
			clock.now = clock.now.Add(time.Second)
			has(t, c, "minute", "", false)
			clock.now = clock.now.Add(239 * time.Second)
			has(t, c, "k", "default", true)
			clock.now = clock.now.Add(time.Second)
			has(t, c, "k", "", false)
			has(t, c, "None", "v", true)
		}},
		{"get(expire_time, tag)", func(t *testing.T, c *django.Cache[string], clock *clock) {
			ok(t, c.Set(ctx, "k", "v", cache.Tag("t")))
			e, found, err := c.Cache().GetEntry(ctx, c.Key("k"))
			ok(t, err)
			equal(t, found, true)
			equal(t, e.Key, "p:1:k")
			equal(t, e.Tag.Text(), "t")
			equal(t, e.Expiry.Sub(clock.now), 300*time.Second)
		}},
		{"version", func(t *testing.T, c *django.Cache[string], clock *clock) {
			ok(t, c.Set(ctx, "k", "1"))
			ok(t, c.Version(2).Set(ctx, "k", "2"))
			has(t, c, "k", "1", true)
			has(t, c.Version(2), "k", "2", true)
			has(t, c.Version(2).Version(1), "k", "1", true)
			has(t, c.Version(0), "k", "", false)
		}},
		{"read, set(read)", func(t *testing.T, c *django.Cache[string], clock *clock) {
			_, found, err := c.OpenValue(ctx, "k")
			ok(t, err)
			equal(t, found, false)
			ok(t, c.SetFrom(ctx, "k", strings.NewReader("streamed")))
			has(t, c, "k", "streamed", true)
			f, found, err := c.OpenValue(ctx, "k")
			ok(t, err)
			equal(t, found, true)
			defer f.Close()
			equal(t, string(must(io.ReadAll(f))(t)), "streamed")
			equal(t, f.Expiry.Sub(clock.now), 300*time.Second)
			path, err := filepath.Rel(c.Cache().Store().Dir(), f.Name())
			ok(t, err)
			if !filepath.IsAbs(f.Name()) || !filepath.IsLocal(path) || filepath.Ext(path) != ".val" {
				t.Errorf("%s", f.Name())
			}
			ok(t, c.Set(ctx, "small", "v"))
			small, _, err := c.OpenValue(ctx, "small")
			ok(t, err)
			defer small.Close()
			equal(t, small.Name(), "")
		}},
		{"add", func(t *testing.T, c *django.Cache[string], clock *clock) {
			equal(t, must(c.Add(ctx, "k", "1"))(t), true)
			equal(t, must(c.Add(ctx, "k", "2"))(t), false)
			has(t, c, "k", "1", true)
			clock.now = clock.now.Add(300 * time.Second)
			equal(t, must(c.Add(ctx, "k", "3", django.Timeout(time.Second)))(t), true)
			clock.now = clock.now.Add(time.Second)
			has(t, c, "k", "", false)
		}},
		{"get_or_set", func(t *testing.T, c *django.Cache[string], clock *clock) {
			v, loaded, err := c.GetOrSet(ctx, "k", "1")
			ok(t, err)
			equal(t, v == "1" && !loaded, true)
			v, loaded, err = c.GetOrSet(ctx, "k", "2")
			ok(t, err)
			equal(t, v == "1" && loaded, true)
			clock.now = clock.now.Add(300 * time.Second)
			has(t, c, "k", "", false)
		}},
		{"touch", func(t *testing.T, c *django.Cache[string], clock *clock) {
			equal(t, must(c.Touch(ctx, "k"))(t), false)
			ok(t, c.Set(ctx, "k", "v", cache.TTL(time.Minute)))
			equal(t, must(c.Touch(ctx, "k"))(t), true)
			clock.now = clock.now.Add(299 * time.Second)
			has(t, c, "k", "v", true)
			equal(t, must(c.Touch(ctx, "k", cache.NoExpiry()))(t), true)
			clock.now = clock.now.Add(time.Hour)
			has(t, c, "k", "v", true)
			equal(t, must(c.Touch(ctx, "k", django.Timeout(-1)))(t), true)
			has(t, c, "k", "", false)
		}},
		{"pop", func(t *testing.T, c *django.Cache[string], clock *clock) {
			ok(t, c.Set(ctx, "k", "v"))
			v, found, err := c.Pop(ctx, "k")
			ok(t, err)
			equal(t, v == "v" && found, true)
			_, found, err = c.Pop(ctx, "k")
			ok(t, err)
			equal(t, found, false)
		}},
		{"delete", func(t *testing.T, c *django.Cache[string], clock *clock) {
			ok(t, c.Set(ctx, "k", "v"))
			equal(t, must(c.Version(2).Delete(ctx, "k"))(t), false)
			equal(t, must(c.Delete(ctx, "k"))(t), true)
			equal(t, must(c.Delete(ctx, "k"))(t), false)
		}},
		{"has_key", func(t *testing.T, c *django.Cache[string], clock *clock) {
			ok(t, c.Set(ctx, "k", "v"))
			equal(t, must(c.Contains(ctx, "k"))(t), true)
			equal(t, must(c.Version(2).Contains(ctx, "k"))(t), false)
			clock.now = clock.now.Add(300 * time.Second)
			equal(t, must(c.Contains(ctx, "k"))(t), false)
		}},
		{"incr, decr", func(t *testing.T, c *django.Cache[string], clock *clock) {
			n, err := django.New[int](ctx, c.Cache().Store(), nil)
			ok(t, err)
			_, err = django.Incr(ctx, n, "n", 1)
			is(t, err, cache.ErrNotFound)
			_, err = django.Decr(ctx, n, "n", 1)
			is(t, err, cache.ErrNotFound)
			ok(t, n.Set(ctx, "n", 1, cache.TTL(time.Minute), cache.Tag("t")))
			equal(t, must(django.Incr(ctx, n, "n", 5))(t), 6)
			equal(t, must(django.Decr(ctx, n, "n", 8))(t), -2)
			e, _, err := n.Cache().GetEntry(ctx, n.Key("n"))
			ok(t, err)
			equal(t, e.Expiry.Sub(clock.now), time.Minute)
			equal(t, e.Tag.Text(), "t")
			equal(t, must(cache.Incr(ctx, n.Cache(), n.Key("new"), 1, cache.Initial(10)))(t), 11)
		}},
		{"get_many, set_many, delete_many", func(t *testing.T, c *django.Cache[string], clock *clock) {
			ok(t, c.SetMany(ctx, maps.All(map[string]string{"a": "1", "b": "2", "c": "3"}), cache.Tag("t")))
			ok(t, c.SetMany(ctx, maps.All(map[string]string{"d": "4"}), django.Timeout(time.Second)))
			is(t, c.SetMany(ctx, nil), cache.ErrInvalid)
			many := func(keys ...string) (out string) {
				es, err := c.GetMany(ctx, keys...)
				ok(t, err)
				for _, e := range es {
					out += e.Key + e.Value + " "
				}
				return out
			}
			equal(t, many("none", "c", "c", "other", "d", "a", "none"), "c3 c3 d4 a1 ")
			equal(t, many(), "")
			clock.now = clock.now.Add(time.Second)
			equal(t, many("d", "b"), "b2 ")
			equal(t, must(c.DeleteMany(ctx, "a", "none", "c"))(t), 2)
			equal(t, many("a", "b", "c"), "b2 ")
			clock.now = clock.now.Add(299 * time.Second)
			equal(t, many("b"), "")
		}},
		{"incr_version, decr_version", func(t *testing.T, c *django.Cache[string], clock *clock) {
			_, err := c.IncrVersion(ctx, "k", 1)
			is(t, err, cache.ErrNotFound)
			equal(t, err.Error(), `cache: IncrVersion: `+cache.ErrNotFound.Error())
			ok(t, c.Set(ctx, "k", "v", cache.NoExpiry()))
			equal(t, must(c.IncrVersion(ctx, "k", 2))(t), 3)
			has(t, c, "k", "", false)
			has(t, c.Version(3), "k", "v", true)
			equal(t, must(c.Version(3).DecrVersion(ctx, "k", 1))(t), 2)
			has(t, c.Version(3), "k", "", false)
			has(t, c.Version(2), "k", "v", true)
			equal(t, must(c.Version(2).IncrVersion(ctx, "k", 0))(t), 2)
			has(t, c.Version(2), "k", "v", true)
			clock.now = clock.now.Add(300 * time.Second)
			has(t, c.Version(2), "k", "", false)
			oops := errors.New("oops")
			ok(t, c.Set(ctx, "k", "v"))
			err = c.Cache().Update(ctx, func(tx *cache.Tx) error {
				must(c.In(tx).IncrVersion(ctx, "k", 1))(t)
				return oops
			})
			is(t, err, oops)
			has(t, c, "k", "v", true)
		}},
		{"clear", func(t *testing.T, c *django.Cache[string], clock *clock) {
			below := must(cache.New[string, string](ctx, c.Cache().Store(), "below", nil))(t)
			ok(t, below.Set(ctx, "k", "v"))
			for i := range 20 {
				ok(t, c.Version(i).Set(ctx, "k", "v"))
			}
			equal(t, must(c.Clear(ctx))(t), 20)
			equal(t, must(c.Cache().Len(ctx))(t), 0)
			equal(t, must(below.Len(ctx))(t), 1)
		}},
		{"expire, evict, cull, stats, tag_index", func(t *testing.T, c *django.Cache[string], clock *clock) {
			all := c.Cache()
			must(all.Configure(ctx, func(s *cache.Settings) { s.CullLimit, s.Statistics, s.TagIndex = 0, true, true }))(t)
			ok(t, c.Set(ctx, "k", "v"))
			ok(t, c.Set(ctx, "t", "v", cache.Tag("t"), cache.NoExpiry()))
			has(t, c, "k", "v", true)
			has(t, c, "none", "", false)
			equal(t, must(all.Stats(ctx))(t), cache.Stats{Hits: 1, Misses: 1})
			equal(t, must(all.Evict(ctx, cache.Tag("t")))(t), 1)
			clock.now = clock.now.Add(300 * time.Second)
			equal(t, must(all.Expire(ctx))(t), 1)
			equal(t, must(all.Cull(ctx))(t), 0)
		}},
		{"cache, deque, index, directory", func(t *testing.T, c *django.Cache[string], clock *clock) {
			st := c.Cache().Store()
			must(cache.New[string, string](ctx, st, "a", nil))(t)
			must(deque.New[string](ctx, st, "b", nil))(t)
			must(index.New[string, string](ctx, st, "c", nil))(t)
			for _, name := range []string{"cache/a", "deque/b", "index/c", "000", "002"} {
				if found := must(filepath.Glob(filepath.Join(st.Dir(), name, "cache.db")))(t); len(found) != 1 {
					t.Errorf("no database in %s", name)
				}
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			clock := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
			row.fn(t, open(t, t.TempDir(), &django.Options[string]{
				KeyPrefix: "p",
				Shards:    3,
				Store:     &cache.StoreOptions{Now: func() time.Time { return clock.now }},
			}), clock)
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	plain := open[string](t, dir, nil)
	equal(t, plain.Key("k"), ":1:k")
	if _, err := os.Stat(filepath.Join(dir, "007", "cache.db")); err != nil {
		t.Error(err) // eight shards
	}
	c := open(t, dir, &django.Options[string]{KeyPrefix: "a", Version: 7, Timeout: cache.NoExpiry()})
	equal(t, c.Key("k"), "a:7:k")
	equal(t, c.Version(-1).Key(""), "a:-1:")
	ok(t, c.Set(ctx, "k", "v"))
	e, _, err := c.Cache().GetEntry(ctx, "a:7:k")
	ok(t, err)
	equal(t, e.Expiry.IsZero(), true)
	over := open(t, dir, &django.Options[string]{Timeout: django.Timeout(0)})
	ok(t, over.Set(ctx, "over", "v"))
	has(t, over, "over", "", false)
	ok(t, over.Set(ctx, "over", "v", cache.TTL(time.Hour)))
	has(t, over, "over", "v", true)

	reversed := open(t, dir, &django.Options[string]{KeyPrefix: "x", KeyFunc: func(key, prefix string, version int) string {
		return fmt.Sprint(key, "/", version, "/", prefix)
	}})
	equal(t, reversed.Version(3).Key("k"), "k/3/x")
	ok(t, reversed.Set(ctx, "k", "v"))
	has(t, plain, "k", "", false)
	equal(t, must(reversed.Cache().Contains(ctx, "k/1/x"))(t), true)
	// Versions that the function does not tell apart.
	same := open(t, dir, &django.Options[string]{KeyFunc: func(key, _ string, _ int) string { return key }})
	ok(t, same.Set(ctx, "same", "v"))
	equal(t, must(same.IncrVersion(ctx, "same", 1))(t), 2)
	has(t, same, "same", "v", true)
	es := must(same.GetMany(ctx, "none", "same"))(t)
	equal(t, len(es) == 1 && es[0].Key == "same", true)

	for name, o := range map[string]*django.Options[string]{
		"shards twice":      {Store: &cache.StoreOptions{Shards: 8}},
		"other shards":      {Shards: 4},
		"contradictory TTL": {Timeout: cache.TTL(-1)},
	} {
		c, err := django.Open(ctx, dir, o)
		if err == nil {
			err = c.Set(ctx, "k", "v")
			ok(t, c.Close())
		}
		if is(t, err, cache.ErrInvalid); t.Failed() {
			t.Fatal(name)
		}
	}
	for _, o := range []*django.Options[string]{{Shards: 8}, {Store: &cache.StoreOptions{}}} {
		_, err = django.New(ctx, plain.Cache().Store(), o)
		is(t, err, cache.ErrInvalid)
	}
	is(t, c.Set(ctx, "k", "v", cache.TTL(1), cache.NoExpiry()), cache.ErrInvalid)
	is(t, c.Set(ctx, "k", "v", cache.TTL(0)), cache.ErrInvalid)
	opts := make([]cache.Option, 1, 2)
	opts[0] = cache.Tag("t")
	ok(t, c.Set(ctx, "k", "v", opts...))
	equal(t, opts[:2][1] == nil, true) // the caller's slice is not written to
}

// Values of several types are in one cache, and each is read as what it is.
func TestTypes(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	texts, numbers := open[string](t, dir, nil), open[int64](t, dir, nil)
	floats, blobs := open[float64](t, dir, nil), open[[]byte](t, dir, nil)
	type point struct{ X, Y int }
	points := open[point](t, dir, nil)
	ok(t, texts.Set(ctx, "text", "t"))
	ok(t, numbers.Set(ctx, "number", 5))
	ok(t, floats.Set(ctx, "float", 0.5))
	ok(t, blobs.Set(ctx, "blob", []byte("b")))
	ok(t, points.Set(ctx, "point", point{1, 2}))
	has(t, texts, "text", "t", true)
	has(t, numbers, "number", 5, true)
	has(t, floats, "float", 0.5, true)
	has(t, points, "point", point{1, 2}, true)
	equal(t, string(must2(blobs.Get(ctx, "blob"))(t)), "b")
	for _, key := range []string{"text", "float", "blob", "point"} {
		_, _, err := numbers.Get(ctx, key)
		is(t, err, cache.ErrCodecMismatch)
	}
	lenient := open(t, dir, &django.Options[int64]{SkipUndecodable: true})
	has(t, lenient, "text", 0, false)

	// A codec that depends on where a value is stays with the collection.
	key := slices.Repeat([]byte("k"), 32)
	sealed, err := codec.Seal(codec.String[string](), key)
	ok(t, err)
	dir = t.TempDir()
	secrets := open(t, dir, &django.Options[string]{Values: sealed})
	ok(t, secrets.Set(ctx, "k", "v"))
	has(t, secrets, "k", "v", true)
	_, err = django.Open(ctx, dir, &django.Options[string]{Values: codec.Zlib(sealed, 1)})
	is(t, err, cache.ErrCodecMismatch)
}

func must2[T any](v T, _ bool, err error) func(testing.TB) T { return must(v, err) }

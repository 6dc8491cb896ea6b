package cache_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// TestParity has a subtest for each row of the comparison with DiskCache's
// Cache, named after what DiskCache calls it.
func TestParity(t *testing.T) {
	type str = cache.Cache[string, string]
	for _, row := range []struct {
		name string
		fn   func(t *testing.T, e *env)
	}{
		{"Cache(directory)", func(t *testing.T, e *env) {
			a := open[string, string](t, e.st, "", nil)
			set(t, a, "k", "v")
			b := open[string, string](t, e.reopen(0, false), "", nil)
			has(t, b, "k", "v")
		}},
		{"close", func(t *testing.T, e *env) {
			st := e.reopen(0, false)
			c := open[string, string](t, st, "", nil)
			ok(t, st.Close())
			ok(t, st.Close())
			_, _, err := c.Get(t.Context(), "k")
			is(t, err, cache.ErrClosed)
			is(t, c.Set(t.Context(), "k", "v"), cache.ErrClosed)
			is(t, st.Update(t.Context(), func(*cache.Tx) error { return nil }), cache.ErrClosed)

			one := open[string, string](t, e.st, "x", nil)
			two := open[string, string](t, e.st, "x", nil)
			ok(t, one.Close())
			ok(t, one.Close())
			is(t, one.Set(t.Context(), "k", "v"), cache.ErrClosed)
			set(t, two, "k", "v")
		}},
		{"get", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			has(t, c, "k", "")
			set(t, c, "k", "v", cache.TTL(time.Minute), cache.Tag("t"))
			has(t, c, "k", "v")
			ent, found, err := c.GetEntry(t.Context(), "k")
			ok(t, err)
			equal(t, found, true)
			equal(t, ent.Value, "v")
			equal(t, ent.Tag.Text(), "t")
			equal(t, ent.Size, 1)
			equal(t, ent.Expiry.Sub(e.clock.Now()).Round(time.Second), time.Minute)
			e.clock.Advance(time.Minute)
			has(t, c, "k", "")
			length(t, c, 1) // a read removes nothing
		}},
		{"set", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			for _, k := range []string{"a", "b", "c"} {
				set(t, c, k, "1")
			}
			set(t, c, "a", "2")
			equal(t, strings.Join(must(cache.Collect(c.Keys(t.Context())))(t), ""), "abc")
			set(t, c, "a", strings.Repeat("x", 100_000))
			has(t, c, "a", strings.Repeat("x", 100_000))
			set(t, c, "a", "3")
			has(t, c, "a", "3")
		}},
		{"set(read=True)", func(t *testing.T, e *env) {
			c := open[string, []byte](t, e.st, "", nil)
			ok(t, c.SetFrom(t.Context(), "k", strings.NewReader("short"), cache.Tag(1)))
			v, found, err := c.Get(t.Context(), "k")
			ok(t, err)
			equal(t, found, true)
			equal(t, string(v), "short")
			f, found, err := c.OpenValue(t.Context(), "k")
			ok(t, err)
			equal(t, found, true)
			got, err := io.ReadAll(f)
			ok(t, err)
			equal(t, string(got), "short")
			ok(t, f.Close())
		}},
		{"add", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			equal(t, must(c.Add(t.Context(), "k", "1", cache.TTL(time.Second)))(t), true)
			equal(t, must(c.Add(t.Context(), "k", "2"))(t), false)
			has(t, c, "k", "1")
			e.clock.Advance(time.Second)
			equal(t, must(c.Add(t.Context(), "k", "3"))(t), true)
			has(t, c, "k", "3")
			var wg sync.WaitGroup
			var mu sync.Mutex
			added := 0
			for range 8 {
				wg.Go(func() {
					if yes, err := c.Add(t.Context(), "race", "x"); err != nil {
						t.Error(err)
					} else if yes {
						mu.Lock()
						added++
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			equal(t, added, 1)
		}},
		{"touch", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			set(t, c, "k", "v", cache.TTL(time.Second))
			equal(t, must(c.Touch(t.Context(), "k", cache.TTL(time.Hour)))(t), true)
			e.clock.Advance(time.Minute)
			has(t, c, "k", "v")
			equal(t, must(c.Touch(t.Context(), "k"))(t), true)
			e.clock.Advance(time.Hour)
			has(t, c, "k", "v")
			equal(t, must(c.Touch(t.Context(), "none"))(t), false)
			set(t, c, "gone", "v", cache.TTL(time.Second))
			e.clock.Advance(time.Second)
			equal(t, must(c.Touch(t.Context(), "gone", cache.NoExpiry()))(t), false)
		}},
		{"incr", func(t *testing.T, e *env) {
			ctx := t.Context()
			c := open[string, int64](t, e.st, "ints", nil)
			equal(t, must(cache.Incr(ctx, c, "n", 1))(t), 1)
			equal(t, must(cache.Incr(ctx, c, "n", 5))(t), 6)
			equal(t, must(cache.Decr(ctx, c, "n", 10))(t), -4)
			equal(t, must(cache.Incr(ctx, c, "z", 2, cache.Initial(10)))(t), 12)
			_, err := cache.Incr(ctx, c, "q", 1, cache.MustExist())
			is(t, err, cache.ErrNotFound)
			ok(t, c.Set(ctx, "max", math.MaxInt64))
			_, err = cache.Incr(ctx, c, "max", 1)
			is(t, err, cache.ErrOverflow)
			n, _, err := c.Get(ctx, "max")
			ok(t, err)
			equal(t, n, math.MaxInt64)

			// An entry keeps its expiry and tag; one that has expired is none.
			equal(t, must(cache.Incr(ctx, c, "t", 1, cache.TTL(time.Minute), cache.Tag("x")))(t), 1)
			e.clock.Advance(59 * time.Second)
			equal(t, must(cache.Incr(ctx, c, "t", 1, cache.TTL(time.Hour), cache.Tag("y")))(t), 2)
			ent, _, err := c.GetEntry(ctx, "t")
			ok(t, err)
			equal(t, ent.Tag.Text(), "x")
			e.clock.Advance(time.Second)
			equal(t, must(cache.Incr(ctx, c, "t", 1))(t), 1)
			ent, _, err = c.GetEntry(ctx, "t")
			ok(t, err)
			equal(t, ent.Tag.IsNull(), true)
			equal(t, ent.Expiry.IsZero(), true)

			f := open[string, float64](t, e.st, "floats", nil)
			equal(t, must(cache.Incr(ctx, f, "n", 0.5))(t), 0.5)
			equal(t, must(cache.Decr(ctx, f, "n", 2, cache.Initial(1)))(t), -1.5)
			ok(t, f.Set(ctx, "max", math.MaxFloat64))
			_, err = cache.Incr(ctx, f, "max", math.MaxFloat64)
			is(t, err, cache.ErrOverflow)

			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 10 {
						if _, err := cache.Incr(ctx, c, "race", 1); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			equal(t, must(cache.Incr(ctx, c, "race", 0))(t), 80)
		}},
		{"pop", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			set(t, c, "k", "v", cache.Tag(7))
			big := strings.Repeat("big", 50_000)
			set(t, c, "big", big)
			v, found, err := c.Pop(t.Context(), "big")
			ok(t, err)
			equal(t, found && v == big, true)
			ent, found, err := c.PopEntry(t.Context(), "k")
			ok(t, err)
			equal(t, found, true)
			equal(t, ent.Value, "v")
			equal(t, ent.Tag.Integer(), 7)
			length(t, c, 0)
			set(t, c, "k", "v", cache.TTL(time.Second))
			e.clock.Advance(time.Second)
			_, found, err = c.Pop(t.Context(), "k")
			ok(t, err)
			equal(t, found, false)
		}},
		{"delete", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			set(t, c, "k", "v")
			equal(t, must(c.Delete(t.Context(), "k"))(t), true)
			equal(t, must(c.Delete(t.Context(), "k"))(t), false)
			set(t, c, "k", "v", cache.TTL(time.Second))
			e.clock.Advance(time.Second)
			equal(t, must(c.Delete(t.Context(), "k"))(t), false)
		}},
		{"in, len, volume", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			equal(t, must(c.Contains(t.Context(), "k"))(t), false)
			set(t, c, "k", strings.Repeat("v", 40_000), cache.TTL(time.Second))
			equal(t, must(c.Contains(t.Context(), "k"))(t), true)
			vol := must(c.Store().Volume(t.Context()))(t)
			var sum int64
			for _, n := range vol.Parts {
				sum += n
			}
			if vol.Total < 40_000 || vol.Total != sum {
				t.Fatalf("volume %+v", vol)
			}
			length(t, c, 1)
			e.clock.Advance(time.Second)
			equal(t, must(c.Contains(t.Context(), "k"))(t), false)
			length(t, c, 1)
		}},
		{"expire", func(t *testing.T, e *env) {
			c := open(t, e.st, "", &cache.Options[int, string]{CullLimit: -1})
			for i := range 600 {
				ok(t, c.Set(t.Context(), i, "v", cache.TTL(time.Second)))
			}
			ok(t, c.Set(t.Context(), -1, "v"))
			e.clock.Advance(time.Second)
			length(t, c, 601)
			equal(t, must(c.Expire(t.Context()))(t), 600)
			length(t, c, 1)
		}},
		{"evict(tag)", func(t *testing.T, e *env) {
			c := open(t, e.st, "", &cache.Options[string, string]{TagIndex: true})
			type name string
			set(t, c, "int", "v", cache.Tag(1))
			set(t, c, "uint", "v", cache.Tag(uint8(1)))
			set(t, c, "float", "v", cache.Tag(1.5))
			set(t, c, "text", "v", cache.Tag(name("t")))
			set(t, c, "bytes", "v", cache.Tag([]byte("t")))
			set(t, c, "none", "v")
			tagged := must(cache.Collect(c.Tagged(t.Context(), cache.Tag(1.0))))(t)
			equal(t, len(tagged), 2)
			equal(t, tagged[0].Key+tagged[1].Key, "intuint")
			equal(t, must(c.Evict(t.Context(), cache.Tag(1)))(t), 2)
			equal(t, must(c.Evict(t.Context(), cache.Tag(1.5)))(t), 1)
			equal(t, must(c.Evict(t.Context(), cache.TagValue{Value: codec.TextValue("t")}))(t), 1)
			equal(t, must(c.Evict(t.Context(), cache.Tag([]byte("t"))))(t), 1)
			has(t, c, "none", "v")
		}},
		{"tag_index", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			equal(t, c.Settings().TagIndex, false)
			for _, on := range []bool{true, true, false, false} {
				must(c.Configure(t.Context(), func(s *cache.Settings) { s.TagIndex = on }))(t)
				equal(t, c.Settings().TagIndex, on)
			}
		}},
		{"cull", func(t *testing.T, e *env) {
			c := open(t, e.st, "", &cache.Options[int, string]{CullLimit: -1, SizeLimit: 300_000})
			for i := range 60 {
				ok(t, c.Set(t.Context(), i, strings.Repeat("x", 10_000)))
				e.clock.Advance(time.Second)
			}
			length(t, c, 60)
			if n := must(c.Cull(t.Context()))(t); n < 20 || n > 50 {
				t.Fatalf("culled %d of 60", n)
			}
			equal(t, must(c.Contains(t.Context(), 0))(t), false)
			equal(t, must(c.Contains(t.Context(), 59))(t), true)
			equal(t, must(c.Cull(t.Context()))(t), 0)
		}},
		{"clear", func(t *testing.T, e *env) {
			c := open[int, string](t, e.st, "", nil)
			ok(t, c.SetMany(t.Context(), func(yield func(int, string) bool) {
				for i := 0; i < 700 && yield(i, "v"); i++ {
				}
			}))
			equal(t, must(c.Clear(t.Context()))(t), 700)
			length(t, c, 0)
			equal(t, must(c.Clear(t.Context()))(t), 0)
		}},
		{"iteration, reversed", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			for _, k := range []string{"c", "a", "b"} {
				set(t, c, k, strings.ToUpper(k))
			}
			set(t, c, "x", "X", cache.TTL(time.Second))
			e.clock.Advance(time.Second)
			ctx := t.Context()
			equal(t, strings.Join(must(cache.Collect(c.Keys(ctx)))(t), ""), "cab")
			var all string
			for ent, err := range c.All(ctx) {
				ok(t, err)
				all += ent.Key + ent.Value
			}
			for ent, err := range c.Backward(ctx) {
				ok(t, err)
				all += ent.Key
			}
			equal(t, all, "cCaAbBbac")
		}},
		{"iterkeys", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			for _, k := range []string{"b", "aa", "c", "a", "ab"} {
				set(t, c, k, "v")
			}
			ctx := t.Context()
			r := c.Sorted()
			for _, tt := range []struct {
				r    cache.Range[string, string]
				want string
			}{
				{r, "a aa ab b c"},
				{r.From("aa"), "aa ab b c"},
				{r.After("aa"), "ab b c"},
				{r.To("ab"), "a aa ab"},
				{r.Before("ab"), "a aa"},
				{r.Prefix("a"), "a aa ab"},
				{r.Prefix(""), "a aa ab b c"},
				{r.Prefix("a").After("a").Before("b"), "aa ab"},
				{r.After("a").From("a").To("b").Before("b"), "aa ab"},
				{r.From("x"), ""},
				{r.From("a").Before("c").Skip(1).Limit(2), "aa ab"},
				{r.Limit(1).Skip(9).Limit(2).Skip(1), "aa ab"},
				{r.Desc().Skip(1).To("b").Limit(2), "ab aa"},
			} {
				keys := must(cache.Collect(tt.r.Keys(ctx)))(t)
				equal(t, strings.Join(keys, " "), tt.want)
				var entries []string
				for ent, err := range tt.r.All(ctx) {
					ok(t, err)
					entries = append(entries, ent.Key)
				}
				equal(t, strings.Join(entries, " "), tt.want)
			}
			keys := must(cache.Collect(r.Desc().Keys(ctx)))(t)
			equal(t, strings.Join(keys, " "), "c b ab aa a")
			equal(t, len(must(cache.Collect(r.Keys(ctx)))(t)), 5) // none of them has changed r
		}},
		{"peekitem", func(t *testing.T, e *env) {
			c := open(t, e.st, "", &cache.Options[string, string]{CullLimit: -1})
			_, found, err := c.First(t.Context())
			ok(t, err)
			equal(t, found, false)
			set(t, c, "x", "1", cache.TTL(time.Second))
			set(t, c, "a", "2")
			set(t, c, "b", strings.Repeat("3", 40_000))
			set(t, c, "y", "4", cache.TTL(time.Second))
			e.clock.Advance(time.Second)
			length(t, c, 4)
			first, found, err := c.First(t.Context())
			ok(t, err)
			equal(t, found, true)
			equal(t, first.Key+first.Value, "a2")
			length(t, c, 3)
			last, found, err := c.Last(t.Context())
			ok(t, err)
			equal(t, found, true)
			equal(t, last.Key, "b")
			equal(t, len(last.Value), 40_000)
			length(t, c, 2)
		}},
		{"push, pull, peek", testQueue},
		{"stats", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			set(t, c, "k", "v")
			has(t, c, "k", "v")
			counted := func(s cache.Stats, err error) cache.Stats {
				t.Helper()
				ok(t, err)
				return s
			}
			equal(t, counted(c.Stats(t.Context())), cache.Stats{})
			must(c.Configure(t.Context(), func(s *cache.Settings) { s.Statistics = true }))(t)
			has(t, c, "k", "v")
			has(t, c, "k", "v")
			has(t, c, "none", "")
			equal(t, must(c.Contains(t.Context(), "none"))(t), false)
			equal(t, counted(c.ResetStats(t.Context())), cache.Stats{Hits: 2, Misses: 1})
			equal(t, counted(c.Stats(t.Context())), cache.Stats{})
			must(c.Configure(t.Context(), func(s *cache.Settings) { s.Statistics = false }))(t)
			has(t, c, "k", "v")
			equal(t, counted(c.Stats(t.Context())), cache.Stats{})
		}},
		{"check", func(t *testing.T, e *env) {
			set(t, open[string, string](t, e.st, "", nil), "k", strings.Repeat("v", 40_000))
			var last cache.Report
			r := must(e.st.Check(t.Context(), &cache.CheckOptions{Mend: true, Progress: func(r cache.Report) { last = r }}))(t)
			if !r.OK() || r.Rows != 1 || last.Rows != 1 {
				t.Fatalf("report %+v, the last progress %+v", r, last)
			}
		}},
		{"check: undecodable", func(t *testing.T, e *env) {
			text := open[string, string](t, e.st, "x", &cache.Options[string, string]{Values: renamed[string]{codec.String[string]()}})
			set(t, text, "k", "not a number")
			ints := open(t, e.reopen(0, false), "x", &cache.Options[string, int]{Values: renamed[int]{codec.Int[int]()}})
			r := must(ints.Store().Check(t.Context(), nil))(t)
			if len(r.Problems) != 1 || r.Problems[0].Kind != driver.Undecodable || r.Problems[0].Collection != "cache/x" {
				t.Fatalf("report %+v", r)
			}
		}},
		{"transact", func(t *testing.T, e *env) {
			a, b := open[string, string](t, e.st, "a", nil), open[string, int](t, e.st, "b", nil)
			ctx := t.Context()
			move := func(fail error) error {
				return e.st.Update(ctx, func(tx *cache.Tx) error {
					if err := a.In(tx).Set(ctx, "k", "v"); err != nil {
						return err
					}
					has(t, a.In(tx), "k", "v")
					if _, err := cache.Incr(ctx, b.In(tx), "n", 1); err != nil {
						return err
					}
					return fail
				})
			}
			oops := errors.New("oops")
			equal(t, move(oops), oops)
			has(t, a, "k", "")
			ok(t, move(nil))
			has(t, a, "k", "v")
			equal(t, must(cache.Incr(ctx, b, "n", 0))(t), 1)
		}},
		{"reset(key, value)", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			s := must(c.Configure(t.Context(), func(s *cache.Settings) {
				s.Policy, s.SizeLimit, s.CullLimit = cache.LeastFrequentlyUsed, -1, 3
			}))(t)
			equal(t, s, c.Settings())
			equal(t, s.SizeLimit, math.MaxInt64)
			other := open[string, string](t, e.reopen(0, false), "", nil)
			equal(t, other.Settings(), s)
			_, err := c.Configure(t.Context(), func(s *cache.Settings) { s.Policy = "random" })
			is(t, err, cache.ErrInvalid)
			equal(t, c.Settings(), s)
		}},
		{"settings", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			equal(t, c.Settings(), cache.Settings{
				Policy: cache.LeastRecentlyStored, SizeLimit: 1 << 30, CullLimit: 10, MinFileSize: 32 << 10,
			})
			o := &cache.Options[string, string]{SizeLimit: 5, CullLimit: -1, MinFileSize: -1, Statistics: true}
			c = open(t, e.st, "", o)
			equal(t, c.Settings(), cache.Settings{
				Policy: cache.LeastRecentlyStored, SizeLimit: 5, MinFileSize: math.MaxInt64, Statistics: true,
			})
			equal(t, o.Keys == nil && o.Family == "", true) // the caller's struct is not changed
			p := open(t, e.st, "p", &cache.Options[string, string]{Persistent: true})
			equal(t, p.Settings().Policy, cache.NoEviction)
			equal(t, must(p.Configure(t.Context(), func(s *cache.Settings) { s.SizeLimit = 1 }))(t).SizeLimit, math.MaxInt64)
		}},
		{"eviction_policy", testPolicies},
		{"item larger than size_limit", func(t *testing.T, e *env) {
			c := open(t, e.st, "", &cache.Options[string, string]{SizeLimit: 50_000})
			set(t, c, "k", "v")
			is(t, c.Set(t.Context(), "big", strings.Repeat("x", 50_001)), cache.ErrTooLarge)
			is(t, c.SetFrom(t.Context(), "big", strings.NewReader(strings.Repeat("x", 50_001))), cache.ErrTooLarge)
			_, err := c.Add(t.Context(), "big", strings.Repeat("x", 50_001))
			is(t, err, cache.ErrTooLarge)
			has(t, c, "k", "v")
			length(t, c, 1)
		}},
		{"Timeout, retry", testTimeout},
		{"Disk", func(t *testing.T, e *env) {
			type page struct {
				Title string
				Links []string
			}
			z := codec.Zlib(codec.JSON[page](), 1)
			c := open(t, e.st, "z", &cache.Options[string, page]{Values: z})
			ok(t, c.Set(t.Context(), "k", page{"T", []string{"a"}}))
			p, _, err := c.Get(t.Context(), "k")
			ok(t, err)
			equal(t, p.Title+p.Links[0], "Ta")
			_, err = cache.New[string, page](t.Context(), e.reopen(0, false), "z", nil)
			is(t, err, cache.ErrCodecMismatch)
		}},
		{"native types", func(t *testing.T, e *env) {
			c := open[float64, []byte](t, e.st, "", nil)
			ok(t, c.Set(t.Context(), 1, []byte("v")))
			equal(t, must(c.Contains(t.Context(), 1.0))(t), true)
			is(t, c.Set(t.Context(), math.NaN(), nil), cache.ErrInvalid)
			v, found, err := c.Get(t.Context(), 1)
			ok(t, err)
			equal(t, found && bytes.Equal(v, []byte("v")), true)
		}},
		{"new: CompareAndSwap", testCompareAndSwap},
		{"new: Modify", testModify},
		{"new: many", testMany},
		{"new: GetOrSet", testGetOrSet},
		{"new: sliding TTL", func(t *testing.T, e *env) {
			c := open(t, e.st, "", &cache.Options[string, string]{TTL: time.Minute, Sliding: true})
			set(t, c, "k", "v")
			set(t, c, "stays", "v", cache.NoExpiry())
			for range 5 {
				e.clock.Advance(50 * time.Second)
				has(t, c, "k", "v")
			}
			e.clock.Advance(time.Minute)
			has(t, c, "k", "")
			has(t, c, "stays", "v")
		}},
		{"new: eviction hook", testOnEvict},
		{"new: Backup, Compact", func(t *testing.T, e *env) {
			set(t, open[string, string](t, e.st, "", nil), "k", "v")
			ok(t, e.st.Compact(t.Context()))
			if err := e.st.Backup(t.Context(), t.TempDir()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
				t.Fatal(err)
			}
		}},
		{"new: read-only", func(t *testing.T, e *env) {
			c := open[string, string](t, e.st, "", nil)
			set(t, c, "old", "v", cache.TTL(time.Second))
			set(t, c, "k", "v")
			e.clock.Advance(time.Second)
			st := e.reopen(0, true)
			equal(t, st.ReadOnly(), true)
			ro := open[string, string](t, st, "", nil)
			has(t, ro, "k", "v")
			first, _, err := ro.First(t.Context())
			ok(t, err)
			equal(t, first.Key, "k")
			is(t, ro.Set(t.Context(), "k", "w"), cache.ErrReadOnly)
			_, err = cache.New[string, str](t.Context(), st, "new", nil)
			is(t, err, cache.ErrReadOnly)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			onEngines(t, row.fn)
		})
	}
}

// renamed makes different codecs of the same name.
type renamed[T any] struct{ codec.Codec[T] }

func (renamed[T]) Name() string { return "mine" }

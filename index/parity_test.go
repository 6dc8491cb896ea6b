package index_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/index"
)

// Each row of what DiskCache's Index offers.
func TestParity(t *testing.T) {
	for _, tt := range []struct {
		name string
		fn   func(t *testing.T, st *cache.Store)
	}{
		{"get, set, delete", func(t *testing.T, st *cache.Store) {
			x := open[string, string](t, st, "")
			has(t, x, "k", "")
			ok(t, x.Set(t.Context(), "k", "v"))
			has(t, x, "k", "v")
			equal(t, must(x.Contains(t.Context(), "k"))(t), true)
			equal(t, must(x.Delete(t.Context(), "k"))(t), true)
			equal(t, must(x.Delete(t.Context(), "k"))(t), false)
			equal(t, must(x.Contains(t.Context(), "k"))(t), false)
		}},
		{"setdefault", func(t *testing.T, st *cache.Store) {
			x := open[string, string](t, st, "")
			v, loaded, err := x.GetOrSet(t.Context(), "k", "v")
			if v != "v" || loaded || err != nil {
				t.Fatal(v, loaded, err)
			}
			v, loaded, err = x.GetOrSet(t.Context(), "k", "w")
			if v != "v" || !loaded || err != nil {
				t.Fatal(v, loaded, err)
			}
		}},
		{"pop", func(t *testing.T, st *cache.Store) {
			x := open[string, string](t, st, "")
			ok(t, x.Set(t.Context(), "k", "v"))
			v, found, err := x.Pop(t.Context(), "k")
			if v != "v" || !found || err != nil {
				t.Fatal(v, found, err)
			}
			_, found, err = x.Pop(t.Context(), "k")
			if found || err != nil {
				t.Fatal(found, err)
			}
		}},
		{"popitem, peekitem", func(t *testing.T, st *cache.Store) {
			x := abc(t, st)
			first, _, err := x.First(t.Context())
			ok(t, err)
			last, _, err := x.Last(t.Context())
			ok(t, err)
			equal(t, first.Key+last.Key, "cb")
			first, _, err = x.PopFirst(t.Context())
			ok(t, err)
			last, _, err = x.PopLast(t.Context())
			ok(t, err)
			equal(t, first.Key+first.Value+last.Key+last.Value, "cCbB")
			first, found, err := x.PopFirst(t.Context())
			ok(t, err)
			equal(t, first.Key, "a")
			equal(t, found, true)
			_, found, err = x.PopLast(t.Context())
			ok(t, err)
			equal(t, found, false)
		}},
		{"push, pull, peek", func(t *testing.T, st *cache.Store) {
			x := abc(t, st)
			q := x.Queue("q")
			equal(t, must(q.PushBack(t.Context(), "v"))(t), "q-500000000000000")
			equal(t, must(q.PushFront(t.Context(), "u"))(t), "q-499999999999999")
			e, _, err := q.PeekFront(t.Context())
			ok(t, err)
			equal(t, e.Value, "u")
			e, _, err = q.PopBack(t.Context())
			ok(t, err)
			equal(t, e.Value, "v")
			equal(t, must(x.Len(t.Context()))(t), 4)
		}},
		{"clear, len", func(t *testing.T, st *cache.Store) {
			x := abc(t, st)
			equal(t, must(x.Len(t.Context()))(t), 3)
			equal(t, must(x.Clear(t.Context()))(t), 3)
			equal(t, must(x.Len(t.Context()))(t), 0)
		}},
		{"iteration, reversed, keys, values, items", func(t *testing.T, st *cache.Store) {
			x := abc(t, st)
			ok(t, x.Set(t.Context(), "a", "z")) // keeps its place
			ctx := t.Context()
			es, err := cache.Collect(x.All(ctx))
			equal(t, spell(t, es, err), "cCazbB")
			es, err = cache.Collect(x.Backward(ctx))
			equal(t, spell(t, es, err), "bBazcC")
			equal(t, strings.Join(must(cache.Collect(x.Keys(ctx)))(t), ""), "cab")
		}},
		{"equality with another index", func(t *testing.T, st *cache.Store) {
			x, ctx := abc(t, st), t.Context()
			y := open[string, string](t, st, "y")
			equal(t, must(x.Equal(ctx, y))(t), false)
			equal(t, must(y.Equal(ctx, x))(t), false)
			ok(t, y.SetMany(ctx, slices2("c", "C", "a", "A", "b", "B")))
			equal(t, must(x.Equal(ctx, y))(t), true)
			ok(t, y.Set(ctx, "b", "x"))
			equal(t, must(x.Equal(ctx, y))(t), false)
			must(y.Clear(ctx))(t)
			ok(t, y.SetMany(ctx, slices2("a", "A", "b", "B", "c", "C")))
			equal(t, must(x.Equal(ctx, y))(t), false) // another order
			other := must(cache.OpenStore(ctx, t.TempDir(), nil))(t)
			defer closing(t, other)
			z := open[string, string](t, other, "")
			ok(t, z.SetMany(ctx, slices2("c", "C", "a", "A", "b", "B")))
			equal(t, must(x.Equal(ctx, z))(t), true)
			_, err := x.Equal(ctx, nil)
			is(t, err, cache.ErrInvalid)
			ok(t, st.Update(ctx, func(tx *cache.Tx) error {
				if _, err := y.In(tx).Clear(ctx); err != nil {
					return err
				}
				same, err := x.Equal(ctx, y.In(tx))
				equal(t, same, false)
				must(x.In(tx).Clear(ctx))(t)
				equal(t, must(x.Equal(ctx, y.In(tx)))(t), true)
				return err
			}))
		}},
		{"equality with a map", func(t *testing.T, st *cache.Store) {
			x, ctx := abc(t, st), t.Context()
			m := map[string]string{"a": "A", "b": "B", "c": "C"}
			equal(t, must(index.EqualMap(ctx, x, m))(t), true)
			m["a"] = "x"
			equal(t, must(index.EqualMap(ctx, x, m))(t), false)
			delete(m, "a")
			equal(t, must(index.EqualMap(ctx, x, m))(t), false)
			m["d"] = "D"
			equal(t, must(index.EqualMap(ctx, x, m))(t), false)
		}},
		{"update with many", func(t *testing.T, st *cache.Store) {
			x, ctx := abc(t, st), t.Context()
			ok(t, x.SetMany(ctx, maps.All(map[string]string{"a": "1", "d": "2"})))
			has(t, x, "a", "1")
			has(t, x, "d", "2")
			has(t, x, "b", "B")
		}},
		{"transact", func(t *testing.T, st *cache.Store) {
			x, ctx := abc(t, st), t.Context()
			failed := errors.New("failed")
			is(t, x.Update(ctx, func(tx *cache.Tx) error {
				ok(t, x.In(tx).Set(ctx, "a", "changed"))
				has(t, x.In(tx), "a", "changed")
				return failed
			}), failed)
			has(t, x, "a", "A")
			ok(t, x.View(ctx, func(tx *cache.Tx) error {
				ok(t, x.Set(ctx, "a", "later")) // no part of it
				has(t, x.In(tx), "a", "A")
				is(t, x.In(tx).Set(ctx, "a", "B"), cache.ErrReadOnly)
				return nil
			}))
			ok(t, x.Update(ctx, func(tx *cache.Tx) error {
				ok(t, x.In(tx).Set(ctx, "a", "joined"))
				return x.In(tx).View(ctx, func(tx *cache.Tx) error {
					has(t, x.In(tx), "a", "joined")
					return nil
				})
			}))
		}},
		{"fromcache", func(t *testing.T, st *cache.Store) {
			c := must(cache.New[string, string](t.Context(), st, "", nil))(t)
			ok(t, c.Set(t.Context(), "k", "v"))
			x := open[string, string](t, st, "")
			has(t, x, "k", "v")
			equal(t, x.Cache().Settings().Policy, cache.NoEviction)
			equal(t, x.Store(), st)
			equal(t, x.Name(), "")
			equal(t, open[string, string](t, st, "n").Name(), "index/n")
		}},
		{"ranges, prefix, floor, ceiling", func(t *testing.T, st *cache.Store) {
			x, ctx := abc(t, st), t.Context()
			ok(t, x.SetMany(ctx, slices2("ab", "1", "aé", "2")))
			r := x.Sorted()
			for _, tt := range []struct {
				r    cache.Range[string, string]
				want string
			}{
				{r, "a ab aé b c"},
				{r.Desc(), "c b aé ab a"},
				{r.From("ab").To("b"), "ab aé b"},
				{r.After("ab").Before("b").Desc(), "aé"},
				{r.Prefix("a").Desc(), "aé ab a"},
				{r.Skip(1).Limit(2), "ab aé"},
			} {
				equal(t, strings.Join(must(cache.Collect(tt.r.Keys(ctx)))(t), " "), tt.want)
				equal(t, len(must(cache.Collect(tt.r.All(ctx)))(t)), strings.Count(tt.want, " ")+1)
			}
			for _, tt := range []struct{ k, floor, ceiling string }{
				{"a", "a", "a"}, {"aa", "a", "ab"}, {"b", "b", "b"}, {"bb", "b", "c"}, {"A", "", "a"}, {"d", "c", ""},
			} {
				e, found, err := x.Floor(ctx, tt.k)
				ok(t, err)
				equal(t, e.Key, tt.floor)
				equal(t, found, tt.floor != "")
				e, found, err = x.Ceiling(ctx, tt.k)
				ok(t, err)
				equal(t, e.Key, tt.ceiling)
				equal(t, found, tt.ceiling != "")
			}
		}},
		{"compare and swap, modify", func(t *testing.T, st *cache.Store) {
			x, ctx := abc(t, st), t.Context()
			equal(t, must(x.CompareAndSwap(ctx, "a", "x", "y"))(t), false)
			equal(t, must(x.CompareAndSwap(ctx, "a", "A", "y"))(t), true)
			equal(t, must(x.CompareAndSwap(ctx, "new", "", "y"))(t), false)
			has(t, x, "a", "y")
			v, found, err := x.Modify(ctx, "a", func(v string, ok bool) (string, bool, error) { return v + "!", ok, nil })
			if v != "y!" || !found || err != nil {
				t.Fatal(v, found, err)
			}
		}},
		{"never evicts, never expires", func(t *testing.T, st *cache.Store) {
			s := abc(t, st).Cache().Settings()
			equal(t, s.Policy, cache.NoEviction)
			if s.SizeLimit < 1<<60 {
				t.Errorf("a size limit of %d", s.SizeLimit)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { onEngines(t, tt.fn) })
	}
}

// abc returns an index with three entries, not in the order of their keys.
func abc(t *testing.T, st *cache.Store) *index.Index[string, string] {
	t.Helper()
	x := open[string, string](t, st, "")
	ok(t, x.SetMany(t.Context(), slices2("c", "C", "a", "A", "b", "B")))
	return x
}

// slices2 is a sequence of pairs.
func slices2(kv ...string) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for pair := range slices.Chunk(kv, 2) {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

// Numbers keep their order, the most extreme ones too.
func TestNumberKeys(t *testing.T) {
	onEngines(t, func(t *testing.T, st *cache.Store) {
		x, ctx := open[int64, string](t, st, ""), t.Context()
		keys := []int64{-1 << 63, -1, 0, 1, 1 << 53, 1<<53 + 1, 1<<63 - 1}
		for _, k := range []int{3, 0, 6, 2, 5, 1, 4} {
			ok(t, x.Set(ctx, keys[k], ""))
		}
		got := must(cache.Collect(x.Sorted().Keys(ctx)))(t)
		if !slices.Equal(got, keys) {
			t.Fatal(got)
		}
		e, _, err := x.Floor(ctx, 1<<53+100)
		ok(t, err)
		equal(t, e.Key, 1<<53+1)
	})
}

// Of many at once, each PopFirst gets another entry.
func TestPopFirstOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, st *cache.Store) {
		x, ctx := open[int, int](t, st, ""), t.Context()
		const n = 60
		for i := range n {
			ok(t, x.Set(ctx, i, i))
		}
		var mu sync.Mutex
		got := map[int]int{}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				last := -1
				for {
					e, found, err := x.PopFirst(ctx)
					if err != nil {
						t.Error(err)
					}
					if !found {
						return
					}
					if e.Key <= last {
						t.Errorf("%d after %d", e.Key, last)
					}
					last = e.Key
					mu.Lock()
					got[e.Key]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for i := range n {
			equal(t, got[i], 1)
		}
	})
}

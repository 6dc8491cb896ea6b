package deque_test

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
)

// Each row of what DiskCache's Deque offers, and of what is new here.
func TestParity(t *testing.T) {
	for _, tt := range []struct {
		name string
		fn   func(t *testing.T, e *env)
	}{
		{"append, appendleft, pop, popleft", func(t *testing.T, e *env) {
			d, ctx := open[int](t, e.st, ""), t.Context()
			ok(t, d.PushBack(ctx, 1))
			ok(t, d.PushBack(ctx, 2))
			ok(t, d.PushFront(ctx, 0))
			holds(t, d, 0, 1, 2)
			pops(t, d, 0)
			v, found, err := d.PopBack(ctx)
			ok(t, err)
			equal(t, v, 2)
			equal(t, found, true)
			pops(t, d, 1)
			empty(t, d)
			v, found, err = d.PopBack(ctx)
			if v != 0 || found || err != nil {
				t.Fatal(v, found, err)
			}
		}},
		{"peek, peekleft", func(t *testing.T, e *env) {
			d, ctx := open(t, e.st, "", "a", "b"), t.Context()
			v, found, err := d.PeekFront(ctx)
			ok(t, err)
			equal(t, v, "a")
			equal(t, found, true)
			v, _, err = d.PeekBack(ctx)
			ok(t, err)
			equal(t, v, "b")
			holds(t, d, "a", "b")
			ok(t, second(d.Clear(ctx)))
			_, found, err = d.PeekFront(ctx)
			ok(t, err)
			equal(t, found, false)
		}},
		{"extend, extendleft, PopFrontN", func(t *testing.T, e *env) {
			d, ctx := open[int](t, e.st, ""), t.Context()
			ok(t, d.PushBackMany(ctx, slices.Values([]int{1, 2, 3})))
			ok(t, d.PushFrontMany(ctx, slices.Values([]int{4, 5, 6})))
			ok(t, d.PushBackMany(ctx, slices.Values([]int{})))
			holds(t, d, 6, 5, 4, 1, 2, 3)
			equalAll(t, must(d.PopFrontN(ctx, 2))(t), 6, 5)
			equalAll(t, must(d.PopBackN(ctx, 2))(t), 3, 2)
			equalAll(t, must(d.PopFrontN(ctx, 0))(t))
			equalAll(t, must(d.PopFrontN(ctx, 9))(t), 4, 1)
			equalAll(t, must(d.PopFrontN(ctx, 9))(t))
		}},
		{"[i], [i] = v, del [i]", func(t *testing.T, e *env) {
			d, ctx := open(t, e.st, "", "a", "b", "c", "d"), t.Context()
			for i, want := range []string{"a", "b", "c", "d"} {
				equal(t, must(d.At(ctx, int64(i)))(t), want)
				equal(t, must(d.At(ctx, int64(i-4)))(t), want)
			}
			ok(t, d.SetAt(ctx, 1, "B"))
			ok(t, d.SetAt(ctx, -1, "D"))
			holds(t, d, "a", "B", "c", "D")
			ok(t, d.RemoveAt(ctx, 1))
			ok(t, d.RemoveAt(ctx, -1))
			holds(t, d, "a", "c")
		}},
		{"len, clear", func(t *testing.T, e *env) {
			d, ctx := open(t, e.st, "", 1, 2, 3), t.Context()
			equal(t, must(d.Len(ctx))(t), 3)
			ok(t, second(d.Clear(ctx)))
			holds(t, d)
		}},
		{"copy", func(t *testing.T, e *env) {
			d, ctx := open(t, e.st, "", 1, 2, 3), t.Context()
			into := open(t, e.st, "into", 7)
			ok(t, d.Copy(ctx, into))
			holds(t, into, 1, 2, 3)
			holds(t, d, 1, 2, 3)
			ok(t, into.SetMaxLen(ctx, 2))
			ok(t, d.Copy(ctx, into))
			holds(t, into, 2, 3)
			ok(t, d.Copy(ctx, d))
			other := must(deque.Open[int](ctx, t.TempDir(), nil))(t)
			defer other.Close()
			ok(t, d.Copy(ctx, other))
			holds(t, other, 1, 2, 3)
		}},
		{"count, remove", func(t *testing.T, e *env) {
			d, ctx := open(t, e.st, "", "a", "b", "a", "c", "a"), t.Context()
			equal(t, must(d.Count(ctx, "a"))(t), 3)
			equal(t, must(d.Count(ctx, "x"))(t), 0)
			equal(t, must(d.Remove(ctx, "a"))(t), true)
			holds(t, d, "b", "a", "c", "a")
			equal(t, must(d.Remove(ctx, "x"))(t), false)
			equal(t, must(d.Remove(ctx, "c"))(t), true)
			holds(t, d, "b", "a", "a")
		}},
		{"reverse", func(t *testing.T, e *env) {
			d, ctx := open[int](t, e.st, ""), t.Context()
			ok(t, d.Reverse(ctx))
			for n := 1; n < 6; n++ {
				ok(t, d.PushBack(ctx, n))
				want := must(cache.Collect(d.All(ctx)))(t)
				slices.Reverse(want)
				ok(t, d.Reverse(ctx))
				holds(t, d, want...)
			}
		}},
		{"rotate(steps)", func(t *testing.T, e *env) {
			d, ctx := open[int](t, e.st, ""), t.Context()
			ok(t, d.Rotate(ctx, 1))
			ok(t, d.Rotate(ctx, -1))
			push(t, d, 0, 1, 2, 3, 4)
			for n := int64(-11); n <= 11; n++ {
				before := must(cache.Collect(d.All(ctx)))(t)
				ok(t, d.Rotate(ctx, n))
				cut := (5 - (n%5+5)%5) % 5
				holds(t, d, append(before[cut:len(before):len(before)], before[:cut]...)...)
			}
			ok(t, d.Rotate(ctx, -1<<63))
		}},
		{"maxlen", func(t *testing.T, e *env) {
			d := must(deque.New(t.Context(), e.st, "", &deque.Options[int]{MaxLen: 3}))(t)
			ctx := t.Context()
			push(t, d, 1, 2, 3, 4, 5)
			holds(t, d, 3, 4, 5)
			ok(t, d.PushBack(ctx, 6))
			holds(t, d, 4, 5, 6)
			ok(t, d.PushFront(ctx, 3))
			holds(t, d, 3, 4, 5)
			ok(t, d.PushFrontMany(ctx, slices.Values([]int{2, 1, 0, -1})))
			holds(t, d, -1, 0, 1)
			equal(t, must(d.MaxLen(ctx))(t), 3)
			again := open[int](t, e.reopen(false), "")
			equal(t, must(again.MaxLen(ctx))(t), 3)
			ok(t, again.SetMaxLen(ctx, 2))
			holds(t, d, 0, 1)
			ok(t, d.PushBack(ctx, 2))
			holds(t, d, 1, 2)
			ok(t, again.SetMaxLen(ctx, 0))
			push(t, d, 3, 4)
			holds(t, d, 1, 2, 3, 4)
			d = must(deque.New(ctx, e.st, "", &deque.Options[int]{MaxLen: 2}))(t)
			holds(t, d, 3, 4)
			d = must(deque.New(ctx, e.st, "", &deque.Options[int]{MaxLen: -1}))(t)
			equal(t, must(d.MaxLen(ctx))(t), 0)
		}},
		{"comparison", func(t *testing.T, e *env) {
			ctx := t.Context()
			d := open(t, e.st, "", 1, 2, 3)
			far := must(deque.Open[int](ctx, t.TempDir(), nil))(t)
			defer far.Close()
			for i, other := range []*deque.Deque[int]{open[int](t, e.st, "other"), far} {
				for _, items := range [][]int{{}, {1, 2}, {1, 2, 3}, {1, 2, 3, 4}, {1, 3}, {0, 9, 9, 9}} {
					ok(t, second(other.Clear(ctx)))
					push(t, other, items...)
					want := slices.Compare([]int{1, 2, 3}, items)
					if got := must(d.Compare(ctx, other, cmp.Compare[int]))(t); got != want {
						t.Errorf("%d: compared with %v: %d", i, items, got)
					}
					if got := must(other.Compare(ctx, d, cmp.Compare[int]))(t); got != -want {
						t.Errorf("%d: %v compared: %d", i, items, got)
					}
					equal(t, must(d.CompareSlice(ctx, items, cmp.Compare[int]))(t), want)
					equal(t, must(d.Equal(ctx, other))(t), want == 0)
				}
			}
			ok(t, e.st.Update(ctx, func(tx *cache.Tx) error {
				other := d
				if _, _, err := other.In(tx).PopBack(ctx); err != nil {
					return err
				}
				order, err := d.In(tx).CompareSlice(ctx, []int{1, 2}, cmp.Compare[int])
				equal(t, order, 0)
				return err
			}))
		}},
		{"iteration both ways", func(t *testing.T, e *env) {
			d, ctx := open[int](t, e.st, ""), t.Context()
			const n = 300
			push(t, d, slices.Collect(count(n))...)
			i := 0
			for v, err := range d.All(ctx) {
				ok(t, err)
				equal(t, v, i)
				i++
				pops(t, d, v) // the body may do anything
				if i == 200 {
					break
				}
			}
			equal(t, must(d.Len(ctx))(t), 100)
			for v, err := range d.Backward(ctx) {
				ok(t, err)
				equal(t, v, n-1)
				break
			}
		}},
		{"transact", func(t *testing.T, e *env) {
			d, ctx := open(t, e.st, "", 1, 2), t.Context()
			failed := errors.New("failed")
			is(t, d.Update(ctx, func(tx *cache.Tx) error {
				d := d.In(tx)
				pops(t, d, 1)
				push(t, d, 3)
				ok(t, d.Rotate(ctx, 1))
				holds(t, d, 3, 2)
				return failed
			}), failed)
			holds(t, d, 1, 2)
			other := open[int](t, e.st, "other")
			ok(t, e.st.Update(ctx, func(tx *cache.Tx) error {
				v, _, err := d.In(tx).PopFront(ctx)
				if err != nil {
					return err
				}
				return other.In(tx).PushBack(ctx, v)
			}))
			holds(t, d, 2)
			holds(t, other, 1)
			ok(t, d.Cache().View(ctx, func(tx *cache.Tx) error {
				push(t, other, 5)
				holds(t, other.In(tx), 1)
				return nil
			}))
		}},
		{"fromcache", func(t *testing.T, e *env) {
			c := must(cache.New[int64, string](t.Context(), e.st, "", nil))(t)
			must(c.Queue("").PushBack(t.Context(), "v"))(t)
			d := open[string](t, e.st, "")
			holds(t, d, "v")
			equal(t, d.Cache().Settings().Policy, cache.NoEviction)
			equal(t, d.Store(), e.st)
			equal(t, d.Name(), "")
			equal(t, open[int](t, e.st, "n").Name(), "deque/n")
		}},
		{"never evicts, never expires", func(t *testing.T, e *env) {
			s := open[string](t, e.st, "").Cache().Settings()
			equal(t, s.Policy, cache.NoEviction)
			if s.SizeLimit < 1<<60 {
				t.Errorf("a size limit of %d", s.SizeLimit)
			}
		}},
		{"delayed items", func(t *testing.T, e *env) {
			d, ctx := open(t, e.st, "", 1), t.Context()
			ok(t, d.PushBack(ctx, 3, deque.Delay(time.Second)))
			ok(t, d.PushFrontMany(ctx, slices.Values([]int{0, -1}), deque.Delay(2*time.Second)))
			ok(t, d.PushBack(ctx, 2, deque.Delay(0)))
			holds(t, d, 1, 2)
			e.clock.Advance(time.Second)
			holds(t, d, 1, 2, 3)
			e.clock.Advance(time.Second)
			ok(t, d.PushBack(ctx, 4)) // what is due goes before it
			holds(t, d, -1, 0, 1, 2, 3, 4)
		}},
		{"per-item TTL", func(t *testing.T, e *env) {
			d, ctx := open(t, e.st, "", 1), t.Context()
			ok(t, d.PushBack(ctx, 2, cache.TTL(time.Second)))
			ok(t, d.PushBack(ctx, 3, cache.ExpireAt(e.clock.Now().Add(2*time.Second))))
			ok(t, d.PushBack(ctx, 4, cache.TTL(4*time.Second), deque.Delay(time.Second)))
			ok(t, d.PushBack(ctx, 5, cache.TTL(time.Second), deque.Delay(time.Second)))
			holds(t, d, 1, 2, 3)
			ok(t, d.Reverse(ctx))
			ok(t, d.Rotate(ctx, 1)) // expiries move along
			holds(t, d, 1, 3, 2)
			e.clock.Advance(time.Second)
			equal(t, must(d.At(ctx, 1))(t), 3)
			holds(t, d, 1, 3, 4)
			ok(t, d.SetMaxLen(ctx, 3))
			e.clock.Advance(time.Second)
			push(t, d, 6) // the expired one makes room
			holds(t, d, 1, 4, 6)
			e.clock.Advance(2 * time.Second)
			ro := open[int](t, e.reopen(true), "")
			equal(t, must(ro.Len(ctx))(t), 2)
			holds(t, ro, 1, 6)
		}},
		{"large items", func(t *testing.T, e *env) {
			big := strings.Repeat("x", 40_000)
			d, ctx := open(t, e.st, "", big, "a", big+"y"), t.Context()
			ok(t, d.Reverse(ctx))
			ok(t, d.Rotate(ctx, 1))
			holds(t, d, big, big+"y", "a")
			c := claim(t, d, time.Second)
			equal(t, c.Value, big)
			ok(t, c.Nack(ctx, 0))
			pops(t, d, big)
			pops(t, d, big+"y")
			equal(t, len(must(d.Store().Check(ctx, nil))(t).Problems), 0)
		}},
		{"drop", func(t *testing.T, e *env) {
			d := must(deque.New(t.Context(), e.st, "n", &deque.Options[int]{MaxLen: 3}))(t)
			push(t, d, 1, 2)
			claim(t, d, deque.UntilClosed)
			ok(t, deque.Drop(t.Context(), e.st, "n"))
			_, _, err := d.PopFront(t.Context())
			is(t, err, cache.ErrClosed)
			d = open[int](t, e.st, "n")
			holds(t, d)
			equal(t, must(d.MaxLen(t.Context()))(t), 0)
			d = must(deque.New(t.Context(), e.st, "", &deque.Options[int]{MaxLen: 3}))(t)
			push(t, d, 1, 2)
			ok(t, deque.Drop(t.Context(), e.st, ""))
			equal(t, must(open[int](t, e.st, "").MaxLen(t.Context()))(t), 0)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { onEngines(t, tt.fn) })
	}
}

func equalAll[T comparable](t *testing.T, got []T, want ...T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// count is the numbers from 0 up to n.
func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}

package cache_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

const longest = time.Duration(math.MaxInt64)

// number checks what Get returns for a key that has an entry.
func number(t *testing.T, c *cache.Cache[string, int], k string, want int) {
	t.Helper()
	v, found, err := c.Get(t.Context(), k)
	ok(t, err)
	if !found || v != want {
		t.Fatalf("Get of %s is %d, %v, want %d", k, v, found, want)
	}
}

// An expiry that is too far away for some number is not one in the past.
func TestFarFuture(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		for name, o := range map[string]*cache.Options[string, int]{
			"plain": nil, "ttl": {TTL: longest}, "sliding": {TTL: longest, Sliding: true}, "persistent": {Persistent: true},
		} {
			c := open(t, e.st, name, o)
			for _, opts := range [][]cache.Option{
				nil,
				{cache.TTL(longest)},
				{cache.ExpireAt(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))},
				{cache.ExpireAt(time.Unix(math.MaxInt64, 0))},
			} {
				ok(t, c.Set(ctx, "k", 1, opts...))
				for range 2 {
					number(t, c, "k", 1)
					e.clock.Advance(100 * 365 * 24 * time.Hour)
				}
				must(c.Expire(ctx))(t)
				entry, found, err := c.GetEntry(ctx, "k")
				if !found || err != nil {
					t.Fatalf("%s: %v, %v", name, found, err)
				}
				if now := e.clock.Now(); !entry.Expiry.IsZero() && !entry.Expiry.After(now) {
					t.Errorf("%s: expires at %v, it is %v", name, entry.Expiry, now)
				}
				ok(t, c.Set(ctx, "copy", 1, entry.Options()...))
				number(t, c, "copy", 1)
				if touched := must(c.Touch(ctx, "k", cache.TTL(longest)))(t); !touched {
					t.Errorf("%s: not touched", name)
				}
				number(t, c, "k", 1)
				e.clock.Advance(-200 * 365 * 24 * time.Hour)
			}
		}
	})
}

// An entry that was stored while the clock was ahead, and expires, is gone when
// the clock is set back, unless its collection is persistent.
func TestClockSetBack(t *testing.T) {
	const month = 30 * 24 * time.Hour
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		for name, o := range map[string]*cache.Options[string, int]{
			"lrs": nil, "lru": {Policy: cache.LeastRecentlyUsed}, "persistent": {Persistent: true}, "none": {Policy: cache.NoEviction},
		} {
			stays := name == "persistent" || name == "none"
			c := open(t, e.st, name, o)
			fill := func() {
				t.Helper()
				e.clock.Advance(month)
				for _, k := range []string{"a", "b"} {
					ok(t, c.Set(ctx, k, 1, cache.TTL(time.Hour)))
				}
				ok(t, c.Set(ctx, "stays", 1))
				e.clock.Advance(-month)
			}
			fill()
			want := []string{"stays"}
			if stays {
				want = []string{"a", "b", "stays"}
			}
			check := func(what string, found bool, err error) {
				t.Helper()
				ok(t, err)
				if found != stays {
					t.Errorf("%s: %s is %v", name, what, found)
				}
			}
			keys := func() {
				t.Helper()
				if keys := must(cache.Collect(c.Sorted().Keys(ctx)))(t); !slices.Equal(keys, want) {
					t.Errorf("%s: there are %v, want %v", name, keys, want)
				}
			}
			keys()
			_, found, err := c.Get(ctx, "a")
			check("Get", found, err)
			found, err = c.Contains(ctx, "a")
			check("Contains", found, err)
			found, err = c.Touch(ctx, "a", cache.TTL(time.Hour))
			check("Touch", found, err)
			found, err = c.CompareAndSwap(ctx, "b", 1, 2)
			check("CompareAndSwap", found, err)
			es, err := c.GetMany(ctx, "a", "b")
			check("GetMany", len(es) == 2, err)
			added, err := c.Add(ctx, "a", 3)
			check("an entry that keeps Add from adding", !added, err)
			number(t, c, "stays", 1)

			fill()
			n, err := cache.Incr(ctx, c, "a", 5, cache.TTL(time.Hour))
			check("the number that Incr adds to", n == 6, err)
			number(t, c, "a", n)
			_, found, err = c.Pop(ctx, "b")
			check("Pop", found, err)
			fill()
			found, err = c.Delete(ctx, "a")
			check("Delete", found, err)

			// Moments do not matter.
			e.clock.Advance(time.Minute)
			ok(t, c.Set(ctx, "a", 1, cache.TTL(time.Hour)))
			e.clock.Advance(-time.Minute)
			number(t, c, "a", 1)
			must(c.Clear(ctx))(t)
		}
	})
}

// Items of a queue that were stored while the clock was ahead are passed by, and
// are nobody's.
func TestQueueClockSetBack(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		for name, o := range map[string]*cache.Options[int64, int]{"evicting": nil, "persistent": {Persistent: true}} {
			c := open(t, e.st, name, o)
			q := c.Queue("")
			e.clock.Advance(time.Hour)
			for i := range 300 { // more than expired ones are removed at once
				must(q.PushBack(ctx, i, cache.TTL(time.Hour)))(t)
			}
			e.clock.Advance(-time.Hour)
			must(q.PushBack(ctx, 300))(t)
			want := 300
			if name == "persistent" {
				want = 0
			}
			entry, found, err := q.PeekFront(ctx)
			if entry.Value != want || !found || err != nil {
				t.Errorf("%s: Peek is %v, %v, %v, want %v", name, entry.Value, found, err, want)
			}
			entry, found, err = q.PopFront(ctx)
			if entry.Value != want || !found || err != nil {
				t.Errorf("%s: Pull is %v, %v, %v, want %v", name, entry.Value, found, err, want)
			}
		}
	})
}

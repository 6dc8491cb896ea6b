package cache_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// evictions is what an OnEvict was told.
type evictions struct {
	mu  sync.Mutex
	got []string
}

func (v *evictions) tell(k string, why cache.Reason) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.got = append(v.got, k+" "+string(why))
}

// are checks what was told since the last call.
func (v *evictions) are(t *testing.T, what string, want ...string) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	slices.Sort(v.got)
	if !slices.Equal(v.got, want) {
		t.Errorf("%s: OnEvict was told %q, want %q", what, v.got, want)
	}
	v.got = nil
}

// OnEvict is told once of each entry whose time was over, whoever removes or
// overwrites it, and not of what is deleted or overwritten before its time.
func TestOnEvictExpired(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		var told evictions
		c := open(t, e.st, "c", &cache.Options[string, int]{
			CullLimit: -1, // else any write may remove it first
			OnEvict:   func(e cache.Entry[string, int], why cache.Reason) { told.tell(e.Key, why) },
		})
		in := func(fn func(c *cache.Cache[string, int]) error) error {
			return e.st.Update(ctx, func(tx *cache.Tx) error { return fn(c.In(tx)) })
		}
		type write = func(c *cache.Cache[string, int]) error
		for what, write := range map[string]write{
			"Set": func(c *cache.Cache[string, int]) error { return c.Set(ctx, "k", 2) },
			"Add": func(c *cache.Cache[string, int]) error {
				_, err := c.Add(ctx, "k", 2)
				return err
			},
			"GetOrSet": func(c *cache.Cache[string, int]) error {
				_, _, err := c.GetOrSet(ctx, "k", 2)
				return err
			},
			"SetMany": func(c *cache.Cache[string, int]) error {
				return c.SetMany(ctx, func(yield func(string, int) bool) {
					for i := 0; i < 100 && yield("k", i) && yield(fmt.Sprint(i), i); i++ {
					}
				})
			},
			"Incr": func(c *cache.Cache[string, int]) error {
				_, err := cache.Incr(ctx, c, "k", 1)
				return err
			},
			"Modify": func(c *cache.Cache[string, int]) error {
				_, _, err := c.Modify(ctx, "k", func(v int, ok bool) (int, bool, error) { return v, true, nil })
				return err
			},
			"Modify that removes": func(c *cache.Cache[string, int]) error {
				_, _, err := c.Modify(ctx, "k", func(v int, ok bool) (int, bool, error) { return v, false, nil })
				return err
			},
			"Delete": func(c *cache.Cache[string, int]) error {
				_, err := c.Delete(ctx, "k")
				return err
			},
			"DeleteMany": func(c *cache.Cache[string, int]) error {
				_, err := c.DeleteMany(ctx, "k", "k", "none")
				return err
			},
			"Evict": func(c *cache.Cache[string, int]) error {
				_, err := c.Evict(ctx, cache.Tag("t"))
				return err
			},
			"Clear": func(c *cache.Cache[string, int]) error {
				_, err := c.Clear(ctx)
				return err
			},
			"Expire": func(c *cache.Cache[string, int]) error {
				_, err := c.Expire(ctx)
				return err
			},
			"Cull": func(c *cache.Cache[string, int]) error {
				_, err := c.Cull(ctx)
				return err
			},
		} {
			ready := func() {
				t.Helper()
				must(c.Clear(ctx))(t)
				ok(t, c.Set(ctx, "k", 1, cache.TTL(time.Second), cache.Tag("t")))
				told.are(t, "before")
			}
			ready()
			ok(t, write(c)) // before its time
			told.are(t, what+" of what has not expired")

			ready()
			e.clock.Advance(time.Second)
			ok(t, write(c))
			told.are(t, what, "k expired")
			ok(t, write(c))
			told.are(t, what+" again")

			ready()
			e.clock.Advance(time.Second)
			ok(t, in(func(c *cache.Cache[string, int]) error {
				err := write(c)
				told.are(t, what+" before the commit")
				return err
			}))
			told.are(t, what+" in a transaction", "k expired")

			ready()
			e.clock.Advance(time.Second)
			oops := fmt.Errorf("oops")
			is(t, in(func(c *cache.Cache[string, int]) error {
				ok(t, write(c))
				return oops
			}), oops)
			told.are(t, what+" that is rolled back")
			must(c.Expire(ctx))(t)
			told.are(t, "Expire after it", "k expired")
		}

		// What keeps what it finds does not find it any more.
		ok(t, c.Set(ctx, "k", 1, cache.TTL(time.Second)))
		e.clock.Advance(time.Second)
		equal(t, must(c.CompareAndSwap(ctx, "k", 1, 2))(t), false)
		equal(t, must(c.Touch(ctx, "k"))(t), false)
		told.are(t, "CompareAndSwap and Touch")
	})
}

// The key of a queue's item, and large values, are no exception.
func TestOnEvictPush(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		var told evictions
		c := open(t, e.st, "c", &cache.Options[string, string]{
			CullLimit: -1,
			OnEvict: func(e cache.Entry[string, string], why cache.Reason) {
				told.tell(e.Key, why)
				if e.Value != "" || e.Expiry.IsZero() || e.Size == 0 {
					t.Errorf("told of %+v", e)
				}
			},
		})
		large := strings.Repeat("x", 40_000)
		ok(t, c.Set(ctx, "k", large, cache.TTL(time.Second)))
		e.clock.Advance(time.Second)
		ok(t, c.SetFrom(ctx, "k", strings.NewReader(large), cache.TTL(time.Second)))
		told.are(t, "SetFrom", "k expired")
		e.clock.Advance(time.Second)
		ok(t, c.SetMany(ctx, maps.All(map[string]string{"k": large, "l": large})))
		told.are(t, "SetMany", "k expired")

		culling := open(t, e.st, "culling", &cache.Options[string, string]{
			OnEvict: func(e cache.Entry[string, string], why cache.Reason) { told.tell(e.Key, why) },
		})
		for _, k := range []string{"k", "l"} {
			ok(t, culling.Set(ctx, k, k, cache.TTL(time.Second)))
		}
		e.clock.Advance(time.Second)
		ok(t, culling.Set(ctx, "k", "again"))
		told.are(t, "Set that culls", "k expired", "l expired")

		q := c.Queue("q")
		k := must(q.PushBack(ctx, "a", cache.TTL(time.Second)))(t)
		e.clock.Advance(time.Second)
		again := must(q.PushBack(ctx, "b"))(t) // behind it: expired items keep their keys
		told.are(t, "PushBack")
		if k == again {
			t.Errorf("two items have the key %s", k)
		}
		_, found, err := q.PopFront(ctx)
		ok(t, err)
		equal(t, found, true)
		told.are(t, "PopFront", k+" expired")
	})
}

package cache_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

func testPolicies(t *testing.T, e *env) {
	for policy, evicted := range map[cache.Policy]int{
		cache.LeastRecentlyStored: 0,
		cache.LeastRecentlyUsed:   1,
		cache.LeastFrequentlyUsed: 2,
		cache.NoEviction:          -1,
	} {
		c := open(t, e.st, string(policy), &cache.Options[int, string]{Policy: policy, SizeLimit: 400_000, CullLimit: 1})
		read := func(keys ...int) {
			for _, k := range keys {
				e.clock.Advance(time.Second)
				_, found, err := c.Get(t.Context(), k)
				ok(t, err)
				equal(t, found, true)
			}
		}
		for i := range 3 {
			ok(t, c.Set(t.Context(), i, strings.Repeat("x", 100_000)))
			e.clock.Advance(time.Second)
		}
		read(1, 1, 1, 2, 0, 0) // 0 is the oldest, 1 the longest unread, 2 the least read
		e.clock.Advance(time.Second)
		ok(t, c.Set(t.Context(), 3, strings.Repeat("x", 200_000)))
		for i := range 4 {
			if got := must(c.Contains(t.Context(), i))(t); got == (i == evicted) {
				t.Fatalf("%s: entry %d is there: %v", policy, i, got)
			}
		}
	}
}

func testTimeout(t *testing.T, e *env) {
	short := e.reopen(5*time.Millisecond, false)
	c := open[string, string](t, short, "", nil)
	lossy := open(t, short, "", &cache.Options[string, string]{BestEffort: true})
	ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
		is(t, c.Set(t.Context(), "k", "v"), cache.ErrTimeout)
		ok(t, lossy.Set(t.Context(), "k", "v"))
		added, err := lossy.Add(t.Context(), "k", "v")
		ok(t, err)
		equal(t, added, false)
		_, kept, err := lossy.Modify(t.Context(), "k", func(v string, ok bool) (string, bool, error) { return "x", true, nil })
		ok(t, err)
		equal(t, kept, false)
		is(t, lossy.Update(t.Context(), func(*cache.Tx) error { return nil }), cache.ErrTimeout)
		return nil
	}))
	has(t, c, "k", "")
	equal(t, must(lossy.Stats(t.Context()))(t).Dropped, 3)
}

func testCompareAndSwap(t *testing.T, e *env) {
	ctx := t.Context()
	c := open[string, string](t, e.st, "", nil)
	big := strings.Repeat("b", 40_000)
	equal(t, must(c.CompareAndSwap(ctx, "k", "", "1"))(t), false)
	set(t, c, "k", "1", cache.TTL(time.Minute), cache.Tag("t"))
	equal(t, must(c.CompareAndSwap(ctx, "k", "0", "2"))(t), false)
	equal(t, must(c.CompareAndSwap(ctx, "k", "1", big))(t), true)
	equal(t, must(c.CompareAndSwap(ctx, "k", big, "3"))(t), true)
	ent, _, err := c.GetEntry(ctx, "k")
	ok(t, err)
	equal(t, ent.Value+ent.Tag.Text(), "3t")
	equal(t, ent.Expiry.IsZero(), false)
	equal(t, must(c.CompareAndSwap(ctx, "k", "3", "4", cache.NoExpiry()))(t), true)
	ent, _, err = c.GetEntry(ctx, "k")
	ok(t, err)
	equal(t, ent.Tag.Text(), "t")
	equal(t, ent.Expiry.IsZero(), true)

	sealed, err := codec.Seal(codec.String[string](), sealKey)
	ok(t, err)
	s := open(t, e.st, "sealed", &cache.Options[string, string]{Values: sealed})
	_, err = s.CompareAndSwap(ctx, "k", "", "")
	is(t, err, cache.ErrInvalid)
}

// Options of an entry write another one like it, whatever that was before.
func TestEntryOptions(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		from := open[string, string](t, e.st, "from", nil)
		to := open(t, e.st, "to", &cache.Options[string, string]{TTL: time.Second})
		set(t, from, "plain", "v")
		set(t, from, "timed", "v", cache.TTL(time.Hour))
		set(t, from, "tagged", "v", cache.Tag(1.5))
		set(t, from, "both", "v", cache.TTL(time.Minute), cache.Tag("t"))
		for want, err := range from.All(ctx) {
			ok(t, err)
			opts := want.Options()
			file, _, err := from.OpenValue(ctx, want.Key)
			ok(t, err)
			for name, write := range map[string]func() error{
				"Set":     func() error { return to.Set(ctx, "k", "v", opts...) },
				"SetFrom": func() error { return to.SetFrom(ctx, "k", file, file.Options()...) },
				"CompareAndSwap": func() error {
					_, err := to.CompareAndSwap(ctx, "k", "v", "v", opts...)
					return err
				},
				"Modify": func() error {
					_, _, err := to.Modify(ctx, "k", func(v string, ok bool) (string, bool, error) { return v, true, nil }, opts...)
					return err
				},
			} {
				set(t, to, "k", "v", cache.Tag("old"))
				ok(t, write())
				got, _, err := to.GetEntry(ctx, "k")
				ok(t, err)
				if !got.Expiry.Equal(want.Expiry) || !codec.Equal(got.Tag.Value, want.Tag.Value) || got.Tag.Kind() != want.Tag.Kind() {
					t.Errorf("%s of %s: expiry %v, tag %v", name, want.Key, got.Expiry, got.Tag)
				}
			}
			ok(t, file.Close())
			is(t, to.Set(ctx, "k", "v", append(opts, cache.Tag("t"))...), cache.ErrInvalid)
			is(t, to.Set(ctx, "k", "v", append(opts, cache.TTL(time.Hour))...), cache.ErrInvalid)
			_, err = to.Touch(ctx, "k", opts...)
			is(t, err, cache.ErrInvalid)
		}
	})
}

func testModify(t *testing.T, e *env) {
	ctx := t.Context()
	c := open[string, []string](t, e.st, "", nil)
	add := func(item string) func([]string, bool) ([]string, bool, error) {
		return func(v []string, _ bool) ([]string, bool, error) { return append(v, item), true, nil }
	}
	_, _, err := c.Modify(ctx, "k", add("x"), cache.MustExist())
	is(t, err, cache.ErrNotFound)
	for i := range 3 {
		v, kept, err := c.Modify(ctx, "k", add("a"), cache.TTL(time.Minute))
		ok(t, err)
		equal(t, kept, true)
		equal(t, len(v), i+1)
	}
	big := strings.Repeat("b", 40_000)
	for range 2 { // into a file, and out of one
		_, _, err = c.Modify(ctx, "k", add(big))
		ok(t, err)
	}
	ent, found, err := c.GetEntry(ctx, "k")
	ok(t, err)
	equal(t, found, true)
	equal(t, len(ent.Value), 5)
	equal(t, ent.Expiry.IsZero(), false)

	oops := errors.New("oops")
	fail := func(v []string, _ bool) ([]string, bool, error) { return nil, true, oops }
	_, _, err = c.Modify(ctx, "k", fail)
	equal(t, err, oops)
	ok(t, c.Update(ctx, func(tx *cache.Tx) error { // does not spoil the transaction
		_, _, err := c.In(tx).Modify(ctx, "k", fail)
		equal(t, err, oops)
		return c.In(tx).Set(ctx, "other", nil)
	}))
	equal(t, must(c.Contains(ctx, "other"))(t), true)
	_, kept, err := c.Modify(ctx, "k", func([]string, bool) ([]string, bool, error) { return nil, false, nil })
	ok(t, err)
	equal(t, kept, false)
	equal(t, must(c.Contains(ctx, "k"))(t), false)
	_, _, err = c.Modify(ctx, "k", nil)
	is(t, err, cache.ErrInvalid)
}

func testMany(t *testing.T, e *env) {
	ctx := t.Context()
	c := open[string, string](t, e.st, "", nil)
	big := strings.Repeat("b", 40_000)
	ok(t, c.SetMany(ctx, maps.All(map[string]string{"a": "1", "b": big, "c": "3"}), cache.Tag("t")))
	es := must(c.GetMany(ctx, "c", "none", "b", "a"))(t)
	equal(t, len(es), 3)
	equal(t, es[0].Value+es[2].Value+es[2].Tag.Text(), "31t")
	equal(t, es[1].Value, big)
	equal(t, must(c.DeleteMany(ctx, "a", "b", "none"))(t), 2)
	length(t, c, 1)
	equal(t, must(c.DeleteMany(ctx))(t), 0)
	is(t, c.SetMany(ctx, nil), cache.ErrInvalid)
	ok(t, c.SetMany(ctx, maps.All(map[string]string{})))
	many := map[string]string{}
	for i := range 200 {
		many[fmt.Sprint(i)] = "v"
	}
	ok(t, c.SetMany(ctx, maps.All(many)))
	length(t, c, 201)
}

func testGetOrSet(t *testing.T, e *env) {
	ctx := t.Context()
	c := open[string, string](t, e.st, "", nil)
	for _, v := range []string{"v", strings.Repeat("v", 40_000)} {
		k := v[:1] + fmt.Sprint(len(v))
		got, loaded, err := c.GetOrSet(ctx, k, v, cache.TTL(time.Minute))
		ok(t, err)
		equal(t, got == v && !loaded, true)
		got, loaded, err = c.GetOrSet(ctx, k, "other")
		ok(t, err)
		equal(t, got == v && loaded, true)
	}
	e.clock.Advance(time.Minute)
	got, loaded, err := c.GetOrSet(ctx, "v1", "w")
	ok(t, err)
	equal(t, got == "w" && !loaded, true)
}

func testOnEvict(t *testing.T, e *env) {
	ctx := t.Context()
	var got []string
	var c *cache.Cache[string, string]
	c = open(t, e.st, "", &cache.Options[string, string]{
		SizeLimit: 290_000, // the database's own pages count too
		OnEvict: func(ent cache.Entry[string, string], why cache.Reason) {
			got = append(got, ent.Key+" "+string(why))
			if c != nil { // it may use the collection
				if _, err := c.Len(ctx); err != nil {
					t.Error(err)
				}
			}
		},
	})
	set(t, c, "x", "v", cache.TTL(time.Second))
	e.clock.Advance(time.Second)
	set(t, c, "a", strings.Repeat("x", 100_000))
	equal(t, strings.Join(got, ","), "x expired")
	e.clock.Advance(time.Second)
	ok(t, e.st.Update(ctx, func(tx *cache.Tx) error {
		e.clock.Advance(time.Second)
		set(t, c.In(tx), "b", strings.Repeat("x", 100_000))
		e.clock.Advance(time.Second)
		set(t, c.In(tx), "c", strings.Repeat("x", 100_000))
		equal(t, len(got), 1) // not before the commit
		return nil
	}))
	equal(t, strings.Join(got, ","), "x expired,a evicted")
	must(c.Delete(ctx, "b"))(t)
	must(c.Clear(ctx))(t)
	equal(t, len(got), 2)
	oops := errors.New("oops")
	set(t, c, "y", "v", cache.TTL(time.Second))
	e.clock.Advance(time.Second)
	equal(t, e.st.Update(ctx, func(tx *cache.Tx) error {
		set(t, c.In(tx), "z", "v")
		return oops
	}), oops)
	equal(t, len(got), 2)
}

func testQueue(t *testing.T, e *env) {
	ctx := t.Context()
	ints := open[int64, string](t, e.st, "ints", nil)
	q := ints.Queue("")
	equal(t, must(q.PushBack(ctx, "a"))(t), 500_000_000_000_000)
	equal(t, must(q.PushFront(ctx, "b"))(t), 499_999_999_999_999)
	equal(t, must(q.PushBack(ctx, "c", cache.TTL(time.Second)))(t), 500_000_000_000_001)
	equal(t, must(q.PushBack(ctx, strings.Repeat("d", 40_000), cache.Tag("t")))(t), 500_000_000_000_002)
	ok(t, ints.Set(ctx, -5, "not of the queue"))
	ok(t, ints.Set(ctx, 1_000_000_000_000_000, "not of the queue"))
	e.clock.Advance(time.Second)
	next := func(fn func() (cache.Entry[int64, string], bool, error), want string) {
		t.Helper()
		ent, found, err := fn()
		ok(t, err)
		equal(t, found, want != "")
		if found {
			equal(t, ent.Value[:1], want)
		}
	}
	peek, peekBack := func() (cache.Entry[int64, string], bool, error) { return q.PeekFront(ctx) },
		func() (cache.Entry[int64, string], bool, error) { return q.PeekBack(ctx) }
	pull, pullBack := func() (cache.Entry[int64, string], bool, error) { return q.PopFront(ctx) },
		func() (cache.Entry[int64, string], bool, error) { return q.PopBack(ctx) }
	next(peek, "b")
	next(peekBack, "d")
	next(pull, "b")
	next(pull, "a")
	next(peek, "d") // past c, which has expired
	next(pullBack, "d")
	next(pull, "")
	next(peek, "")
	length(t, ints, 2)

	// The ends of the range.
	ok(t, ints.Set(ctx, 999_999_999_999_998, "last"))
	_, err := q.PushBack(ctx, "x")
	is(t, err, cache.ErrOverflow)
	equal(t, must(q.PushFront(ctx, "x"))(t), 999_999_999_999_997)
	_, err = ints.DeleteMany(ctx, 999_999_999_999_998, 999_999_999_999_997)
	ok(t, err)
	ok(t, ints.Set(ctx, 1, "first"))
	_, err = q.PushFront(ctx, "x")
	is(t, err, cache.ErrOverflow)
	equal(t, must(q.PushBack(ctx, "x"))(t), 2)

	text := open[string, string](t, e.st, "text", nil)
	p, p5 := text.Queue("p"), text.Queue("p-5")
	equal(t, must(p5.PushBack(ctx, "other"))(t), "p-5-500000000000000")
	set(t, text, "p-12", "other")
	equal(t, must(p.PushBack(ctx, "1"))(t), "p-500000000000000")
	equal(t, must(p.PushFront(ctx, "0"))(t), "p-499999999999999")
	for _, want := range []string{"0", "1"} {
		ent, found, err := p.PopFront(ctx)
		ok(t, err)
		equal(t, found, true)
		equal(t, ent.Value, want)
	}
	_, found, err := p.PopFront(ctx)
	ok(t, err)
	equal(t, found, false)
	length(t, text, 2)

	// Types of keys that cannot hold such keys.
	_, err = text.Queue("").PushBack(ctx, "v")
	is(t, err, cache.ErrInvalid)
	_, _, err = ints.Queue("p").PopFront(ctx)
	is(t, err, cache.ErrInvalid)
	_, _, err = open[int8, string](t, e.st, "small", nil).Queue("").PeekFront(ctx)
	is(t, err, cache.ErrInvalid)

	// Many expired items, and a transaction.
	for range 600 {
		must(p.PushBack(ctx, "x", cache.TTL(time.Second)))(t)
	}
	must(p.PushBack(ctx, "live"))(t)
	e.clock.Advance(time.Second)
	ok(t, e.st.Update(ctx, func(tx *cache.Tx) error {
		ent, found, err := p.In(tx).PopFront(ctx)
		ok(t, err)
		equal(t, found && ent.Value == "live", true)
		return nil
	}))
	length(t, text, 2)
}

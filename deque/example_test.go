package deque_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
)

// words returns a deque in a directory of its own, with items, and a function
// that removes it.
func words(items ...string) (*deque.Deque[string], func()) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	d, err := deque.Open[string](ctx, dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := d.PushBackMany(ctx, slices.Values(items)); err != nil {
		log.Fatal(err)
	}
	return d, func() {
		if err := d.Close(); err != nil {
			log.Fatal(err)
		}
		os.RemoveAll(dir)
	}
}

func print(d *deque.Deque[string]) {
	items, err := cache.Collect(d.All(context.Background()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Join(items, " "))
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	type job struct{ URL string }
	jobs, err := deque.Open[job](ctx, dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer jobs.Close()
	if err := jobs.PushBack(ctx, job{URL: "https://example.com/"}); err != nil {
		log.Fatal(err)
	}
	j, ok, err := jobs.PopFront(ctx)
	fmt.Println(j.URL, ok, err)
	_, ok, err = jobs.PopFront(ctx)
	fmt.Println(ok, err)
	// Output:
	// https://example.com/ true <nil>
	// false <nil>
}

// A deque is made of what a cache has as the queue without a prefix.
func ExampleNew() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c, err := cache.Open[int64, string](ctx, dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Queue("").PushBack(ctx, "a"); err != nil {
		log.Fatal(err)
	}

	d, err := deque.New[string](ctx, c.Store(), "", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.PopFront(ctx))
	// Output: a true <nil>
}

func ExampleDeque_PushBackMany() {
	ctx := context.Background()
	d, done := words()
	defer done()
	if err := d.PushBackMany(ctx, slices.Values([]string{"a", "b", "c"})); err != nil {
		log.Fatal(err)
	}
	if err := d.PushFrontMany(ctx, slices.Values([]string{"x", "y"})); err != nil {
		log.Fatal(err)
	}
	print(d)
	fmt.Println(d.PopFrontN(ctx, 2))
	// Output:
	// y x a b c
	// [y x] <nil>
}

func ExampleDeque_At() {
	ctx := context.Background()
	d, done := words("a", "b", "c")
	defer done()
	fmt.Println(d.At(ctx, -1))
	if err := d.SetAt(ctx, 0, "A"); err != nil {
		log.Fatal(err)
	}
	if err := d.RemoveAt(ctx, 1); err != nil {
		log.Fatal(err)
	}
	print(d)
	_, err := d.At(ctx, 2)
	fmt.Println(errors.Is(err, deque.ErrOutOfRange))
	// Output:
	// c <nil>
	// A c
	// true
}

func ExampleDeque_Rotate() {
	ctx := context.Background()
	d, done := words("a", "b", "c", "d")
	defer done()
	if err := d.Rotate(ctx, 1); err != nil {
		log.Fatal(err)
	}
	print(d)
	if err := d.Reverse(ctx); err != nil {
		log.Fatal(err)
	}
	print(d)
	// Output:
	// d a b c
	// c b a d
}

func ExampleDeque_SetMaxLen() {
	ctx := context.Background()
	d, done := words("a", "b", "c", "d")
	defer done()
	if err := d.SetMaxLen(ctx, 3); err != nil {
		log.Fatal(err)
	}
	print(d)
	if err := d.PushBack(ctx, "e"); err != nil {
		log.Fatal(err)
	}
	print(d)
	// Output:
	// b c d
	// c d e
}

func ExampleDeque_Count() {
	ctx := context.Background()
	d, done := words("a", "b", "a")
	defer done()
	fmt.Println(d.Count(ctx, "a"))
	fmt.Println(d.Remove(ctx, "a"))
	print(d)
	// Output:
	// 2 <nil>
	// true <nil>
	// b a
}

func ExampleDeque_Compare() {
	ctx := context.Background()
	a, done := words("a", "b")
	defer done()
	b, done := words("a", "c")
	defer done()
	fmt.Println(a.Compare(ctx, b, strings.Compare))
	fmt.Println(a.Equal(ctx, b))
	fmt.Println(a.CompareSlice(ctx, []string{"a", "b"}, strings.Compare))
	// Output:
	// -1 <nil>
	// false <nil>
	// 0 <nil>
}

func ExampleDeque_Copy() {
	ctx := context.Background()
	a, done := words("a", "b")
	defer done()
	b, done := words("x")
	defer done()
	if err := a.Copy(ctx, b); err != nil {
		log.Fatal(err)
	}
	print(b)
	// Output: a b
}

func ExampleDeque_Backward() {
	d, done := words("a", "b", "c")
	defer done()
	for v, err := range d.Backward(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(v)
	}
	// Output:
	// c
	// b
	// a
}

func ExampleDeque_PopFrontWait() {
	ctx := context.Background()
	d, done := words()
	defer done()
	go func() {
		if err := d.PushBack(ctx, "here it is"); err != nil {
			log.Fatal(err)
		}
	}()
	fmt.Println(d.PopFrontWait(ctx))

	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err := d.PopFrontWait(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// here it is <nil>
	// true
}

func ExampleDeque_Claim() {
	ctx := context.Background()
	d, done := words("a", "b")
	defer done()
	c, _, err := d.Claim(ctx, time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Value, "is claimed")
	print(d)
	if err := c.Nack(ctx, 0); err != nil { // give it back
		log.Fatal(err)
	}
	print(d)
	c, _, err = d.Claim(ctx, time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Value, "once more, attempt", c.Attempt)
	if err := c.Extend(ctx, time.Hour); err != nil { // it takes longer
		log.Fatal(err)
	}
	if err := c.Ack(ctx); err != nil { // done
		log.Fatal(err)
	}
	fmt.Println(errors.Is(c.Ack(ctx), deque.ErrLost))
	print(d)
	// Output:
	// a is claimed
	// b
	// a b
	// a once more, attempt 2
	// true
	// b
}

// The work and its result are committed together, or not at all.
func ExampleClaim_In() {
	ctx := context.Background()
	d, done := words("go.dev")
	defer done()
	titles, err := index.New[string, string](ctx, d.Store(), "titles", nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := d.ClaimWait(ctx, time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	err = d.Update(ctx, func(tx *cache.Tx) error {
		if err := titles.In(tx).Set(ctx, c.Value, "The Go Programming Language"); err != nil {
			return err
		}
		if err := d.In(tx).PushBack(ctx, "go.dev/doc"); err != nil {
			return err
		}
		return c.In(tx).Ack(ctx)
	})
	if err != nil {
		log.Fatal(err)
	}
	print(d)
	fmt.Println(titles.Get(ctx, "go.dev"))
	// Output:
	// go.dev/doc
	// The Go Programming Language true <nil>
}

func ExampleDelay() {
	ctx := context.Background()
	d, done := words("now")
	defer done()
	if err := d.PushBack(ctx, "soon", deque.Delay(time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		v, err := d.PopFrontWait(ctx)
		fmt.Println(v, err)
	}
	// Output:
	// now <nil>
	// soon <nil>
}

func ExampleOption() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	now := time.Now()
	d, err := deque.Open(ctx, dir, &deque.Options[string]{
		Store: &cache.StoreOptions{Now: func() time.Time { return now }},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	if err := d.PushBack(ctx, "news", cache.TTL(time.Hour)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.Len(ctx))
	now = now.Add(time.Hour)
	fmt.Println(d.Len(ctx))
	// Output:
	// 1 <nil>
	// 0 <nil>
}

func ExampleDeque_Stats() {
	ctx := context.Background()
	jobs, done := words("a", "b", "c")
	defer done()
	if err := jobs.PushBack(ctx, "d", deque.Delay(time.Hour)); err != nil {
		log.Fatal(err)
	}
	if _, _, err := jobs.Claim(ctx, time.Minute); err != nil {
		log.Fatal(err)
	}
	s, err := jobs.Stats(ctx)
	fmt.Println(s.Ready, s.Claimed, s.Delayed, s.Age < time.Hour, err)
	// Output: 2 1 1 true <nil>
}

func ExampleDeque_In() {
	ctx := context.Background()
	from, done := words("a", "b")
	defer done()
	to, err := deque.New[string](ctx, from.Store(), "other", nil)
	if err != nil {
		log.Fatal(err)
	}
	// The item is in one of the two at any time.
	err = from.Update(ctx, func(tx *cache.Tx) error {
		v, ok, err := from.In(tx).PopFront(ctx)
		if !ok || err != nil {
			return err
		}
		return to.In(tx).PushBack(ctx, v)
	})
	fmt.Println(err)
	print(from)
	print(to)
	// Output:
	// <nil>
	// b
	// a
}

func ExampleLook() {
	ctx := context.Background()
	jobs, done := words("a", "b")
	defer done()
	if _, _, err := jobs.Claim(ctx, time.Hour); err != nil {
		log.Fatal(err)
	}
	s, err := deque.Look(ctx, jobs.Store(), "") // needs no type
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Ready, "ready", s.Claimed, "claimed")
	for _, c := range s.Claims {
		fmt.Println("attempt", c.Attempt, c.Alive)
		if err := deque.Requeue(ctx, jobs.Store(), "", c.ID); err != nil { // the work will not be done
			log.Fatal(err)
		}
	}
	v, _, err := jobs.PeekFront(ctx)
	fmt.Println(v, err)
	// Output:
	// 1 ready 1 claimed
	// attempt 1 true
	// a <nil>
}

// Work that fails is tried three times, and then put aside.
func ExampleRetryPolicy() {
	ctx := context.Background()
	st, err := cache.OpenTemp(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()
	jobs, err := deque.New(ctx, st, "jobs", &deque.Options[string]{
		Retry: &deque.RetryPolicy{MaxAttempts: 3, Backoff: time.Millisecond},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := jobs.PushBack(ctx, "a job"); err != nil {
		log.Fatal(err)
	}
	for range 3 {
		c, err := jobs.ClaimWait(ctx, time.Minute)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("attempt", c.Attempt)
		if err := c.Fail(ctx); err != nil {
			log.Fatal(err)
		}
	}
	print(jobs.Dead())
	fmt.Println(jobs.Requeue(ctx, 10)) // when what was wrong is mended
	// Output:
	// attempt 1
	// attempt 2
	// attempt 3
	// a job
	// 1 <nil>
}

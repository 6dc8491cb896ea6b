package memo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/memo"
)

// open makes a store for an example.
func open() (*cache.Store, func()) {
	dir, err := os.MkdirTemp("", "")
	check(err)
	st, err := cache.OpenStore(context.Background(), dir, nil)
	check(err)
	return st, func() {
		check(st.Close())
		check(os.RemoveAll(dir))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func ExampleNew() {
	ctx := context.Background()
	st, done := open()
	defer done()
	square, err := memo.New(ctx, st, "square", func(ctx context.Context, n int) (int, error) {
		fmt.Println("computing")
		return n * n, nil
	}, &memo.Options[int, int]{TTL: time.Hour, Beta: 1})
	check(err)
	for range 2 {
		n, err := square.Call(ctx, 12)
		fmt.Println(n, err)
	}
	// Output:
	// computing
	// 144 <nil>
	// 144 <nil>
}

// A function may call itself through its Memo.
func ExampleMemo_Call() {
	ctx := context.Background()
	st, done := open()
	defer done()
	var fib *memo.Memo[int64, int64]
	fib, err := memo.New(ctx, st, "fib", func(ctx context.Context, n int64) (int64, error) {
		if n < 2 {
			return n, nil
		}
		a, err := fib.Call(ctx, n-1)
		if err != nil {
			return 0, err
		}
		b, err := fib.Call(ctx, n-2)
		return a + b, err
	}, nil)
	check(err)
	n, err := fib.Call(ctx, 50)
	fmt.Println(n, err)
	// Output: 12586269025 <nil>
}

func ExampleMemo_Refresh() {
	ctx := context.Background()
	st, done := open()
	defer done()
	version := 1
	page, err := memo.New(ctx, st, "page", func(ctx context.Context, path string) (string, error) {
		return fmt.Sprint(path, " version ", version), nil
	}, nil)
	check(err)
	fmt.Println(page.Call(ctx, "/"))
	version = 2
	fmt.Println(page.Call(ctx, "/"))
	fmt.Println(page.Refresh(ctx, "/"))
	// Output:
	// / version 1 <nil>
	// / version 1 <nil>
	// / version 2 <nil>
}

func ExampleMemo_Forget() {
	ctx := context.Background()
	st, done := open()
	defer done()
	double, err := memo.New(ctx, st, "double", func(ctx context.Context, n int) (int, error) {
		return 2 * n, nil
	}, nil)
	check(err)
	fmt.Println(double.Call(ctx, 4))
	fmt.Println(double.Peek(ctx, 4))
	fmt.Println(double.Forget(ctx, 4))
	fmt.Println(double.Peek(ctx, 4))
	// Output:
	// 8 <nil>
	// 8 true <nil>
	// true <nil>
	// 0 false <nil>
}

func ExampleMemo_Clear() {
	ctx := context.Background()
	st, done := open()
	defer done()
	double, err := memo.New(ctx, st, "double", func(ctx context.Context, n int) (int, error) {
		return 2 * n, nil
	}, nil)
	check(err)
	fmt.Println(double.Call(ctx, 4))
	fmt.Println(double.Call(ctx, 5))
	fmt.Println(double.Clear(ctx))
	fmt.Println(double.Peek(ctx, 4))
	// Output:
	// 8 <nil>
	// 10 <nil>
	// 2 <nil>
	// 0 false <nil>
}

// When an author's name changes, all pages that show it are made anew.
func ExampleMemo_Evict() {
	ctx := context.Background()
	st, done := open()
	defer done()
	type page struct {
		Author int
		Text   string
	}
	pages, err := memo.New(ctx, st, "pages", func(ctx context.Context, path string) (page, error) {
		fmt.Println("making", path)
		return page{Author: len(path), Text: "by ..."}, nil
	}, &memo.Options[string, page]{
		Tag: func(_ string, p page) cache.TagValue { return cache.Tag(p.Author) },
	})
	check(err)
	for _, path := range []string{"/a", "/b", "/long"} {
		_, err := pages.Call(ctx, path)
		check(err)
	}
	fmt.Println(pages.Evict(ctx, cache.Tag(2)))
	for _, path := range []string{"/a", "/long"} {
		_, err := pages.Call(ctx, path)
		check(err)
	}
	// Output:
	// making /a
	// making /b
	// making /long
	// 2 <nil>
	// making /a
}

// A price and what was computed from it change together.
func ExampleMemo_In() {
	ctx := context.Background()
	st, done := open()
	defer done()
	prices, err := cache.New[string, int](ctx, st, "prices", nil)
	check(err)
	check(prices.Set(ctx, "tea", 3))
	labels, err := memo.New(ctx, st, "labels", func(ctx context.Context, item string) (string, error) {
		price, _, err := prices.Get(ctx, item)
		return fmt.Sprint(item, " costs ", price), err
	}, nil)
	check(err)
	fmt.Println(labels.Call(ctx, "tea"))
	check(st.Update(ctx, func(tx *cache.Tx) error {
		if err := prices.In(tx).Set(ctx, "tea", 4); err != nil {
			return err
		}
		_, err := labels.In(tx).Forget(ctx, "tea")
		return err
	}))
	fmt.Println(labels.Call(ctx, "tea"))
	// Output:
	// tea costs 3 <nil>
	// tea costs 4 <nil>
}

func ExampleMemo_Stats() {
	ctx := context.Background()
	st, done := open()
	defer done()
	double, err := memo.New(ctx, st, "double", func(ctx context.Context, n int) (int, error) {
		return 2 * n, nil
	}, nil)
	check(err)
	for _, n := range []int{1, 2, 1, 1} {
		_, err := double.Call(ctx, n)
		check(err)
	}
	s, err := double.Stats(ctx)
	check(err)
	fmt.Println(s.Hits, "hits,", s.Misses, "misses,", s.Results, "results")
	// Output: 2 hits, 2 misses, 2 results
}

// What the key leaves out makes no difference: here the token, which is needed
// to ask but not part of the question.
func ExampleOptions_key() {
	ctx := context.Background()
	st, done := open()
	defer done()
	type question struct{ User, Token string }
	name, err := memo.New(ctx, st, "name", func(ctx context.Context, q question) (string, error) {
		fmt.Println("asking")
		return "Ann", nil
	}, &memo.Options[question, string]{
		Key: func(q question) string { return q.User },
	})
	check(err)
	fmt.Println(name.Call(ctx, question{User: "ann", Token: "1"}))
	fmt.Println(name.Call(ctx, question{User: "ann", Token: "2"}))
	// Output:
	// asking
	// Ann <nil>
	// Ann <nil>
}

// Errors are kept when asked for, each for as long as it is worth.
func ExampleOptions() {
	ctx := context.Background()
	st, done := open()
	defer done()
	missing := errors.New("no such user")
	users, err := memo.New(ctx, st, "users", func(ctx context.Context, name string) (string, error) {
		fmt.Println("asking for", name)
		return "", missing
	}, &memo.Options[string, string]{
		TTL:          time.Hour,
		StaleIfError: 24 * time.Hour,
		CacheError: func(err error) time.Duration {
			if errors.Is(err, missing) {
				return time.Minute
			}
			return 0
		},
	})
	check(err)
	for range 2 {
		_, err := users.Call(ctx, "ann")
		fmt.Println(err)
	}
	// Output:
	// asking for ann
	// no such user
	// no such user
}

// Several results are asked for at once: what is remembered is read in one
// transaction, and one request gets the rest.
func ExampleMemo_CallMany() {
	ctx := context.Background()
	st, done := open()
	defer done()
	load := func(_ context.Context, ids []int) (names []string, err error) {
		fmt.Println("SELECT name FROM users WHERE id IN", ids)
		for _, id := range ids {
			names = append(names, fmt.Sprint("user-", id))
		}
		return names, nil
	}
	users, err := memo.New(ctx, st, "users", func(ctx context.Context, id int) (string, error) {
		names, err := load(ctx, []int{id})
		if err != nil {
			return "", err
		}
		return names[0], nil
	}, &memo.Options[int, string]{TTL: time.Hour, Batch: load})
	check(err)
	for _, ids := range [][]int{{17, 42}, {42, 99, 17}} {
		names, err := users.CallMany(ctx, ids...)
		check(err)
		fmt.Println(names)
	}
	// Output:
	// SELECT name FROM users WHERE id IN [17 42]
	// [user-17 user-42]
	// SELECT name FROM users WHERE id IN [99]
	// [user-42 user-99 user-17]
}

package index_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/index"
	"github.com/go-diskcache/diskcache/memo"
)

// ages returns an index in a directory of its own, and a function that removes
// it.
func ages() (*index.Index[string, int], func()) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	x, err := index.Open[string, int](context.Background(), dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	return x, func() {
		if err := x.Close(); err != nil {
			log.Fatal(err)
		}
		os.RemoveAll(dir)
	}
}

func set(x *index.Index[string, int], names ...string) {
	for i, name := range names {
		if err := x.Set(context.Background(), name, i); err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	type user struct{ Name string }
	users, err := index.Open[string, user](ctx, dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer users.Close()
	if err := users.Set(ctx, "ann", user{Name: "Ann"}); err != nil {
		log.Fatal(err)
	}
	u, ok, err := users.Get(ctx, "ann")
	fmt.Println(u.Name, ok, err)
	_, ok, err = users.Get(ctx, "bob")
	fmt.Println(ok, err)
	// Output:
	// Ann true <nil>
	// false <nil>
}

// An index is made of the entries of a cache, which from then on evicts none.
func ExampleNew() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c, err := cache.Open[string, int](ctx, dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Set(ctx, "ann", 30); err != nil {
		log.Fatal(err)
	}

	x, err := index.New[string, int](ctx, c.Store(), "", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(x.Get(ctx, "ann"))
	fmt.Println(c.Settings().Policy)
	// Output:
	// 30 true <nil>
	// none
}

func ExampleIndex_All() {
	x, done := ages()
	defer done()
	set(x, "cid", "ann", "bob")
	for e, err := range x.All(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Key, e.Value)
	}
	// Output:
	// cid 0
	// ann 1
	// bob 2
}

func ExampleIndex_Sorted() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	set(x, "cid", "ann", "bob", "abe")
	for e, err := range x.Sorted().Prefix("a").All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Key)
	}
	for e, err := range x.Sorted().Before("cid").Desc().Limit(2).All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Key)
	}
	// Output:
	// abe
	// ann
	// bob
	// ann
}

func ExampleIndex_Floor() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	set(x, "ann", "cid")
	below, ok, err := x.Floor(ctx, "bob")
	fmt.Println(below.Key, ok, err)
	above, ok, err := x.Ceiling(ctx, "bob")
	fmt.Println(above.Key, ok, err)
	// Output:
	// ann true <nil>
	// cid true <nil>
}

func ExampleIndex_PopFirst() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	set(x, "cid", "ann", "bob")
	first, ok, err := x.PopFirst(ctx)
	fmt.Println(first.Key, ok, err)
	last, ok, err := x.PopLast(ctx)
	fmt.Println(last.Key, ok, err)
	// Output:
	// cid true <nil>
	// bob true <nil>
}

func ExampleIndex_CompareAndSwap() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	set(x, "ann")
	ok, err := x.CompareAndSwap(ctx, "ann", 0, 30)
	fmt.Println(ok, err)
	ok, err = x.CompareAndSwap(ctx, "ann", 0, 40)
	fmt.Println(ok, err)
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleIndex_GetOrSet() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	v, loaded, err := x.GetOrSet(ctx, "ann", 30)
	fmt.Println(v, loaded, err)
	v, loaded, err = x.GetOrSet(ctx, "ann", 40)
	fmt.Println(v, loaded, err)
	// Output:
	// 30 false <nil>
	// 30 true <nil>
}

func ExampleIndex_SetMany() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	m := map[string]int{"ann": 30, "bob": 40}
	if err := x.SetMany(ctx, maps.All(m)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(index.EqualMap(ctx, x, m))
	// Output: true <nil>
}

func ExampleIndex_Equal() {
	ctx := context.Background()
	a, done := ages()
	defer done()
	b, done := ages()
	defer done()
	set(a, "ann", "bob")
	if err := b.SetMany(ctx, maps.All(map[string]int{"bob": 1})); err != nil {
		log.Fatal(err)
	}
	if err := b.Set(ctx, "ann", 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.Equal(ctx, b)) // the order of insertion counts
	fmt.Println(index.EqualMap(ctx, b, map[string]int{"ann": 0, "bob": 1}))
	// Output:
	// false <nil>
	// true <nil>
}

// A structure of another package can be kept in the store of an index, here
// what a function has returned.
func ExampleIndex_Store() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	set(x, "ann", "bob")
	older, err := memo.New(ctx, x.Store(), "older", func(ctx context.Context, name string) (int, error) {
		age, _, err := x.Get(ctx, name)
		return age + 1, err
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(older.Call(ctx, "bob"))
	// Output: 2 <nil>
}

func ExampleIndex_Queue() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	k, err := x.Queue("waiting").PushBack(ctx, 7)
	fmt.Println(k, err)
	e, ok, err := x.Queue("waiting").PopFront(ctx)
	fmt.Println(e.Value, ok, err)
	// Output:
	// waiting-500000000000000 <nil>
	// 7 true <nil>
}

// A name changes in one step: no process sees both, or neither.
func ExampleIndex_Update() {
	ctx := context.Background()
	x, done := ages()
	defer done()
	set(x, "ann")
	err := x.Update(ctx, func(tx *cache.Tx) error {
		x := x.In(tx)
		v, ok, err := x.Pop(ctx, "ann")
		if !ok || err != nil {
			return err
		}
		return x.Set(ctx, "anne", v)
	})
	fmt.Println(err)
	fmt.Println(cache.Collect(x.Keys(ctx)))
	// Output:
	// <nil>
	// [anne] <nil>
}

package shard_test

import (
	"context"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/driver/shard"
)

// Two databases have the entries of one cache between them.
func ExampleNew() {
	ctx := context.Background()
	// Such as postgres.Open(ctx, "postgres://app@db1.example.org/app", nil), and db2's.
	first, second := memory.New(nil), memory.New(nil)
	engine, err := shard.New(ctx, first, second)
	if err != nil {
		fmt.Println(err)
		return
	}
	st := cache.NewStore(engine, nil)
	defer st.Close()
	pages, err := cache.New[string, string](ctx, st, "", nil) // the default collection
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 100 {
		if err := pages.Set(ctx, fmt.Sprintf("/page/%d", i), "text"); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(pages.Len(ctx))

	// Nobody needs to look, but this is where they are.
	for _, db := range []*memory.Store{first, second} {
		part, err := cache.New[string, string](ctx, cache.NewStore(db, nil), "", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		n, err := part.Len(ctx)
		fmt.Println(n > 30, err)
	}
	// Output:
	// 100 <nil>
	// true <nil>
	// true <nil>
}

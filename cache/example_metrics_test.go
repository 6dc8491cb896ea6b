package cache_test

import (
	"context"
	"expvar"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// Metrics shows on the page of package expvar, /debug/vars.
func ExampleStore_Metrics() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	st, err := cache.OpenStore(ctx, dir, nil)
	if err != nil {
		panic(err)
	}
	defer st.Close()
	expvar.Publish("store", expvar.Func(func() any { return st.Metrics() }))

	pages, err := cache.New[string, string](ctx, st, "pages", nil)
	if err != nil {
		panic(err)
	}
	if err := pages.Set(ctx, "/", "welcome"); err != nil {
		panic(err)
	}
	for range 2 {
		if _, _, err := pages.Get(ctx, "/"); err != nil {
			panic(err)
		}
	}
	m := st.Metrics()
	fmt.Println(m.Commits.Sum >= 1, m.Near.Hits+m.Near.Misses)
	// Output: true 2
}

// Slow operations are logged.
func ExampleObservation() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	log := slog.Default()
	c, err := cache.Open[string, string](ctx, dir, &cache.Options[string, string]{Store: &cache.StoreOptions{
		Observe: func(ctx context.Context, o cache.Observation) {
			if o.Took > 5*time.Second {
				log.WarnContext(ctx, "slow", "operation", o.Kind, "collection", o.Collection, "took", o.Took, "err", o.Err)
			}
		},
	}})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	fmt.Println(c.Set(ctx, "k", "v"))
	// Output: <nil>
}

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
	"github.com/go-diskcache/diskcache/codec"
)

var ctx = context.Background()

// tempDir stands for a directory of the program, such as os.UserCacheDir has.
func tempDir() string {
	dir, err := os.MkdirTemp("", "cache-example-")
	check(err)
	return dir
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func Example() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	type Page struct {
		Title string
		Links []string
	}
	pages, err := cache.Open[string, Page](ctx, dir, nil)
	check(err)
	defer pages.Close()

	check(pages.Set(ctx, "/", Page{Title: "Home"}, cache.TTL(time.Hour)))
	page, ok, err := pages.Get(ctx, "/")
	fmt.Println(page.Title, ok, err)
	_, ok, err = pages.Get(ctx, "/none")
	fmt.Println(ok, err)
	// Output:
	// Home true <nil>
	// false <nil>
}

func ExampleOpenStore() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	st, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Timeout: 5 * time.Second})
	check(err)
	defer st.Close()
	users, err := cache.New[int64, string](ctx, st, "users", &cache.Options[int64, string]{Persistent: true})
	check(err)
	check(users.Set(ctx, 7, "Ada"))
	names, err := st.Collections(ctx)
	check(err)
	fmt.Printf("%q\n", names[len(names)-1])
	// Output: "cache/users"
}

// The directory is one that Python opens as FanoutCache(directory, shards=4).
func ExampleStoreOptions_shards() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := cache.Open(ctx, dir, &cache.Options[string, int]{
		Store: &cache.StoreOptions{Shards: 4, SQLite: &sqlite.Options{Synchronous: sqlite.SyncFull}},
	})
	check(err)
	defer c.Close()
	check(c.Set(ctx, "k", 1))
	_, err = os.Stat(filepath.Join(dir, "003", "cache.db"))
	fmt.Println(err)
	_, err = cache.OpenStore(ctx, dir, nil)
	fmt.Println(errors.Is(err, cache.ErrInvalid)) // the number belongs to the directory
	// Output:
	// <nil>
	// true
}

func ExampleStoreOptions_readOnly() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := cache.Open[string, string](ctx, dir, nil)
	check(err)
	check(c.Set(ctx, "k", "v"))
	check(c.Close())

	c, err = cache.Open(ctx, dir, &cache.Options[string, string]{Store: &cache.StoreOptions{ReadOnly: true}})
	check(err)
	defer c.Close()
	fmt.Println(c.Get(ctx, "k"))
	fmt.Println(errors.Is(c.Set(ctx, "k", "w"), cache.ErrReadOnly))
	// Output:
	// v true <nil>
	// true
}

// A program that has to be small: the least memory for pages, and none for
// copies of entries.
func ExampleStoreOptions_memory() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	st, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{SQLite: &sqlite.Options{CacheSize: 1 << 20, NearCache: -1}})
	check(err)
	check(st.Close())

	_, err = cache.OpenStore(ctx, dir, &cache.StoreOptions{SQLite: &sqlite.Options{CacheSize: -1}})
	fmt.Println(errors.Is(err, cache.ErrInvalid)) // there is no store without pages
	// Output: true
}

func ExampleStore_Backup() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := cache.Open[string, string](ctx, filepath.Join(dir, "store"), nil)
	check(err)
	defer c.Close()
	check(c.Set(ctx, "k", "v"))
	check(c.Store().Backup(ctx, filepath.Join(dir, "backup")))
	check(c.Store().Compact(ctx))

	restored, err := cache.Open[string, string](ctx, filepath.Join(dir, "backup"), nil)
	check(err)
	defer restored.Close()
	fmt.Println(restored.Get(ctx, "k"))
	// Output: v true <nil>
}

func ExampleStore_Volume() {
	dir := tempDir()
	defer os.RemoveAll(dir)

	c, err := cache.Open[string, string](ctx, dir, nil)
	check(err)
	defer c.Close()
	check(c.Set(ctx, "large", strings.Repeat("x", 100_000)))
	v, err := c.Store().Volume(ctx)
	check(err)
	fmt.Println(v.Parts["files"], v.Total == v.Parts["database"]+v.Parts["log"]+v.Parts["files"])
	// Output: 100000 true
}

// Programs that use a store can be tested without a directory.
func ExampleNewStore() {
	st := cache.NewStore(memory.New(nil), nil)
	defer st.Close()
	c, err := cache.New[string, int](ctx, st, "counts", nil)
	check(err)
	n, err := cache.Incr(ctx, c, "tests", 1)
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// newCache returns a collection for an example.
func newCache[K, V any](o *cache.Options[K, V]) *cache.Cache[K, V] {
	c, err := cache.New(ctx, cache.NewStore(memory.New(nil), nil), "example", o)
	check(err)
	return c
}

// A type has changed. What is stored is read with the codec of the old type, and
// written with that of the new one to another collection.
func ExampleNew_migration() {
	st := cache.NewStore(memory.New(nil), nil)
	defer st.Close()
	type PageV1 struct{ Title, Author string }
	old, err := cache.New(ctx, st, "pages", &cache.Options[string, PageV1]{
		Values: codec.Named("page/v1", codec.JSON[PageV1]()),
	})
	check(err)
	check(old.Set(ctx, "/", PageV1{"Home", "Ann"}, cache.TTL(time.Hour)))

	type Page struct {
		Title   string
		Authors []string
	}
	pages, err := cache.New(ctx, st, "pages-2", &cache.Options[string, Page]{
		Values: codec.Named("page/v2", codec.JSON[Page]()),
	})
	check(err)
	for e, err := range old.All(ctx) {
		check(err)
		page := Page{e.Value.Title, []string{e.Value.Author}}
		_, err := pages.Add(ctx, e.Key, page, e.Options()...) // keeps what is there already, if this runs again
		check(err)
	}
	check(st.Drop(ctx, old.Name()))

	page, _, err := pages.GetEntry(ctx, "/")
	fmt.Println(page.Value, !page.Expiry.IsZero(), err)
	// Output: {Home [Ann]} true <nil>
}

func ExampleStore_Update() {
	stock := newCache[string, int](nil)
	orders, err := cache.New[int, string](ctx, stock.Store(), "orders", nil)
	check(err)
	check(stock.Set(ctx, "apple", 1))

	order := func(id int, item string) error {
		return stock.Store().Update(ctx, func(tx *cache.Tx) error {
			left, err := cache.Decr(ctx, stock.In(tx), item, 1)
			if err != nil {
				return err
			}
			if left < 0 {
				return errors.New("sold out") // undoes the Decr
			}
			return orders.In(tx).Set(ctx, id, item)
		})
	}
	fmt.Println(order(1, "apple"))
	fmt.Println(order(2, "apple"))
	left, _, err := stock.Get(ctx, "apple")
	fmt.Println(left, err)
	// Output:
	// <nil>
	// sold out
	// 0 <nil>
}

func ExampleStore_View() {
	c := newCache[string, int](nil)
	check(c.Set(ctx, "a", 1))
	check(c.View(ctx, func(tx *cache.Tx) error {
		check(c.Set(ctx, "a", 2)) // by somebody else, meanwhile
		v, _, err := c.In(tx).Get(ctx, "a")
		fmt.Println("in the snapshot:", v)
		return err
	}))
	v, _, err := c.Get(ctx, "a")
	fmt.Println(v, err)
	// Output:
	// in the snapshot: 1
	// 2 <nil>
}

func ExampleStore_Check() {
	st := newCache[string, int](nil).Store()
	report, err := st.Check(ctx, &cache.CheckOptions{Mend: true})
	check(err)
	for _, p := range report.Problems {
		fmt.Println(p.Kind, p.Collection, p.Path, p.Mended)
	}
	fmt.Println(report.OK())
	// Output: true
}

func ExampleCache_GetEntry() {
	c := newCache[string, string](nil)
	check(c.Set(ctx, "logo", "<svg>", cache.Tag("img"), cache.NoExpiry()))
	e, ok, err := c.GetEntry(ctx, "logo")
	fmt.Println(e.Value, e.Tag.Text(), e.Size, e.Expiry.IsZero(), ok, err)
	// Output: <svg> img 5 true true <nil>
}

func ExampleCache_Add() {
	c := newCache[string, string](nil)
	fmt.Println(c.Add(ctx, "owner", "first"))
	fmt.Println(c.Add(ctx, "owner", "second"))
	fmt.Println(c.Get(ctx, "owner"))
	// Output:
	// true <nil>
	// false <nil>
	// first true <nil>
}

func ExampleCache_Touch() {
	c := newCache[string, string](nil)
	check(c.Set(ctx, "session", "data", cache.TTL(time.Minute)))
	ok, err := c.Touch(ctx, "session", cache.TTL(time.Hour))
	fmt.Println(ok, err)
	ok, err = c.Touch(ctx, "none", cache.NoExpiry())
	fmt.Println(ok, err)
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleIncr() {
	hits := newCache[string, int](nil)
	// At most so many in a minute that begins with the first.
	for range 3 {
		n, err := cache.Incr(ctx, hits, "198.51.100.7", 1, cache.TTL(time.Minute))
		check(err)
		fmt.Println(n <= 2)
	}
	_, err := cache.Incr(ctx, hits, "none", 1, cache.MustExist())
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	// Output:
	// true
	// true
	// false
	// true
}

func ExampleCache_Pop() {
	c := newCache[string, string](nil)
	check(c.Set(ctx, "token", "once"))
	fmt.Println(c.Pop(ctx, "token"))
	_, ok, err := c.Pop(ctx, "token")
	fmt.Println(ok, err)
	// Output:
	// once true <nil>
	// false <nil>
}

func ExampleCache_Delete() {
	c := newCache[string, int](nil)
	check(c.Set(ctx, "a", 1))
	check(c.Set(ctx, "b", 2))
	fmt.Println(c.Delete(ctx, "a"))
	fmt.Println(c.Delete(ctx, "a"))
	fmt.Println(c.Contains(ctx, "a"))
	fmt.Println(c.Clear(ctx))
	// Output:
	// true <nil>
	// false <nil>
	// false <nil>
	// 1 <nil>
}

// An entry that has expired is missing at once, and is removed by later writes
// or by Expire.
func ExampleCache_Expire() {
	now := time.Now()
	st := cache.NewStore(memory.New(nil), &cache.StoreOptions{Now: func() time.Time { return now }})
	c, err := cache.New[string, int](ctx, st, "example", nil)
	check(err)
	check(c.Set(ctx, "a", 1, cache.TTL(time.Minute)))
	check(c.Set(ctx, "b", 2))
	now = now.Add(time.Hour)
	fmt.Println(c.Contains(ctx, "a"))
	fmt.Println(c.Len(ctx))
	fmt.Println(c.Expire(ctx))
	fmt.Println(c.Len(ctx))
	// Output:
	// false <nil>
	// 2 <nil>
	// 1 <nil>
	// 1 <nil>
}

// With a negative CullLimit writes remove nothing, and the program calls Cull.
func ExampleCache_Cull() {
	c := newCache(&cache.Options[int, string]{SizeLimit: 1 << 20, CullLimit: -1})
	for i := range 20 {
		check(c.Set(ctx, i, strings.Repeat("x", 100_000)))
	}
	n, err := c.Cull(ctx)
	fmt.Println(n > 0, err)
	_, ok, err := c.Get(ctx, 0) // the longest ago stored
	fmt.Println(ok, err)
	err = c.Set(ctx, 0, strings.Repeat("x", 2<<20))
	fmt.Println(errors.Is(err, cache.ErrTooLarge))
	// Output:
	// true <nil>
	// false <nil>
	// true
}

// All entries with a tag are copied, each with its expiry and its tag.
func ExampleInfo_Options() {
	c := newCache[string, string](nil)
	check(c.Set(ctx, "logo", "<svg>", cache.Tag("img")))
	check(c.Set(ctx, "ad", "<svg>", cache.Tag("img"), cache.TTL(time.Hour)))
	other, err := cache.New[string, string](ctx, c.Store(), "images", nil)
	check(err)
	for e, err := range c.Tagged(ctx, cache.Tag("img")) {
		check(err)
		check(other.Set(ctx, e.Key, e.Value, e.Options()...))
	}
	for e, err := range other.All(ctx) {
		check(err)
		fmt.Println(e.Key, e.Tag.Text(), e.Expiry.IsZero())
	}
	// Output:
	// logo img true
	// ad img false
}

func ExampleCache_Evict() {
	c := newCache(&cache.Options[string, string]{TagIndex: true})
	check(c.Set(ctx, "a", "1", cache.Tag("user:7")))
	check(c.Set(ctx, "b", "2", cache.Tag("user:7")))
	check(c.Set(ctx, "c", "3", cache.Tag("user:8")))
	for e, err := range c.Tagged(ctx, cache.Tag("user:7")) {
		check(err)
		fmt.Println(e.Key, e.Value)
	}
	fmt.Println(c.Evict(ctx, cache.Tag("user:7")))
	fmt.Println(c.Len(ctx))
	// Output:
	// a 1
	// b 2
	// 2 <nil>
	// 1 <nil>
}

func ExampleCache_All() {
	c := newCache[string, int](nil)
	check(c.Set(ctx, "one", 1))
	check(c.Set(ctx, "two", 2))
	for e, err := range c.All(ctx) {
		check(err)
		check(c.Set(ctx, e.Key, e.Value*10)) // the body may write
	}
	for e, err := range c.Backward(ctx) {
		check(err)
		fmt.Println(e.Key, e.Value)
	}
	// Output:
	// two 20
	// one 10
}

func ExampleCache_Sorted() {
	c := newCache[string, int](nil)
	for i, k := range []string{"pear", "apple", "plum", "cherry"} {
		check(c.Set(ctx, k, i))
	}
	for e, err := range c.Sorted().From("b").Before("pl").All(ctx) {
		check(err)
		fmt.Println(e.Key, e.Value)
	}
	keys, err := cache.Collect(c.Sorted().Prefix("p").Desc().Keys(ctx))
	fmt.Println(keys, err)
	// Output:
	// cherry 3
	// pear 0
	// [plum pear] <nil>
}

func ExampleCache_First() {
	c := newCache[string, int](nil)
	check(c.Set(ctx, "b", 1))
	check(c.Set(ctx, "a", 2))
	first, _, err := c.First(ctx)
	fmt.Println(first.Key, err)
	last, _, err := c.Last(ctx)
	fmt.Println(last.Key, err)
	// Output:
	// b <nil>
	// a <nil>
}

func ExampleCache_Queue() {
	c := newCache[string, string](nil)
	jobs := c.Queue("jobs")
	k, err := jobs.PushBack(ctx, "first")
	fmt.Println(k, err)
	_, err = jobs.PushBack(ctx, "second")
	check(err)
	_, err = jobs.PushFront(ctx, "urgent")
	check(err)
	for {
		e, ok, err := jobs.PopFront(ctx)
		check(err)
		if !ok {
			break
		}
		fmt.Println(e.Value)
	}
	// Output:
	// jobs-500000000000000 <nil>
	// urgent
	// first
	// second
}

func ExampleCache_Stats() {
	c := newCache(&cache.Options[string, string]{Statistics: true})
	check(c.Set(ctx, "k", "v"))
	_, _, err := c.Get(ctx, "k")
	check(err)
	_, _, err = c.Get(ctx, "none")
	check(err)
	s, err := c.Stats(ctx)
	fmt.Println(s.Hits, s.Misses, err)
	// Output: 1 1 <nil>
}

func ExampleCache_Configure() {
	c := newCache[string, string](nil)
	_, err := c.Configure(ctx, func(s *cache.Settings) { s.Statistics = true })
	check(err)
	s, err := c.Configure(ctx, func(s *cache.Settings) {
		s.Policy = cache.LeastRecentlyUsed
		s.SizeLimit = 64 << 20
	})
	fmt.Println(s.Policy, s.SizeLimit, err)
	// Output: least-recently-used 67108864 <nil>
}

func ExampleCache_CompareAndSwap() {
	c := newCache[string, string](nil)
	check(c.Set(ctx, "state", "ready"))
	fmt.Println(c.CompareAndSwap(ctx, "state", "ready", "running"))
	fmt.Println(c.CompareAndSwap(ctx, "state", "ready", "running"))
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleCache_Modify() {
	c := newCache[string, []string](nil)
	for _, name := range []string{"a", "b"} {
		v, _, err := c.Modify(ctx, "list", func(v []string, _ bool) ([]string, bool, error) {
			return append(v, name), true, nil
		})
		fmt.Println(v, err)
	}
	// Output:
	// [a] <nil>
	// [a b] <nil>
}

func ExampleCache_GetOrSet() {
	c := newCache[string, string](nil)
	fmt.Println(c.GetOrSet(ctx, "k", "mine"))
	fmt.Println(c.GetOrSet(ctx, "k", "other"))
	// Output:
	// mine false <nil>
	// mine true <nil>
}

func ExampleCache_SetMany() {
	c := newCache[string, int](nil)
	check(c.SetMany(ctx, maps.All(map[string]int{"a": 1, "b": 2}), cache.TTL(time.Hour)))
	found, err := c.GetMany(ctx, "b", "none", "a")
	check(err)
	for _, e := range found {
		fmt.Println(e.Key, e.Value)
	}
	fmt.Println(c.DeleteMany(ctx, "a", "b", "none"))
	// Output:
	// b 2
	// a 1
	// 2 <nil>
}

func ExampleCache_SetFrom() {
	c := newCache[string, []byte](nil)
	check(c.SetFrom(ctx, "report", strings.NewReader("as long as you like"), cache.TTL(time.Hour)))
	f, ok, err := c.OpenValue(ctx, "report")
	check(err)
	if ok {
		defer f.Close()
		_, err = io.Copy(os.Stdout, f)
		check(err)
	}
	// Output: as long as you like
}

func ExampleCache_OpenValue() {
	files := newCache[string, []byte](nil)
	http.HandleFunc("/files/", func(w http.ResponseWriter, r *http.Request) {
		f, ok, err := files.OpenValue(r.Context(), r.URL.Path)
		switch {
		case err != nil:
			http.Error(w, "cache failed", http.StatusInternalServerError)
		case !ok:
			http.NotFound(w, r)
		default:
			defer f.Close()
			w.Header().Set("ETag", f.ETag())
			http.ServeContent(w, r, r.URL.Path, f.Stored, f)
		}
	})
}

func ExampleOptions() {
	c := newCache(&cache.Options[string, string]{
		Values:    codec.Zlib(codec.String[string](), 1),
		Policy:    cache.LeastRecentlyUsed,
		SizeLimit: 64 << 20,
		TTL:       time.Hour,
		Sliding:   true, // an hour from the last read
		OnEvict: func(e cache.Entry[string, string], why cache.Reason) {
			log.Print("removed: ", why)
		},
	})
	check(c.Set(ctx, "k", "compressed"))
	fmt.Println(c.Get(ctx, "k"))
	// Output: compressed true <nil>
}

func ExampleCache_Watch() {
	c := newCache[string, string](nil)
	changed, stop, err := c.Watch()
	check(err)
	defer stop()
	go func() { check(c.Set(ctx, "answer", "42")) }() // or another process
	for {
		v, ok, err := c.Get(ctx, "answer")
		check(err)
		if ok {
			fmt.Println(v)
			return
		}
		<-changed
	}
	// Output: 42
}

func ExampleError() {
	_, err := cache.New(ctx, newCache[string, int](nil).Store(), "example", &cache.Options[string, int]{TTL: -1})
	var detail *cache.Error
	fmt.Println(errors.Is(err, cache.ErrInvalid), errors.As(err, &detail) && detail.Op == "New")
	fmt.Println(err)
	// Output:
	// true true
	// cache: New in "cache/example": invalid argument: Options.TTL is negative; 0 is forever
}

func ExampleNewRaw() {
	c := newCache[string, int](nil)
	check(c.Set(ctx, "one", 1, cache.TTL(time.Hour)))
	raw, err := cache.NewRaw(ctx, c.Store(), c.Name(), nil) // whatever it holds
	check(err)
	fmt.Println(raw.Schema().Keys, raw.Schema().Values)
	for e, err := range raw.Sorted().All(ctx) {
		check(err)
		fmt.Println(e.Key.Kind(), e.Key, e.Value.Kind(), e.Value)
	}
	_, err = cache.NewRaw(ctx, c.Store(), "cache/none", nil)
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	// Output:
	// string int
	// text 'one' integer 1
	// true
}

func ExampleRange_Infos() {
	c := newCache[string, []byte](nil)
	check(c.Set(ctx, "large", make([]byte, 1<<20), cache.Tag("img")))
	for e, err := range c.Sorted().Infos(ctx) { // reads no file
		check(err)
		fmt.Println(e.Key, e.Size, e.Tag.Text(), len(e.Value))
	}
	// Output:
	// large 1048576 img 0
}

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
	"github.com/go-diskcache/diskcache/codec"
)

func TestOptionsAreValidated(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		sealed, err := codec.Seal(codec.String[string](), sealKey)
		ok(t, err)
		type o = cache.Options[string, string]
		for i, bad := range []o{
			{Keys: sealed},
			{Policy: "random"},
			{TTL: -1},
			{Sliding: true},
			{Persistent: true, SizeLimit: 1},
			{Persistent: true, CullLimit: 1},
			{Persistent: true, Policy: cache.LeastRecentlyUsed},
			{Persistent: true, TTL: 1},
			{Persistent: true, BestEffort: true},
			{Family: "a/b"},
			{Store: &cache.StoreOptions{}},
		} {
			if _, err := cache.New(t.Context(), e.st, "x", &bad); !errors.Is(err, cache.ErrInvalid) {
				t.Errorf("options %d: error %v", i, err)
			}
		}
		_, err = cache.New[string, string](t.Context(), nil, "x", nil)
		is(t, err, cache.ErrInvalid)
		is(t, e.st.Backup(t.Context(), ""), cache.ErrInvalid)
		_, err = cache.Open(t.Context(), "", &o{TTL: -1})
		is(t, err, cache.ErrInvalid)
	})
}

// A negative size is none where there can be none, and else an error before
// the directory is touched.
func TestNegativeSizes(t *testing.T) {
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "store")
	for _, shards := range []int{0, 2} {
		_, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{SQLite: &sqlite.Options{CacheSize: -1}, Shards: shards})
		is(t, err, cache.ErrInvalid)
		_, err = cache.Open[string, string](ctx, dir, &cache.Options[string, string]{Store: &cache.StoreOptions{SQLite: &sqlite.Options{CacheSize: -1}, Shards: shards}})
		is(t, err, cache.ErrInvalid)
		_, err = cache.OpenStore(ctx, dir, &cache.StoreOptions{SQLite: &sqlite.Options{MaxWALSize: -1}, Shards: shards})
		is(t, err, cache.ErrInvalid)
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the directory exists: %v", err)
		}
	}
	for _, shards := range []int{0, 2} {
		c := must(cache.Open[string, string](ctx, filepath.Join(dir, fmt.Sprint(shards)), &cache.Options[string, string]{
			Store: &cache.StoreOptions{SQLite: &sqlite.Options{MmapSize: -1, NearCache: -1}, Timeout: -1, Shards: shards},
		}))(t)
		set(t, c, "k", "v")
		has(t, c, "k", "v")
		ok(t, c.Close())
	}
}

func TestCallOptionsAreValidated(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		c := open[string, string](t, e.st, "", nil)
		n := open[string, int](t, e.st, "n", nil)
		set(t, c, "k", "v")
		for i, opts := range [][]cache.Option{
			{nil},
			{cache.TTL(0)},
			{cache.Expiry{}},
			{cache.TTL(-time.Second)},
			{cache.ExpireAt(time.Time{})},
			{cache.TTL(1), cache.NoExpiry()},
			{cache.TTL(1), cache.ExpireAt(e.clock.Now())},
			{cache.Tag(1), cache.Tag(2)},
			{cache.Tag(math.NaN())},
			{cache.Tag(uint64(math.MaxUint64))},
			{cache.Tag(1), cache.TagValue{}},
			{cache.Initial(1)},
		} {
			modify := func(v string, ok bool) (string, bool, error) { return v, true, nil }
			errs := map[string]error{
				"Set":     c.Set(ctx, "k", "w", opts...),
				"SetFrom": c.SetFrom(ctx, "k", strings.NewReader("w"), opts...),
				"SetMany": c.SetMany(ctx, func(func(string, string) bool) {}, opts...),
			}
			_, errs["Add"] = c.Add(ctx, "k2", "w", opts...)
			_, _, errs["GetOrSet"] = c.GetOrSet(ctx, "k2", "w", opts...)
			_, errs["Touch"] = c.Touch(ctx, "k", opts...)
			_, errs["CompareAndSwap"] = c.CompareAndSwap(ctx, "k", "v", "w", opts...)
			_, _, errs["Modify"] = c.Modify(ctx, "k", modify, opts...)
			_, errs["PushBack"] = c.Queue("q").PushBack(ctx, "w", opts...)
			if i < 11 {
				_, errs["Incr"] = cache.Incr(ctx, n, "k", 1, opts...)
			}
			for name, err := range errs {
				if !errors.Is(err, cache.ErrInvalid) {
					t.Errorf("%s with options %d: error %v", name, i, err)
				}
			}
		}
		for _, opts := range [][]cache.Option{
			{cache.Initial(1), cache.MustExist()},
			{cache.Initial(1), cache.Initial(2)},
			{cache.Initial(1.5)},
			{cache.Initial(math.NaN())},
			{cache.Initial(uint64(math.MaxUint64))},
		} {
			_, err := cache.Incr(ctx, n, "k", 1, opts...)
			is(t, err, cache.ErrInvalid)
		}
		is(t, c.Set(ctx, "k", "w", cache.MustExist()), cache.ErrInvalid)
		_, err := c.Touch(ctx, "k", cache.Tag(1))
		is(t, err, cache.ErrInvalid)
		_, err = c.Evict(ctx, cache.TagValue{})
		is(t, err, cache.ErrInvalid)
		_, err = cache.Collect(c.Tagged(ctx, cache.Tag(math.NaN())))
		is(t, err, cache.ErrInvalid)
		for _, r := range []cache.Range[string, string]{{}, cache.Range[string, string]{}.From("a"), c.Sorted().Skip(-1), c.Sorted().Limit(0).From("a")} {
			_, err = cache.Collect(r.All(ctx))
			is(t, err, cache.ErrInvalid)
			_, err = cache.Collect(r.Limit(1).Keys(ctx))
			is(t, err, cache.ErrInvalid)
		}
		_, err = cache.Collect(open[int, string](t, e.st, "i", nil).Sorted().Prefix(1).Keys(ctx))
		is(t, err, cache.ErrInvalid)
		is(t, c.SetFrom(ctx, "k", nil), cache.ErrInvalid)
		is(t, n.SetFrom(ctx, "k", strings.NewReader("1")), cache.ErrInvalid)
		_, err = c.Configure(ctx, nil)
		is(t, err, cache.ErrInvalid)
		has(t, c, "k", "v")
		length(t, n, 0)
	})
}

func TestCancelledContext(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		c := open[string, string](t, e.st, "", nil)
		n := open[string, int](t, e.st, "n", nil)
		set(t, c, "k", "v")
		ctx := cancelled()
		big := strings.Repeat("v", 40_000)
		errs := map[string]error{
			"Set":     c.Set(ctx, "k", "w"),
			"Set big": c.Set(ctx, "k", big),
			"SetFrom": c.SetFrom(ctx, "k", strings.NewReader("w")),
			"SetMany": c.SetMany(ctx, func(y func(string, string) bool) { y("a", "b") }),
			"Update":  e.st.Update(ctx, func(*cache.Tx) error { return nil }),
			"View":    e.st.View(ctx, func(*cache.Tx) error { return nil }),
			"Drop":    e.st.Drop(ctx, "cache/n"),
		}
		_, errs["Add"] = c.Add(ctx, "k2", "v")
		_, _, errs["Get"] = c.Get(ctx, "k")
		_, _, errs["GetEntry"] = c.GetEntry(ctx, "k")
		_, errs["GetMany"] = c.GetMany(ctx, "k")
		_, _, errs["GetOrSet"] = c.GetOrSet(ctx, "k", "w")
		_, errs["Contains"] = c.Contains(ctx, "k")
		_, errs["Touch"] = c.Touch(ctx, "k", cache.TTL(1))
		_, errs["Delete"] = c.Delete(ctx, "k")
		_, errs["DeleteMany"] = c.DeleteMany(ctx, "k")
		_, _, errs["Pop"] = c.Pop(ctx, "k")
		_, errs["CompareAndSwap"] = c.CompareAndSwap(ctx, "k", "v", "w")
		_, _, errs["Modify"] = c.Modify(ctx, "k", func(string, bool) (string, bool, error) { return "", false, nil })
		_, errs["Incr"] = cache.Incr(ctx, n, "k", 1)
		_, errs["Len"] = c.Len(ctx)
		_, errs["Expire"] = c.Expire(ctx)
		_, errs["Evict"] = c.Evict(ctx, cache.Tag(1))
		_, errs["Cull"] = c.Cull(ctx)
		_, errs["Clear"] = c.Clear(ctx)
		_, _, errs["First"] = c.First(ctx)
		_, errs["PushBack"] = c.Queue("q").PushBack(ctx, "v")
		_, _, errs["PopFront"] = c.Queue("q").PopFront(ctx)
		_, errs["Keys"] = cache.Collect(c.Keys(ctx))
		_, errs["All"] = cache.Collect(c.All(ctx))
		_, errs["Stats"] = c.Stats(ctx)
		_, errs["Configure"] = c.Configure(ctx, func(*cache.Settings) {})
		_, errs["Check"] = e.st.Check(ctx, nil)
		_, errs["New"] = cache.New[string, string](ctx, e.st, "new", nil)
		_, _, errs["OpenValue"] = c.OpenValue(ctx, "k")
		for name, err := range errs {
			var detail *cache.Error
			if !errors.Is(err, context.Canceled) || !errors.As(err, &detail) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		cause := errors.New("the cause")
		with, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		_, _, err := c.Get(with, "k")
		is(t, err, context.Canceled)
		is(t, err, cause)
		has(t, c, "k", "v")
		length(t, c, 1)

		// At the waits in between.
		ctx, stop := context.WithCancel(t.Context())
		r := io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) { stop(); return 0, nil }))
		is(t, c.SetFrom(ctx, "k", r), context.Canceled)
		ctx, stop = context.WithCancel(t.Context())
		defer stop()
		set(t, c, "k2", "v")
		seen := 0
		for _, err := range c.All(ctx) {
			if seen++; seen == 1 {
				stop()
				continue
			}
			is(t, err, context.Canceled)
		}
		equal(t, seen, 2)
		ok(t, e.st.Update(t.Context(), func(tx *cache.Tx) error {
			is(t, c.In(tx).Set(cancelled(), "k", "w"), context.Canceled)
			waiting, stop := context.WithTimeout(context.Background(), time.Millisecond)
			defer stop()
			is(t, c.Set(waiting, "k", "w"), context.DeadlineExceeded)
			return nil
		}))
		has(t, c, "k", "v")
		if r := must(e.st.Check(t.Context(), nil))(t); !r.OK() {
			t.Fatalf("left over: %+v", r.Problems)
		}
	})
}

// What is wrong with a reader is not wrong with the store.
func TestSetFromDirectory(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		f := must(os.Open(t.TempDir()))(t)
		defer f.Close()
		err := open[string, []byte](t, e.st, "", nil).SetFrom(t.Context(), "k", f)
		if err == nil || errors.Is(err, cache.ErrNotStore) {
			t.Errorf("error %v", err)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// broken is a codec that cannot encode or decode some values.
type broken struct{ codec.Codec[string] }

func (broken) Name() string { return "mine" }

func (c broken) Encode(v string) (codec.Value, error) {
	if v == "unencodable" {
		return codec.Value{}, fmt.Errorf("refused: %w", codec.ErrEncode)
	}
	if v == "null" {
		return codec.Value{}, nil
	}
	return c.Codec.Encode(v)
}

func (c broken) Decode(v codec.Value) (string, error) {
	if v.Text() == "undecodable" {
		return "", fmt.Errorf("refused: %w", codec.ErrDecode)
	}
	return c.Codec.Decode(v)
}

func TestBrokenCodec(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		o := cache.Options[string, string]{Keys: broken{codec.String[string]()}, Values: broken{codec.String[string]()}}
		c := open(t, e.st, "secret name", &o)
		is(t, c.Set(ctx, "unencodable", "v"), codec.ErrEncode)
		is(t, c.Set(ctx, "null", "v"), cache.ErrInvalid)
		is(t, c.Set(ctx, "k", "unencodable"), codec.ErrEncode)
		set(t, c, "k", "undecodable")
		set(t, c, "undecodable", "v")
		_, _, err := c.Get(ctx, "k")
		is(t, err, cache.ErrCodecMismatch)
		is(t, err, codec.ErrDecode)
		if !strings.Contains(err.Error(), `Get in "cache/secret name"`) || strings.Contains(err.Error(), "undecodable") {
			t.Errorf("message %q", err)
		}
		_, _, err = c.Pop(ctx, "k")
		is(t, err, cache.ErrCodecMismatch)
		_, err = cache.Collect(c.Keys(ctx))
		is(t, err, cache.ErrCodecMismatch)
		_, err = cache.Collect(c.All(ctx))
		is(t, err, cache.ErrCodecMismatch)
		_, _, err = c.GetOrSet(ctx, "k", "v")
		is(t, err, cache.ErrCodecMismatch)
		_, _, err = c.Modify(ctx, "k", func(v string, _ bool) (string, bool, error) { return v, true, nil })
		is(t, err, cache.ErrCodecMismatch)
		length(t, c, 2) // nothing is lost
		q := c.Queue("q")
		must(q.PushBack(ctx, "undecodable"))(t)
		must(q.PushBack(ctx, "fine"))(t)
		_, _, err = q.PopFront(ctx)
		is(t, err, cache.ErrCodecMismatch)

		o.SkipUndecodable = true
		c = open(t, e.st, "secret name", &o)
		has(t, c, "k", "")
		ent, found, err := c.Queue("q").PopFront(ctx)
		ok(t, err)
		equal(t, found && ent.Value == "fine", true)
		_, found, err = c.Queue("q").PopFront(ctx)
		ok(t, err)
		equal(t, found, false)
		_, found, err = c.Pop(ctx, "k")
		ok(t, err)
		equal(t, found, false)
		equal(t, len(must(cache.Collect(c.All(ctx)))(t)), 0)
		v, loaded, err := c.GetOrSet(ctx, "k", "new")
		ok(t, err)
		equal(t, v == "new" && !loaded, true)
		has(t, c, "k", "new")
	})
}

// A collection of one struct does not open as one of another, once it is named.
func TestNamedCodec(t *testing.T) {
	type page struct{ Title string }
	type user struct{ Name string }
	pages := &cache.Options[string, page]{Values: codec.Named("page/v1", codec.JSON[page]())}
	onEngines(t, func(t *testing.T, e *env) {
		for _, name := range []string{"", "x"} {
			ok(t, open(t, e.st, name, pages).Set(t.Context(), "k", page{"Home"}))
		}
		st := e.reopen(0, false)
		for _, name := range []string{"", "x"} {
			for _, values := range []codec.Codec[user]{
				codec.JSON[user](), codec.Named("user/v1", codec.JSON[user]()), codec.Named("page/v2", codec.JSON[user]()),
				codec.Named("page/v1", codec.Gob[user]()),
			} {
				_, err := cache.New(t.Context(), st, name, &cache.Options[string, user]{Values: values})
				is(t, err, cache.ErrCodecMismatch)
			}
			v, found, err := open(t, st, name, pages).Get(t.Context(), "k")
			ok(t, err)
			equal(t, found && v.Title == "Home", true)
		}
	})
}

func TestCodecMismatch(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		open[string, string](t, e.st, "", nil)
		set(t, open[string, string](t, e.st, "x", nil), "k", "v")
		st := e.reopen(0, false)
		_, err := cache.New[string, int](t.Context(), st, "x", nil)
		is(t, err, cache.ErrCodecMismatch)
		_, err = cache.New[int, string](t.Context(), st, "x", nil)
		is(t, err, cache.ErrCodecMismatch)
		_, err = cache.New(t.Context(), st, "x", &cache.Options[int, string]{Family: "deque"})
		ok(t, err)
		equal(t, strings.Join(must(st.Collections(t.Context()))(t), ","), ",cache/x,deque/x")
		ok(t, st.Drop(t.Context(), "cache/x"))
		ok(t, st.Drop(t.Context(), "cache/x"))
		equal(t, len(must(st.Collections(t.Context()))(t)), 2)
		_, err = cache.New[string, int](t.Context(), st, "x", nil)
		ok(t, err)
	})
}

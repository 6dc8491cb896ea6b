package cache_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// openSharded opens the store of a directory with n shards.
func openSharded(t *testing.T, dir string, n int) *cache.Store {
	t.Helper()
	st, err := cache.OpenStore(t.Context(), dir, &cache.StoreOptions{Shards: n})
	ok(t, err)
	t.Cleanup(func() { ok(t, st.Close()) })
	return st
}

// Everything that goes through many keys or no key works across shards.
func TestShards(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	st := openSharded(t, dir, 4)
	c := open[string, string](t, st, "", nil)
	want := map[string]string{}
	for i := range 200 {
		want[fmt.Sprintf("k%03d", i)] = fmt.Sprint(i)
	}
	ok(t, c.SetMany(ctx, maps.All(want)))
	length(t, c, 200)
	for i := range 4 {
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%03d", i), "cache.db")); err != nil {
			t.Error(err)
		}
	}
	got := map[string]string{}
	for e, err := range c.All(ctx) {
		ok(t, err)
		got[e.Key] = e.Value
	}
	equal(t, maps.Equal(got, want), true)
	keys := must(cache.Collect(c.Sorted().From("k050").Skip(7).Limit(20).Keys(ctx)))(t)
	equal(t, len(keys), 20)
	for i, k := range keys {
		equal(t, k, fmt.Sprintf("k%03d", 57+i))
	}
	back := must(cache.Collect(c.Backward(ctx)))(t)
	slices.Reverse(back)
	for i, e := range must(cache.Collect(c.All(ctx)))(t) {
		equal(t, e.Key, back[i].Key)
	}
	es := must(c.GetMany(ctx, "k001", "k002", "absent", "k150"))(t)
	equal(t, len(es), 3)
	equal(t, must(c.DeleteMany(ctx, "k001", "k002", "absent", "k150"))(t), 3)
	// A queue is one, over all shards.
	q := c.Queue("q")
	for i := range 30 {
		must(q.PushBack(ctx, fmt.Sprint(i)))(t)
	}
	must(q.PushFront(ctx, strings.Repeat("x", 100_000)))(t) // a file before its key is known
	e, found, err := q.PopFront(ctx)
	ok(t, err)
	equal(t, found && len(e.Value) == 100_000, true)
	for i := range 30 {
		e, found, err := q.PopFront(ctx)
		ok(t, err)
		equal(t, found && e.Value == fmt.Sprint(i), true)
	}
	// Files, whole and as streams, from another handle.
	content := bytes.Repeat([]byte("0123456789"), 10_000)
	other := open[string, string](t, openSharded(t, dir, 4), "", nil)
	for i := range 8 {
		k := fmt.Sprint("file", i)
		if i%2 == 0 {
			set(t, c, k, string(content))
		} else {
			ok(t, c.SetFrom(ctx, k, bytes.NewReader(content)))
		}
		has(t, other, k, string(content))
		f, _, err := other.OpenValue(ctx, k)
		ok(t, err)
		all, err := io.ReadAll(f)
		ok(t, err)
		equal(t, bytes.Equal(all, content), true)
		ok(t, f.Close())
		if rel, err := filepath.Rel(dir, f.Name()); err != nil || !strings.HasPrefix(rel, "00") {
			t.Errorf("the file is %s", rel)
		}
	}
	// One transaction over shards and named collections.
	n := open[string, int](t, st, "counts", nil)
	ok(t, st.Update(ctx, func(tx *cache.Tx) error {
		for k := range want {
			if _, err := c.In(tx).Delete(ctx, k); err != nil {
				return err
			}
		}
		_, err := cache.Incr(ctx, n.In(tx), "cleared", 1)
		return err
	}))
	length(t, c, 8)
	equal(t, must(c.Clear(ctx))(t), 8)
	equal(t, strings.Join(must(st.Collections(ctx))(t), ","), ",cache/counts")
	equal(t, must(st.Check(ctx, nil))(t).OK(), true)
	copied := filepath.Join(t.TempDir(), "copy")
	ok(t, st.Backup(ctx, copied))
	v, found, err := open[string, int](t, openSharded(t, copied, 4), "counts", nil).Get(ctx, "cleared")
	ok(t, err)
	equal(t, found && v == 1, true)
}

func TestShardsOptions(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	c, err := cache.Open(ctx, dir, &cache.Options[string, []byte]{SizeLimit: 1000, Store: &cache.StoreOptions{Shards: 8}})
	ok(t, err)
	defer c.Close()
	equal(t, c.Settings().SizeLimit, 1000)
	err = c.Set(ctx, "k", make([]byte, 126))
	is(t, err, cache.ErrTooLarge)
	if !strings.Contains(err.Error(), "a shard's part of the collection's limit is 125") {
		t.Errorf("message %q", err)
	}
	is(t, c.SetFrom(ctx, "k", bytes.NewReader(make([]byte, 126))), cache.ErrTooLarge)
	ok(t, c.Set(ctx, "k", make([]byte, 125)))

	for n, words := range map[int]string{0: "Shards: 8", 4: "open it with 8", -1: "1 to"} {
		_, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Shards: n})
		is(t, err, cache.ErrInvalid)
		if !strings.Contains(err.Error(), words) {
			t.Errorf("message %q", err)
		}
	}
	plain := t.TempDir()
	st, err := cache.OpenStore(ctx, plain, nil)
	ok(t, err)
	ok(t, st.Close())
	_, err = cache.OpenStore(ctx, plain, &cache.StoreOptions{Shards: 8})
	is(t, err, cache.ErrInvalid)
	if !strings.Contains(err.Error(), "without Shards") {
		t.Errorf("message %q", err)
	}
	ro, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Shards: 8, ReadOnly: true})
	ok(t, err)
	defer ro.Close()
	is(t, open[string, []byte](t, ro, "", nil).Set(ctx, "k", nil), cache.ErrReadOnly)
}

// Memory that is divided among shards does not become the default of each of
// them: none stays none, and little stays little.
func TestShardsMemory(t *testing.T) {
	ctx := t.Context()
	for _, size := range []int64{-1, 1} {
		st, err := cache.OpenStore(ctx, t.TempDir(), &cache.StoreOptions{Shards: 4, SQLite: &sqlite.Options{NearCache: size}})
		ok(t, err)
		c := open[string, string](t, st, "", nil)
		set(t, c, "k", "v")
		for range 3 {
			has(t, c, "k", "v")
		}
		if near := st.Metrics().Near; near != (driver.NearStats{}) {
			t.Errorf("with NearCache %d: %+v", size, near)
		}
		ok(t, st.Close())
	}
}

package cache_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// setTemp gives the test a directory for temporary files of its own.
func setTemp(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // on Windows
}

func TestOpenTemp(t *testing.T) {
	setTemp(t)
	ctx := t.Context()
	st, err := cache.OpenTemp(ctx, nil)
	ok(t, err)
	other, err := cache.OpenTemp(ctx, nil)
	ok(t, err)
	defer other.Close()
	if st.Dir() == other.Dir() || filepath.Dir(st.Dir()) != filepath.Clean(os.TempDir()) {
		t.Errorf("directories %s and %s", st.Dir(), other.Dir())
	}
	c := open[string, []byte](t, st, "", nil)
	ok(t, c.Set(ctx, "k", make([]byte, 100_000)))
	dir := st.Dir()
	ok(t, c.Close())
	_, err = os.Stat(dir)
	ok(t, err)
	ok(t, st.Close())
	ok(t, st.Close())
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
	_, err = cache.OpenTemp(ctx, &cache.StoreOptions{Shards: -1})
	is(t, err, cache.ErrInvalid)
	all, err := os.ReadDir(filepath.Dir(dir))
	ok(t, err)
	if len(all) != 1 {
		t.Errorf("left %v", all)
	}
}

// The directory stays until what runs has ended, however often Close is called.
func TestOpenTempClosedTwice(t *testing.T) {
	setTemp(t)
	st, err := cache.OpenTemp(t.Context(), nil)
	ok(t, err)
	closed := make(chan error)
	ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
		for range 2 {
			go func() { closed <- st.Close() }()
		}
		time.Sleep(20 * time.Millisecond) // time for what must not happen
		_, err := os.Stat(st.Dir())
		return err
	}))
	ok(t, <-closed)
	ok(t, <-closed)
}

func TestETag(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	tag := func(c *cache.Cache[string, []byte]) string {
		t.Helper()
		f, found, err := c.OpenValue(ctx, "k")
		ok(t, err)
		equal(t, found, true)
		defer f.Close()
		if _, err := f.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		return f.ETag()
	}
	st, err := cache.OpenStore(ctx, dir, nil)
	ok(t, err)
	second, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{ReadOnly: true})
	ok(t, err)
	defer second.Close()
	defer st.Close()
	c := open[string, []byte](t, st, "", nil)
	seen := map[string]bool{}
	for _, n := range []int{10, 10, 100_000, 100_000} {
		v := make([]byte, n)
		v[0] = byte(len(seen))
		ok(t, c.Set(ctx, "k", v))
		was := tag(c)
		if len(was) != 34 || was[0] != '"' || seen[was] {
			t.Errorf("%s, after %v", was, seen)
		}
		seen[was] = true
		equal(t, tag(c), was)
		equal(t, tag(open[string, []byte](t, second, "", nil)), was)
	}
	f, _, err := c.OpenValue(ctx, "k")
	ok(t, err)
	ok(t, c.Set(ctx, "k", nil))
	equal(t, seen[f.ETag()], true) // of what it was
	ok(t, f.Close())
}

func ExampleOpenTemp() {
	st, err := cache.OpenTemp(ctx, nil)
	check(err)
	c, err := cache.New[string, string](ctx, st, "", nil)
	check(err)
	check(c.Set(ctx, "k", "for a while"))
	fmt.Println(c.Get(ctx, "k"))
	check(st.Close()) // and it is gone
	// Output: for a while true <nil>
}

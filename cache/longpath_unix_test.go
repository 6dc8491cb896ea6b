//go:build unix

package cache_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

// longestDir is the number of bytes that the path of a directory may have.
const longestDir = 495

// pathOf returns a path of n bytes below dir, which it does not make.
func pathOf(dir string, n int) string {
	for len(dir) < n {
		dir += "/" + strings.Repeat("d", min(100, n-len(dir)-1))
		if n-len(dir) == 1 {
			dir += "d"
		}
	}
	return dir
}

// empty fails the test if there is anything in dir.
func empty(t *testing.T, dir string) {
	t.Helper()
	for _, e := range must(os.ReadDir(dir))(t) {
		t.Errorf("left behind: %.50s", e.Name())
	}
}

func TestLongPaths(t *testing.T) {
	ctx := t.Context()
	for _, shards := range []int{0, 2} {
		most := longestDir
		if shards > 0 {
			most -= len("/000")
		}
		o := &cache.StoreOptions{Shards: shards}
		refused := func(t *testing.T, dir string) {
			t.Helper()
			_, err := cache.OpenStore(ctx, dir, o)
			is(t, err, cache.ErrInvalid)
			if err == nil || !strings.Contains(err.Error(), "shorter") {
				t.Errorf("error %.300v", err)
			}
		}
		top := func(t *testing.T) string { return must(filepath.EvalSymlinks(t.TempDir()))(t) }

		base := top(t)
		for _, dir := range []string{
			pathOf(base, most+1), pathOf(base, most+100), pathOf(base, 5000), // SQLite's limit, and the system's
			filepath.Join(base, "new", strings.Repeat("x", 256)), // a name's
		} {
			refused(t, dir)
			empty(t, base)
		}
		dir := pathOf(base, most+1)
		ok(t, os.MkdirAll(dir, 0o700))
		refused(t, dir)
		empty(t, dir)
		link := filepath.Join(base, "link")
		ok(t, os.Symlink(dir, link))
		refused(t, link)
		refused(t, link+"/below")
		empty(t, dir)
		_, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{Shards: shards, ReadOnly: true})
		is(t, err, cache.ErrInvalid)
		t.Chdir(filepath.Dir(dir))
		refused(t, filepath.Base(dir))
		refused(t, filepath.Base(dir)+"/more")
		empty(t, dir)

		// As long as it may be, and then all is possible.
		base = top(t)
		dir = pathOf(base, most)
		for range 2 {
			st := must(cache.OpenStore(ctx, dir, o))(t)
			c := open[string, string](t, st, "", &cache.Options[string, string]{MinFileSize: 1})
			ok(t, c.Set(ctx, "k", "v"))
			v, _, err := c.Get(ctx, "k")
			ok(t, err)
			equal(t, v, "v")
			if shards == 0 {
				named := open[string, string](t, st, "named", &cache.Options[string, string]{MinFileSize: 1})
				ok(t, named.Set(ctx, "k", "v"))
			} else {
				_, err := cache.New[string, string](ctx, st, "named", nil) // cache/named is longer than 000
				is(t, err, cache.ErrInvalid)
				_, err = os.Lstat(filepath.Join(dir, "cache"))
				is(t, err, os.ErrNotExist)
			}
			backup := top(t)
			is(t, st.Backup(ctx, pathOf(backup, most+1)), cache.ErrInvalid)
			empty(t, backup)
			ok(t, st.Backup(ctx, pathOf(backup, most)))
			ok(t, st.Close())
		}
		t.Chdir(filepath.Dir(dir))
		st := must(cache.OpenStore(ctx, filepath.Base(dir), o))(t)
		ok(t, st.Close())

		// What counts is where symbolic links lead to.
		link = filepath.Join(top(t), strings.Repeat("l", 250))
		ok(t, os.Symlink(top(t), link))
		st = must(cache.OpenStore(ctx, filepath.Join(link, strings.Repeat("m", 250)), o))(t)
		ok(t, st.Close())
	}
}

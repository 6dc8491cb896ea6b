//go:build linux

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// soundStores are the contents of two stores that hold the same, one closed
// and one of a process that was killed, and what they hold.
func soundStores(t *testing.T) (closed, killed map[string]string, want map[string]string) {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	c := must(openCollections(ctx, st))(t)
	want = map[string]string{}
	for i := range 120 {
		k := fmt.Sprintf("key %03d", i)
		want[k] = fillValue(i, 20+i*i%1500)
		if i%12 == 0 {
			want[k] = fillValue(i, 33_000)
		}
		set(t, c.lru, k, want[k], cache.Tag(i%3))
		set(t, c.named, k, want[k])
	}
	for i := range 10 {
		must(c.jobs.Queue("q").PushBack(ctx, fillValue(i, 50)))(t)
	}
	must(cache.Incr(ctx, c.n, "total", 7))(t)
	killed = contents(t, dir)
	ok(t, st.Close())
	closed = contents(t, dir)
	delete(killed, "/cache.db-shm")
	for _, m := range []map[string]string{closed, killed} {
		maps.DeleteFunc(m, func(_, content string) bool { return content == "a folder" })
	}
	return closed, killed, want
}

// write makes a directory of contents.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, name)
		ok(t, os.MkdirAll(filepath.Dir(full), 0o700))
		ok(t, os.WriteFile(full, []byte(content), 0o600))
	}
}

// TestDamage damages stores at random. Whatever is done with them then, it
// ends, and it returns what was written or an error that programs can tell.
func TestDamage(t *testing.T) {
	closed, killed, want := soundStores(t)
	for _, d := range []struct {
		name  string
		files map[string]string
		which func(name string) bool
		cut   bool // instead of changing bytes
	}{
		{"database", closed, func(n string) bool { return n == "/cache.db" }, false},
		{"database cut", closed, func(n string) bool { return n == "/cache.db" }, true},
		{"log", killed, func(n string) bool { return n == "/cache.db-wal" }, false},
		{"log cut", killed, func(n string) bool { return n == "/cache.db-wal" }, true},
		{"database under a log", killed, func(n string) bool { return n == "/cache.db" }, false},
		{"values cut", closed, func(n string) bool { return strings.HasSuffix(n, ".val") }, true},
	} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(7, uint64(len(d.name))))
			var names []string
			for _, n := range slices.Sorted(maps.Keys(d.files)) {
				if d.which(n) {
					names = append(names, n)
				}
			}
			for i := range scaled(50) {
				files := maps.Clone(d.files)
				name := names[r.IntN(len(names))]
				files[name] = damage(r, files[name], d.cut)
				dir := quickDir(t)
				write(t, dir, files)
				// What changes within the pages of the database cannot be told from
				// what was written; all else can.
				exact := name != "/cache.db" || d.cut && len(files[name])%4096 == 0
				if wrong := useDamaged(t, dir, want, exact); wrong != "" {
					t.Errorf("variant %d: %s", i, wrong)
				}
				ok(t, os.RemoveAll(dir))
				if t.Failed() {
					break
				}
			}
		})
	}
}

// damage changes some bytes, or cuts some off.
func damage(r *rand.Rand, content string, cut bool) string {
	if cut {
		n := r.IntN(len(content))
		if r.IntN(2) == 0 {
			n &^= 4095 // where a page ends
		}
		return content[:n]
	}
	b := []byte(content)
	switch r.IntN(3) {
	case 0: // single bits
		for range 1 + r.IntN(8) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
	case 1: // the beginning of a page, where its structure is
		at := r.IntN(len(b)/4096+1) * 4096
		for i := at; i < min(at+100, len(b)); i++ {
			if r.IntN(10) == 0 {
				b[i] = byte(r.IntN(256))
			}
		}
	case 2: // a block that was not written, or twice
		from, to := r.IntN(len(b)/512)*512, r.IntN(len(b)/512)*512
		block := make([]byte, 512)
		if r.IntN(2) == 0 {
			copy(block, b[from:])
		}
		copy(b[to:], block)
	}
	return string(b)
}

// known are the errors that programs can tell.
var known = []error{
	cache.ErrCorrupt, cache.ErrCodecMismatch, cache.ErrNotStore, cache.ErrNewerFormat, cache.ErrTooLarge,
	cache.ErrOverflow,
}

// useDamaged does all kinds of things with a store that is damaged, and
// returns what is wrong with the answers.
func useDamaged(t *testing.T, dir string, want map[string]string, exact bool) string {
	t.Helper()
	wrong := make(chan string, 1)
	go func() { wrong <- useAll(dir, want, exact) }()
	select {
	case w := <-wrong:
		return w
	case <-time.After(time.Minute):
		panic("a damaged store hangs")
	}
}

func useAll(dir string, want map[string]string, exact bool) string {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	var wrong []string
	bad := func(op string, err error) bool {
		if err == nil {
			return false
		}
		var detail *cache.Error
		good := errors.As(err, &detail)
		if good {
			good = slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) })
		}
		if !good && len(wrong) < 5 {
			wrong = append(wrong, fmt.Sprintf("%s: error %v", op, err))
		}
		return true
	}
	compare := func(op, k, v string) {
		if exact && v != want[k] && len(wrong) < 5 {
			wrong = append(wrong, fmt.Sprintf("%s: a wrong value", op))
		}
	}
	for _, readOnly := range []bool{true, false} {
		st, err := cache.OpenStore(ctx, dir, &cache.StoreOptions{ReadOnly: readOnly, Timeout: 5 * time.Second})
		if bad("OpenStore", err) {
			continue
		}
		for _, name := range []string{"", "named"} {
			c, err := cache.New[string, string](ctx, st, name, nil)
			if errors.Is(err, cache.ErrReadOnly) && readOnly { // it is not there any more
				continue
			}
			if bad("New", err) {
				continue
			}
			for k := range want {
				if v, found, err := c.Get(ctx, k); !bad("Get", err) && found {
					compare("Get", k, v)
				}
			}
			for e, err := range c.All(ctx) {
				if !bad("All", err) {
					compare("All", e.Key, e.Value)
				}
			}
			for _, err := range c.Sorted().Keys(ctx) {
				bad("Sorted", err)
			}
			_, err = c.Len(ctx)
			bad("Len", err)
			if readOnly {
				continue
			}
			bad("Set", c.Set(ctx, "new", "v"))
			bad("Set big", c.Set(ctx, "key 012", strings.Repeat("v", 40_000)))
			for _, k := range []string{"key 000", "key 001", "key 050"} {
				_, err = c.Delete(ctx, k)
				bad("Delete", err)
			}
			_, err = c.Queue("q").PushBack(ctx, "v")
			bad("PushBack", err)
			_, _, err = c.Queue("q").PopFront(ctx)
			bad("PopFront", err)
			_, err = c.Evict(ctx, cache.Tag(1))
			bad("Evict", err)
		}
		_, err = st.Check(ctx, nil)
		bad("Check", err)
		if !readOnly {
			_, err = st.Check(ctx, &cache.CheckOptions{Mend: true})
			bad("Check with Mend", err)
			bad("Compact", st.Compact(ctx))
			bad("Backup", st.Backup(ctx, dir+"-backup"))
			os.RemoveAll(dir + "-backup")
		}
		bad("Close", st.Close())
	}
	return strings.Join(wrong, "\n")
}

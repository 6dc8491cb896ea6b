//go:build linux

package cache_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// elsewhereChild does to key "k" what it is told.
func elsewhereChild(ch *inChild) error {
	c, err := cache.Open[string, int64](ch.ctx, ch.arg(0), &cache.Options[string, int64]{Policy: cache.LeastFrequentlyUsed})
	if err != nil {
		return err
	}
	ch.say("ready")
	n := int64(0)
	for {
		what, err := ch.hear()
		if err != nil {
			return c.Close()
		}
		switch what {
		case "count", "count no more":
			_, err = c.Configure(ch.ctx, func(s *cache.Settings) { s.Statistics = what == "count" })
		case "touch":
			_, err = c.Touch(ch.ctx, "k", cache.TTL(time.Hour))
		case "set":
			n++
			err = c.Set(ch.ctx, "k", n)
		case "files", "no files":
			_, err = c.Configure(ch.ctx, func(s *cache.Settings) {
				s.MinFileSize = map[string]int64{"files": 1, "no files": 1 << 20}[what]
			})
		case "incr":
			_, err = cache.Incr(ch.ctx, c, "k", 1)
		case "get":
			if _, _, err = c.Get(ch.ctx, "k"); err == nil {
				_, err = c.Stats(ch.ctx) // has the access written
			}
		}
		if err != nil {
			return err
		}
		ch.say("done")
	}
}

// besideChild opens a cache, which an elsewhereChild has open too. finish ends
// both.
func besideChild(t *testing.T) (c *cache.Cache[string, int64], other *child, finish func()) {
	t.Helper()
	dir := filepath.Join(quickDir(t), "store")
	st := must(cache.OpenStore(t.Context(), dir, nil))(t)
	c = open(t, st, "", &cache.Options[string, int64]{Policy: cache.LeastFrequentlyUsed})
	other = spawn(t, "elsewhere", dir)
	other.expect("ready")
	return c, other, func() {
		other.finish()
		ok(t, st.Close())
		clean(t, dir)
	}
}

// TestNearElsewhere: what another process does to an entry or to the settings
// is seen by the very next Get, though the entry was in memory.
func TestNearElsewhere(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, other, finish := besideChild(t)
	ok(t, c.Set(ctx, "k", 1))
	get := func() cache.Entry[string, int64] {
		t.Helper()
		for range 3 {
			_, _, err := c.Get(ctx, "k")
			ok(t, err)
		}
		e, found, err := c.GetEntry(ctx, "k")
		ok(t, err)
		equal(t, found, true)
		return e
	}
	tell := func(what string) {
		other.say(what)
		other.expect("done")
	}
	before := get()
	tell("touch")
	e, _, err := c.GetEntry(ctx, "k")
	ok(t, err)
	if !before.Expiry.IsZero() || e.Expiry.IsZero() {
		t.Error("Touch elsewhere is not seen")
	}
	before = get()
	tell("incr")
	e = get()
	equal(t, e.Value, 2)
	before = get()
	tell("get")
	e, _, err = c.GetEntry(ctx, "k")
	ok(t, err)
	equal(t, e.Accesses, before.Accesses+2) // with the one that returned before

	tell("count")
	get()
	tell("count no more")
	get()
	s, err := c.Stats(ctx)
	ok(t, err)
	equal(t, s.Hits, 4) // and none of before or after
	finish()
}

// TestNearPosted: what another process has written is read without asking
// SQLite, at once and by everybody.
func TestNearPosted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, other, finish := besideChild(t)
	ok(t, c.Set(ctx, "k", 0))
	const n = 20
	for i := range int64(n) {
		other.say("set")
		other.expect("done")
		v, _, err := c.Get(ctx, "k")
		ok(t, err)
		equal(t, v, i+1)
	}
	// At first it learns of settings. After a second, reads are written.
	if near := c.Store().Metrics().Near; near.Hits < n/2 {
		t.Errorf("%+v", near)
	}
	finish()
}

// TestSettingsElsewhere: a write goes by the settings that another process has
// just changed, while both write in turns.
func TestSettingsElsewhere(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, other, finish := besideChild(t)
	want := c.Settings().MinFileSize
	for i := range 30 {
		how := []string{"set", "files", "set", "no files"}[i%4]
		other.say(how)
		other.expect("done")
		switch how {
		case "files":
			want = 1
		case "no files":
			want = 1 << 20
		}
		ok(t, c.Set(ctx, "v", 1))
		equal(t, c.Settings().MinFileSize, want)
	}
	finish()
}

// TestNearRestored: what the sqlite3 shell does to the whole database is seen.
// Where the files are replaced under a running process, it can write no more.
func TestNearRestored(t *testing.T) {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("there is no sqlite3: apt-get install sqlite3")
	}
	t.Parallel()
	ctx, root := t.Context(), quickDir(t)
	dir, backup := filepath.Join(root, "store"), filepath.Join(root, "backup")
	st := must(cache.OpenStore(ctx, dir, nil))(t)
	c := open[string, int64](t, st, "", nil)
	shell := func(command string) {
		t.Helper()
		out, err := exec.Command("sqlite3", "-cmd", ".timeout 10000", filepath.Join(dir, "cache.db"), command).CombinedOutput()
		if err != nil {
			t.Fatalf("sqlite3: %v\n%s", err, out)
		}
	}
	is := func(want int64) {
		t.Helper()
		for range 3 {
			n, _, err := c.Get(ctx, "k")
			ok(t, err)
			equal(t, n, want)
			time.Sleep(time.Millisecond) // after which it may be kept
		}
	}
	ok(t, c.Set(ctx, "k", 1))
	is(1)
	shell(".backup " + backup)
	is(1)
	ok(t, c.Set(ctx, "k", 2))
	is(2)
	shell("VACUUM")
	is(2)
	shell(".restore " + backup)
	is(1)
	ok(t, c.Set(ctx, "k", 3))
	is(3)
	shell("DELETE FROM Cache")
	is(0)
	ok(t, c.Set(ctx, "k", 4))
	is(4)

	for _, end := range []string{"", "-wal", "-shm"} {
		name := filepath.Join(dir, "cache.db"+end)
		ok(t, os.Rename(name, name+"-old"))
	}
	ok(t, os.WriteFile(filepath.Join(dir, "cache.db"), must(os.ReadFile(backup))(t), 0o600))
	other := spawn(t, "elsewhere", dir) // uses the same table for another database
	other.expect("ready")
	for i := range 20 {
		// What it reads is its own, or it knows that this is not there any more.
		if n, _, err := c.Get(ctx, "k"); !errors.Is(err, cache.ErrNotStore) {
			ok(t, err)
			equal(t, n, 4)
		}
		other.say([]string{"incr", "touch", "get"}[i%3])
		other.expect("done")
		if err := c.Set(ctx, "k", 5); !errors.Is(err, cache.ErrNotStore) {
			t.Fatalf("written to what others do not see: %v", err)
		}
	}
	other.finish()
	again := must(cache.Open[string, int64](ctx, dir, nil))(t) // in the same process
	n, _, err := again.Get(ctx, "k")
	ok(t, err)
	equal(t, n, 1+7)
	ok(t, again.Set(ctx, "k", 9))
	ok(t, again.Close())
	if err := st.Close(); err != nil && !strings.Contains(err.Error(), "cache.db") {
		t.Error(err)
	}
}

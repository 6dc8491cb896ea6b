package shard

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
	"github.com/go-diskcache/diskcache/codec"
)

// Collections are where they should be, with each engine.
func TestNamed(t *testing.T) {
	onEngines(t, 3, func(t *testing.T, s *Store, again func() *Store) {
		odd := "deque/odd '\"; name%"
		if runtime.GOOS == "windows" {
			odd = "deque/odd '; name%" // Windows has no names with quotes
		}
		for name, rel := range map[string]string{
			"": "", "cache/c": "cache/c", "deque/jobs": "deque/jobs", "index/i": "index/i", "deque/a/b": "deque/a/b",
			odd: odd, "deque/日本": "deque/日本",
			"sync/leases": "000", "plain": "000", "deque": "000", "deque-settings/all": "000", "deque-inflight/unknown": "000",
			"deque-inflight/jobs": "deque/jobs", "deque-leases/a/b": "deque/a/b", "../up": "000", "memo/../../x": "000",
		} {
			open(t, s, "deque/jobs")
			open(t, s, "deque/a/b")
			c := open(t, s, name).(*collection)
			equal(t, c.Name(), name)
			got := ""
			if len(c.parts) == 1 {
				got = c.members[0].rel
			}
			equal(t, got, rel)
			put(t, s, c, text(name))
			contains(t, names(t, s), name, true)
		}
		contains(t, names(t, s), metaName, false)
		contains(t, names(t, s), "deque/all", false)
		// Once decided, a place stays, whatever comes to be.
		open(t, s, "deque/all")
		open(t, s, "deque/unknown")
		other := again()
		for _, name := range []string{"deque-settings/all", "deque-inflight/unknown", "deque-inflight/jobs", "deque/jobs"} {
			equal(t, has(t, other, open(t, other, name), text(name)), true)
		}
		equal(t, len(scan(t, other, open(t, other, "deque/all"), driver.Scan{})), 0)

		// Drop. What has a directory is emptied.
		for _, name := range []string{"deque-inflight/jobs", "sync/leases", "deque/jobs", "never/was", "index/never"} {
			ok(t, s.Drop(t.Context(), name))
			contains(t, names(t, s), name, name == "deque/jobs")
		}
		equal(t, has(t, other, open(t, other, "deque/jobs"), text("deque/jobs")), false)
		contains(t, names(t, s), "index/never", false)
		put(t, s, open(t, s, "deque-inflight/jobs"), number(1))
		contains(t, names(t, s), "deque-inflight/jobs", true)
	})
}

// Names that cannot be those of a directory are refused, and nothing is made.
func TestRefusedNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := onDisk(t.Context(), dir, 2, 0, false)
	ok(t, err)
	defer s.Close()
	open(t, s, "deque/a/b")
	for _, name := range []string{
		"deque/..", "deque/../up", "deque/a/../../../up", "deque/.", "deque//x", "deque/x/", "deque//", "deque/nul\x00", `deque/back\slash`,
		"deque/" + strings.Repeat("x", 256), "deque/cache.db", "index/x/cache.db-tmp",
		"deque/a", "deque/a/b/c", // one in the other
		metaName,
	} {
		before := names(t, s)
		_, err := s.Open(t.Context(), name, driver.Spec{Settings: driver.DefaultSettings()})
		if !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%q: error is %v, want ErrInvalid", name, err)
		}
		equal(t, strings.Join(names(t, s), " "), strings.Join(before, " "))
		if err := s.Drop(t.Context(), name); err == nil && name != "deque/a" && name != "deque/a/b/c" {
			t.Errorf("%q can be dropped", name)
		}
	}
	up, err := os.ReadDir(filepath.Dir(dir))
	ok(t, err)
	equal(t, len(up), 1)
}

// Names that are one to the file system are not two collections.
func TestNamesOfOneDirectory(t *testing.T) {
	dir := t.TempDir()
	s, err := onDisk(t.Context(), dir, 2, 0, false)
	ok(t, err)
	defer s.Close()
	put(t, s, open(t, s, "deque/jobs/a"), text("k"))
	_, err = os.Stat(filepath.Join(dir, "deque", "JOBS"))
	insensitive := err == nil
	for _, name := range []string{"deque/Jobs/a", "deque/jobs/A", "deque/JOBS/b"} {
		if !insensitive {
			equal(t, has(t, s, open(t, s, name), text("k")), false)
			continue
		}
		_, err := s.Open(t.Context(), name, driver.Spec{Settings: driver.DefaultSettings()})
		is(t, err, driver.ErrInvalid)
		is(t, s.Drop(t.Context(), name), driver.ErrInvalid)
	}
	if runtime.GOOS == "windows" {
		for _, name := range []string{"deque/jobs/a.", "deque/jobs/a ", "deque/jobs./b", "deque/a:b", "deque/a?", "deque/a\x01", "deque/nul"} {
			_, err := s.Open(t.Context(), name, driver.Spec{Settings: driver.DefaultSettings()})
			is(t, err, driver.ErrInvalid)
		}
	}
	equal(t, has(t, s, open(t, s, "deque/jobs/a"), text("k")), true)
}

// The number of shards is the directory's.
func TestNumberOfShards(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			var place layout
			switch e.name {
			case "sqlite":
				first := e.new(t)(4)
				place = first.place
				ok(t, first.Close())
			default:
				place = new(inMemory).with(memory.Options{})
				s, err := newStore(t.Context(), place, 4)
				ok(t, err)
				ok(t, s.Close())
			}
			for _, n := range []int{1, 3, 5, 8} {
				_, err := newStore(t.Context(), place, n)
				is(t, err, ErrShards)
				if !strings.Contains(err.Error(), "open it with 4") {
					t.Errorf("message %q", err)
				}
			}
			for _, n := range []int{0, -1, MaxShards + 1} {
				_, err := newStore(t.Context(), place, n)
				is(t, err, ErrShards)
			}
			have, err := count(place)
			ok(t, err)
			equal(t, have, 4)
			s, err := newStore(t.Context(), place, 4)
			ok(t, err)
			ok(t, s.Close())
		})
	}
}

// A number that nobody has stored is found out, also after a creation that
// did not come far.
func TestNumberNotStored(t *testing.T) {
	for _, c := range []struct {
		exist, opened int
		full, fails   bool
	}{
		{8, 8, true, false}, {8, 4, false, true}, {4, 8, false, true}, {1, 1, true, false},
		{1, 4, false, false}, {1, 4, true, true}, {2, 4, false, true},
	} {
		place := new(inMemory).with(memory.Options{})
		for i := range c.exist {
			st, err := place.Open(t.Context(), shardName(i))
			ok(t, err)
			if c.full {
				put(t, st, open(t, st, ""), number(1))
			}
			ok(t, st.Close())
		}
		s, err := newStore(t.Context(), place, c.opened)
		equal(t, errors.Is(err, ErrShards), c.fails)
		if !c.fails {
			ok(t, err)
			ok(t, s.Close())
		}
	}
}

// Directories that are not what they should be are told apart.
func TestDirectories(t *testing.T) {
	ctx := t.Context()
	unsharded := t.TempDir()
	st, err := sqlite.Open(ctx, unsharded, nil)
	ok(t, err)
	ok(t, st.Close())
	_, err = onDisk(ctx, unsharded, 2, 0, false)
	is(t, err, ErrShards)
	if !strings.Contains(err.Error(), "open it without Shards") {
		t.Errorf("message %q", err)
	}
	ok(t, Refuse(unsharded))

	strange := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(strange, "letter.txt"), nil, 0o600))
	_, err = onDisk(ctx, strange, 2, 0, false)
	is(t, err, driver.ErrNotStore)
	_, err = onDisk(ctx, filepath.Join(strange, "letter.txt"), 2, 0, false)
	is(t, err, driver.ErrNotStore)
	_, err = onDisk(ctx, filepath.Join(t.TempDir(), "none"), 2, 0, true)
	is(t, err, driver.ErrNotStore)

	sharded := t.TempDir()
	s, err := onDisk(ctx, sharded, 2, 0, false)
	ok(t, err)
	c := open(t, s, "")
	put(t, s, c, number(1), number(2))
	ok(t, s.Close())
	is(t, Refuse(sharded), ErrShards)
	if err := Refuse(sharded); !strings.Contains(err.Error(), "Shards: 2") {
		t.Errorf("message %q", err)
	}
	ok(t, Refuse(filepath.Join(sharded, "nowhere")))
	s, err = onDisk(ctx, sharded, 2, 0, true)
	ok(t, err)
	defer s.Close()
	equal(t, len(scan(t, s, open(t, s, ""), driver.Scan{})), 2)
	_, err = s.Open(ctx, "deque/none", driver.Spec{})
	is(t, err, driver.ErrReadOnly)
	_, err = s.Open(ctx, "deque-inflight/none", driver.Spec{})
	is(t, err, driver.ErrReadOnly)
	is(t, s.Drop(ctx, "deque/none"), driver.ErrReadOnly)
	is(t, s.Update(ctx, driver.Alone, func(driver.Tx) error { return nil }), driver.ErrReadOnly)
}

// A row in a wrong shard, which nobody finds, is reported.
func TestCheckFindsMisplaced(t *testing.T) {
	var p inMemory
	s, err := newStore(t.Context(), p.with(memory.Options{}), 3)
	ok(t, err)
	defer s.Close()
	c := open(t, s, "").(*collection)
	put(t, s, c, keyIn(0, 3, 0), keyIn(1, 3, 0))
	put(t, s.shards[2].store, c.parts[2], keyIn(1, 3, 1))
	var found []driver.Problem
	ok(t, s.Check(t.Context(), false, func(p driver.Problem) { found = append(found, p) }))
	if len(found) != 1 || found[0].Kind != driver.BadRow || found[0].Path != "002" {
		t.Fatalf("found %+v", found)
	}
}

// The size limit is divided without a rest, and put together again.
func TestSizeLimit(t *testing.T) {
	onEngines(t, 3, func(t *testing.T, s *Store, again func() *Store) {
		spec := driver.Spec{Settings: driver.DefaultSettings()}
		fresh, err := s.Open(t.Context(), "", spec)
		ok(t, err)
		equal(t, fresh.Settings(), driver.DefaultSettings())
		set := func(s *driver.Settings) { s.SizeLimit = 1_000_000 }
		spec.Configure = set
		h, err := s.Open(t.Context(), "", spec)
		ok(t, err)
		c := h.(*collection)
		want := func(total int64, parts ...int64) {
			t.Helper()
			equal(t, c.Settings().SizeLimit, total)
			for i, p := range c.parts {
				equal(t, p.Settings().SizeLimit, parts[i])
			}
			equal(t, c.ValueLimit(), parts[2])
		}
		want(1_000_000, 333_334, 333_333, 333_333)
		_, err = again().Open(t.Context(), "", spec)
		ok(t, err)
		want(1_000_000, 333_334, 333_333, 333_333)
		configure := func(fn func(*driver.Settings)) {
			t.Helper()
			got, err := s.Configure(t.Context(), c, fn)
			ok(t, err)
			equal(t, got, c.Settings())
		}
		configure(func(s *driver.Settings) {
			equal(t, s.SizeLimit, 1_000_000) // what it was, for each shard
			s.SizeLimit *= 2
			s.CullLimit++
		})
		want(2_000_000, 666_667, 666_667, 666_666)
		equal(t, c.Settings().CullLimit, 11)
		configure(func(s *driver.Settings) { s.SizeLimit = driver.NoLimit })
		want(driver.NoLimit, driver.NoLimit, driver.NoLimit, driver.NoLimit)
		configure(func(s *driver.Settings) { s.SizeLimit = -1 })
		want(-1, -1, -1, -1)
		configure(func(s *driver.Settings) { s.SizeLimit = 2 })
		want(2, 1, 1, 0)
		configure(func(s *driver.Settings) { s.SizeLimit = driver.NoLimit - 1 })
		equal(t, c.Settings().SizeLimit, driver.NoLimit-1)
		// Shards that others have set differently stay as they are, unless
		// the limit is changed.
		_, err = s.shards[1].store.Configure(t.Context(), c.parts[1], func(s *driver.Settings) { s.SizeLimit = 77 })
		ok(t, err)
		configure(func(s *driver.Settings) { s.CullLimit = 5 })
		equal(t, c.parts[1].Settings().SizeLimit, 77)
		equal(t, c.parts[1].Settings().CullLimit, 5)
		configure(set)
		want(1_000_000, 333_334, 333_333, 333_333)
	})
}

// Each shard culls for itself, with a key where the key is.
func TestCull(t *testing.T) {
	const n = 3
	onEngines(t, n, func(t *testing.T, s *Store, _ func() *Store) {
		c := open(t, s, "")
		_, err := s.Configure(t.Context(), c, func(s *driver.Settings) { s.SizeLimit, s.Policy = -1, driver.LeastRecentlyStored })
		ok(t, err)
		for i := range n {
			put(t, s, c, keyIn(i, n, 0), keyIn(i, n, 1))
		}
		cull := func(limit int, keep codec.Value) (rows []driver.Row) {
			ok(t, s.Update(t.Context(), driver.Shared, func(tx driver.Tx) (err error) {
				rows, err = tx.Cull(t.Context(), c, now, limit, keep)
				return err
			}))
			return rows
		}
		equal(t, show(cull(10, keyIn(1, n, 1))), show1(keyIn(1, n, 0)))
		equal(t, len(cull(3, codec.Value{})), 3)
		equal(t, len(cull(10, codec.Value{})), 2)
	})
}

// A file made without its key goes where the key is, however often it is put.
func TestFiles(t *testing.T) {
	const n = 3
	content := bytes.Repeat([]byte("0123456789"), 10_000)
	onEngines(t, n, func(t *testing.T, s *Store, again func() *Store) {
		c := open(t, s, "")
		for _, keyed := range []bool{false, true} {
			for i := range n {
				key := keyIn(i, n, 0)
				var f driver.File
				var err error
				if keyed {
					f, err = s.CreateFor(t.Context(), c, key, codec.Blob)
				} else {
					f, err = s.Create(t.Context(), codec.Blob)
				}
				ok(t, err)
				_, err = f.Write(content)
				ok(t, err)
				ok(t, f.Finish())
				for _, end := range []error{errOops, errOops, nil} {
					is(t, s.Update(t.Context(), driver.Mode(i%2), func(tx driver.Tx) error {
						return errors.Join(errOf(tx.Put(t.Context(), c, driver.Put{Key: key, File: f, Now: now})), end)
					}), end)
				}
				f.Discard()
				other := again()
				oc := open(t, other, "")
				r, _, err := other.Get(t.Context(), oc, key, quiet)
				ok(t, err)
				if !strings.HasPrefix(r.File, shardName(i)+"/") || r.Size != int64(len(content)) {
					t.Fatalf("row is %+v", r)
				}
				in, err := other.OpenFile(t.Context(), oc, r)
				ok(t, err)
				got := make([]byte, len(content))
				_, err = in.ReadAt(got, 0)
				ok(t, errors.Join(err, in.Close()))
				equal(t, bytes.Equal(got, content), true)
				if s.Dir() != "" {
					equal(t, in.Name(), filepath.Join(s.Dir(), filepath.FromSlash(r.File)))
				}
			}
		}
		// One that is for another key, or not finished, or discarded.
		f, err := s.CreateFor(t.Context(), c, keyIn(1, n, 0), codec.Text)
		ok(t, err)
		ok(t, f.Finish())
		g, err := s.Create(t.Context(), codec.Text)
		ok(t, err)
		h, err := s.Create(t.Context(), codec.Text)
		ok(t, err)
		ok(t, h.Finish())
		h.Discard()
		for _, f := range []driver.File{f, g, h} {
			if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
				return errOf(tx.Put(t.Context(), c, driver.Put{Key: keyIn(2, n, 5), File: f, Now: now}))
			}); err == nil {
				t.Error("a file that is not ready is put")
			}
			f.Discard()
		}
		_, err = g.Write([]byte("x"))
		is(t, err, os.ErrClosed)
		// One for a collection that is in one place.
		f, err = s.CreateFor(t.Context(), open(t, s, "deque/jobs"), codec.Value{}, codec.Text)
		ok(t, err)
		if _, copied := f.(*file); copied {
			t.Error("the file will be copied")
		}
		f.Discard()
	})
}

// A watch hears of every shard.
func TestWatch(t *testing.T) {
	const n = 4
	onEngines(t, n, func(t *testing.T, s *Store, again func() *Store) {
		c := open(t, s, "")
		other := again()
		oc := open(t, other, "")
		changed, stop, err := s.Watch(c)
		ok(t, err)
		for i := range n {
			for len(changed) > 0 {
				<-changed
			}
			put(t, other, oc, keyIn(i, n, 0))
			<-changed
		}
		stop()
		stop()
		for len(changed) > 0 {
			<-changed
		}
		put(t, s, c, number(5))
		equal(t, len(changed), 0)
	})
}

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
	"github.com/go-diskcache/diskcache/codec"
)

// TestMain chooses the kind of locks as the first store of a process does: any test
// may be the first, also one that opens a database without a store. The processes
// that tests start choose themselves.
func TestMain(m *testing.M) {
	if os.Getenv("DISKCACHE_SQLITE_CHILD") == "" { // childVar, which only Linux has
		sqlite3.UseOFDLocks()
	}
	os.Exit(m.Run())
}

func open(t *testing.T, dir string, o *Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func collectionOf(t *testing.T, s *Store, name string) driver.Collection {
	t.Helper()
	c, err := s.Open(t.Context(), name, driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t *testing.T, s *Store, c driver.Collection, p driver.Put) {
	t.Helper()
	if p.Now == 0 {
		p.Now = at()
	}
	if err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error { return errOf(tx.Put(t.Context(), c, p)) }); err != nil {
		t.Fatal(err)
	}
}

// putFile stores a value in a file and returns its row.
func putFile(t *testing.T, s *Store, c driver.Collection, key, content string) driver.Row {
	t.Helper()
	f, err := s.Create(t.Context(), codec.Blob)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	put(t, s, c, driver.Put{Key: codec.TextValue(key), File: f})
	return get(t, s, c, key)
}

func get(t *testing.T, s *Store, c driver.Collection, key string) driver.Row {
	t.Helper()
	r, ok, err := s.Get(t.Context(), c, codec.TextValue(key), driver.Lookup{Now: at()})
	if err != nil || !ok {
		t.Fatalf("get: %v, %v", ok, err)
	}
	return r
}

// names lists the files below a directory, without SQLite's.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			if !strings.HasPrefix(rel, "cache.db-wal") && !strings.HasPrefix(rel, "cache.db-shm") {
				out = append(out, filepath.ToSlash(rel))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOneCoreForOneDirectory(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	a, b := open(t, dir, nil), open(t, link, nil)
	if a.core != b.core {
		t.Error("a link to the directory is another core")
	}
	if c := open(t, dir, &Options{ReadOnly: true}); c.core == a.core || !c.ReadOnly() {
		t.Error("a read-only handle shares a core that writes")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, b, collectionOf(t, b, ""), driver.Put{Key: codec.TextValue("k")})
	if err := a.View(t.Context(), nil); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("closed handle: %v", err)
	}
}

// Opening what is up to date writes nothing but in the table of versions, which
// is memory.
func TestOpenWritesNothing(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	collectionOf(t, s, "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := stamp(t, dir)
	for range 3 {
		s, err := Open(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		collectionOf(t, s, "")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := stamp(t, dir); after != before {
		t.Errorf("directory was %s, is %s", before, after)
	}
}

// stamp describes the files of a directory and their contents' ages.
func stamp(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	for _, n := range names(t, dir) {
		info, err := os.Stat(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		age := info.ModTime().UnixNano()
		if n == nearName {
			age = 0
		}
		fmt.Fprintln(&out, n, info.Size(), age, info.Mode())
	}
	return out.String()
}

func TestRights(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have the rights of their folder")
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, dir, nil)
	putFile(t, s, collectionOf(t, s, ""), "k", "content")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has rights %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A process that dies leaves its temporary files, a value file whose row was
// never committed, or one whose row is gone. The next to open the store sweeps.
// A process that only opens a store and closes it sweeps it all the same.
func TestSweepByAShortLife(t *testing.T) {
	dir := t.TempDir()
	visit := func() {
		t.Helper()
		s, err := Open(t.Context(), dir, nil)
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		visit()
		name := strings.Repeat("ab", 16)
		left := []string{
			filepath.Join(dir, sessionsName, strings.Repeat("d", 24), name+".val"),
			filepath.Join(dir, valuesName, filepath.FromSlash(valuefile.FinalNames(valuesName, name+".val")[0])),
		}
		for _, f := range left {
			if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		visit()
		for _, f := range left {
			if _, err := os.Lstat(f); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s is left: %v", f, err)
			}
		}
	}
}

func TestSweep(t *testing.T) {
	for _, collection := range []string{"", "named"} {
		t.Run("collection="+collection, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, nil)
			<-s.core.maintainer.swept // it would find some of what follows
			c := collectionOf(t, s, collection)
			kept := putFile(t, s, c, "kept", "content")

			// A session that died between the link and the commit.
			dead := filepath.Join(dir, sessionsName, strings.Repeat("d", 24))
			name := strings.Repeat("ab", 16)
			orphan := valuefile.FinalNames(valuesName, name+".val")[0]
			if collection != "" {
				orphan = valuesName + "/" + orphan
			}
			for _, f := range []string{filepath.Join(dead, session.LockFile), filepath.Join(dead, name+".val"), s.core.path(orphan)} {
				if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(f, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			// One that died after the link was committed: the row has the file.
			base := strings.TrimPrefix(kept.File, valuesName+"/")
			twin := strings.ReplaceAll(base, "/", "")
			if err := os.WriteFile(filepath.Join(dead, twin), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			// And one that died before it could remove a file.
			gone := putFile(t, s, c, "gone", "content")
			saved := s.core.path(gone.File) + ".saved"
			if err := os.Link(s.core.path(gone.File), saved); err != nil {
				t.Fatal(err)
			}
			if err := s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
				_, err := tx.Delete(t.Context(), c, codec.TextValue("gone"), at())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := s.core.durable.harden(t.Context(), nil); err != nil { // removes it
				t.Fatal(err)
			}
			if err := s.core.writer.update(t.Context(), time.Time{}, driver.Alone, func(tx driver.Tx) error {
				return tx.(*txAlias).conn.Exec("INSERT INTO Trash (path) VALUES ('" + gone.File + "')")
			}); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(s.core.path(gone.File)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(saved, s.core.path(gone.File)); err != nil {
				t.Fatal(err)
			}

			s.core.maintainer.sweep()
			own, _, err := s.Session(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range names(t, dir) {
				switch {
				case n == databaseName, n == lockName, n == queueHeadName, n == watchName, n == nearName, n == reserveName, n == kept.File:
				case strings.HasPrefix(n, sessionsName+"/"+own):
				default:
					t.Errorf("%s is left", n)
				}
			}
			if f, err := s.OpenFile(t.Context(), c, kept); err != nil {
				t.Errorf("a file with a row was swept: %v", err)
			} else {
				f.Close()
			}
		})
	}
}

// txAlias is tx where a parameter hides it.
type txAlias = tx

// A View of this process can read the files of rows that are deleted
// meanwhile.
func TestViewKeepsFiles(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	c := collectionOf(t, s, "")
	row := putFile(t, s, c, "k", "content")
	err := s.View(t.Context(), func(driver.Tx) error {
		put(t, s, c, driver.Put{Key: codec.TextValue("k"), Value: codec.TextValue("new")})
		if err := s.core.durable.harden(t.Context(), nil); err != nil { // would remove it
			return err
		}
		f, err := s.OpenFile(t.Context(), c, row)
		if err != nil {
			return err
		}
		return f.Close()
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := s.OpenFile(t.Context(), c, row); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the view: %v", err)
	}
}

// Writes that wait at the same time share commits; one that fails after it has
// changed something fails alone.
func TestGroup(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	c := collectionOf(t, s, "")
	var wg sync.WaitGroup
	hold, held := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		s.Update(t.Context(), driver.Alone, func(driver.Tx) error {
			close(held)
			<-hold
			return nil
		})
	})
	<-held
	before := s.Metrics().Commits.Sum
	boom := errors.New("boom")
	runs := make([]int, 20)
	errs := make([]error, 20)
	for i := range runs {
		wg.Go(func() {
			errs[i] = s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
				runs[i]++
				if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.IntegerValue(int64(i)), Now: at()})); err != nil {
					return err
				}
				if i == 7 {
					return boom
				}
				return nil
			})
		})
	}
	for s.core.writer.group.Waiting() < len(runs) {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	wg.Wait()
	again := 0
	for i, err := range errs {
		if i == 7 != errors.Is(err, boom) {
			t.Errorf("member %d: %v", i, err)
		}
		if runs[i] == 2 {
			again++
		}
		_, ok, err := s.Get(t.Context(), c, codec.IntegerValue(int64(i)), driver.Lookup{Now: at()})
		if err != nil || ok == (i == 7) {
			t.Errorf("member %d is there: %v, %v", i, ok, err)
		}
	}
	if again == 0 {
		t.Error("nothing was grouped")
	}
	if n := s.Metrics().Commits.Sum - before; n < 20 || n > 25 { // the store may have committed something of its own
		t.Errorf("%v operations were committed, of 20 and one that failed", n)
	}
}

// An operation that panics, against its contract, takes nobody with it.
func TestGroupPanic(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	c := collectionOf(t, s, "")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
			errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.TextValue("k"), Now: at()}))
			panic("boom")
		})
	}()
	put(t, s, c, driver.Put{Key: codec.TextValue("other")})
	if _, ok, err := s.Get(t.Context(), c, codec.TextValue("k"), driver.Lookup{Now: at()}); ok || err != nil {
		t.Errorf("the row of the panic is there: %v, %v", ok, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{Synchronous: "most"}, {JournalMode: "off"}, {AutoVacuum: "some"}, {PageSize: 1000}, {PageSize: 256}} {
		if _, err := Open(t.Context(), t.TempDir(), &o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := Open(t.Context(), "", nil); !errors.Is(err, driver.ErrNotStore) {
		t.Errorf("no directory: %v", err)
	}
}

// The pragmas are those of the options, on each connection.
func TestPragmas(t *testing.T) {
	s := open(t, t.TempDir(), &Options{Synchronous: SyncFull, MmapSize: 1 << 20, CacheSize: 3 << 20, AutoVacuum: VacuumIncremental, PageSize: 8192})
	a, err := s.core.readers.take(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.core.readers.put(a)
	b, err := s.core.readers.take(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.core.readers.put(b)
	for name, cn := range map[string]*conn{"first reader": a, "second reader": b, "writer": s.core.writer.conn} {
		for pragma, want := range map[string]int64{
			"synchronous": 3, "mmap_size": 1 << 20, "cache_size": -(3 << 10) / int64(s.core.readers.maxIdle+1),
			"auto_vacuum": 2, "page_size": 8192, "recursive_triggers": 0, "temp_store": 2,
			"fullfsync": 1, "checkpoint_fullfsync": 1,
		} {
			if got, err := cn.integer("PRAGMA " + pragma); err != nil || got != want {
				t.Errorf("%s: %s is %d, %v, want %d", name, pragma, got, err, want)
			}
		}
		if got, err := cn.text("PRAGMA journal_mode"); err != nil || got != "wal" {
			t.Errorf("%s: journal_mode is %s, %v", name, got, err)
		}
	}
}

// What keeps a database whole in a power cut is no less than its journal mode needs.
func TestSynchronousPragma(t *testing.T) {
	for _, c := range []struct {
		sync Synchronous
		mode JournalMode
		want int64
	}{
		{SyncNormal, JournalWAL, 1}, {SyncNormal, JournalDelete, 2}, {SyncNormal, JournalTruncate, 2}, {SyncNormal, JournalPersist, 2},
		{SyncFull, JournalDelete, 3}, {SyncOff, JournalDelete, 0}, {SyncOff, JournalWAL, 0},
	} {
		s := open(t, t.TempDir(), &Options{Synchronous: c.sync, JournalMode: c.mode})
		if got, err := s.core.writer.conn.integer("PRAGMA synchronous"); err != nil || got != c.want {
			t.Errorf("%s, %s: synchronous is %d, %v, want %d", c.sync, c.mode, got, err, c.want)
		}
	}
}

// Nothing is written to a database that others do not see, nor in the directory
// of another store, wherever the directory has gone.
func TestReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not let anybody move or remove a database that is open")
	}
	for name, replace := range map[string]func(dir string) error{
		"removed":  os.RemoveAll,
		"moved":    func(dir string) error { return os.Rename(dir, dir+"-moved") },
		"unlinked": func(dir string) error { return os.Remove(filepath.Join(dir, databaseName)) },
	} {
		ctx, dir := t.Context(), filepath.Join(t.TempDir(), "store")
		s := open(t, dir, nil)
		c := collectionOf(t, s, "")
		put(t, s, c, driver.Put{Key: codec.IntegerValue(1), Value: codec.TextValue("old")})
		if _, ok, err := s.Get(ctx, c, codec.IntegerValue(1), driver.Lookup{Now: at()}); !ok || err != nil {
			t.Fatal(ok, err) // from now on readers know that it is there
		}
		if err := replace(dir); err != nil {
			t.Fatal(err)
		}
		if name == "moved" { // its descriptors are not to be closed by who opens it there
			other, mine, inUse := findCore(dir+"-moved", s.core.opts)
			if !mine || !inUse {
				t.Error("opened where it was moved to: a core of its own", mine, "in use", inUse)
			}
			dropCore(other)
		}
		for _, again := range []bool{false, true} {
			if again { // another store in its place, in the same process
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				other := open(t, dir, nil)
				r := putFile(t, other, collectionOf(t, other, ""), "file", "new")
				// A name that the old one has in its trash, as after a backup was put
				// back.
				var left valuefile.Trash
				left.Discard(r.File, 1)
				s.core.values.Empty(left)
				if _, err := os.Stat(filepath.Join(dir, r.File)); err != nil {
					t.Error(err)
				}
			}
			s.core.writer.looked = time.Time{}
			for range 3 { // one at once after the other
				err := s.Update(ctx, driver.Shared, func(tx driver.Tx) error {
					return errOf(tx.Put(ctx, c, driver.Put{Key: codec.IntegerValue(2), Value: codec.TextValue("new"), Now: at()}))
				})
				if !errors.Is(err, driver.ErrNotStore) {
					t.Errorf("%s: Put: %v", name, err)
				}
			}
			if _, _, err := s.Get(ctx, c, codec.IntegerValue(1), driver.Lookup{Now: at()}); !errors.Is(err, driver.ErrNotStore) {
				t.Errorf("%s: Get after a write has failed: %v", name, err)
			}
			if _, err := s.Create(ctx, codec.Blob); !errors.Is(err, driver.ErrNotStore) {
				t.Errorf("%s: Create: %v", name, err)
			}
			err := s.Check(ctx, true, func(p driver.Problem) { t.Errorf("%s: a problem of another store: %+v", name, p) })
			if !errors.Is(err, driver.ErrNotStore) {
				t.Errorf("%s: Check: %v", name, err)
			}
			entries, err := os.ReadDir(dir)
			if !again && name != "unlinked" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: there is a directory again: %v, %v", name, entries, err)
			}
		}
	}
}

// Other journal modes work, readers and writers waiting for each other.
func TestJournalModes(t *testing.T) {
	for _, m := range []JournalMode{JournalDelete, JournalTruncate, JournalPersist} {
		t.Run(string(m), func(t *testing.T) {
			s := open(t, t.TempDir(), &Options{JournalMode: m, Synchronous: SyncOff})
			c := collectionOf(t, s, "")
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					for i := range 50 {
						k := codec.IntegerValue(int64(100*g + i))
						err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
							return errOf(tx.Put(t.Context(), c, driver.Put{Key: k, Now: at()}))
						})
						if err != nil {
							t.Error(err)
						}
						if _, ok, err := s.Get(t.Context(), c, k, driver.Lookup{Now: at()}); !ok || err != nil {
							t.Errorf("own row: %v, %v", ok, err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// The WAL begins anew under a constant load, and is bounded once a View that
// kept it from that has ended.
func TestWALIsBounded(t *testing.T) {
	rounds := 5000
	if testing.Short() || raceEnabled {
		rounds = 500
	}
	dir := t.TempDir()
	s := open(t, dir, nil)
	c := collectionOf(t, s, "")
	value := codec.BlobValue(make([]byte, 30_000))
	write := func(n int) {
		for i := range n {
			put(t, s, c, driver.Put{Key: codec.IntegerValue(int64(i % 100)), Value: value})
		}
	}
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "cache.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	const bound = maxWALSize * 3 / 2
	write(rounds)
	if n := size(); n > bound {
		t.Errorf("the WAL has %d bytes", n)
	}
	err := s.View(context.Background(), func(driver.Tx) error {
		write(rounds)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	write(rounds)
	if n := size(); n > bound {
		t.Errorf("after a view, the WAL has %d bytes", n)
	}
	for end := time.Now().Add(time.Minute); size() > maxWALSize; write(1) {
		if time.Now().After(end) {
			t.Fatalf("the WAL keeps %d bytes", size())
		}
	}
}

// A log that is small on purpose stays so, also where nothing but its writers
// looks after it, and gets small again once a View has ended.
func TestMaxWALSize(t *testing.T) {
	const most = minWALSize
	dir := t.TempDir()
	s := open(t, dir, &Options{MaxWALSize: 1})
	m := s.core.maintainer
	m.stop()
	<-m.ended
	c := collectionOf(t, s, "")
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "cache.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	const writers, values, bytes = 8, 100, 4000
	largest := func() int64 {
		var wg sync.WaitGroup
		var seen [writers]int64
		for w := range writers {
			wg.Go(func() {
				for i := range values {
					put(t, s, c, driver.Put{Key: codec.IntegerValue(int64(w*values + i)), Value: codec.BlobValue(make([]byte, bytes))})
					seen[w] = max(seen[w], size())
				}
			})
		}
		wg.Wait()
		return slices.Max(seen[:])
	}
	// One group of writers comes on top: rows, indexes, and zeros up to 64 KiB.
	const slack = writers*(bytes+8*4120) + 64<<10
	if n := largest(); n > most+slack {
		t.Errorf("the log had %d bytes, where %d are the most", n, int64(most))
	}
	err := s.View(t.Context(), func(dt driver.Tx) error {
		if _, _, err := dt.Get(t.Context(), c, codec.IntegerValue(0), driver.Lookup{Now: at()}); err != nil { // the snapshot begins
			return err
		}
		if n := largest(); n < 2*most {
			t.Errorf("the log had %d bytes with a View open", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := size()
	if n := largest(); n > before*9/8+slack {
		t.Errorf("after the View, the log had %d bytes, %d before", n, before)
	}
	if n := size(); n > most+slack {
		t.Errorf("after the View, the log has %d bytes", n)
	}
}

// errOf returns the error of a call that also returns something else.
func errOf[T any](_ T, err error) error { return err }

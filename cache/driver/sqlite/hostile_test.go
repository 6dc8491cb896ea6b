//go:build unix

package sqlite

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/codec"
)

// exercise opens the store in a directory and does everything with it that can
// be done, whatever comes of it, and returns the error of the first Open. All
// that fails the test is a panic, and what does not end.
func exercise(t *testing.T, dir string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	backups := t.TempDir()
	done := make(chan error, 1)
	go func() {
		err := exerciseOne(ctx, dir, filepath.Join(backups, "1"), &Options{Timeout: time.Second})
		exerciseOne(ctx, dir, filepath.Join(backups, "2"), &Options{Timeout: time.Second, ReadOnly: true})
		done <- err
	}()
	select {
	case err := <-done:
		if ctx.Err() != nil {
			t.Error("something took until its context ended")
		}
		return err
	case <-time.After(2 * time.Minute):
		stacks := make([]byte, 1<<20)
		t.Fatalf("something does not end:\n%s", stacks[:runtime.Stack(stacks, true)])
		return nil
	}
}

func exerciseOne(ctx context.Context, dir, backup string, o *Options) error {
	s, err := Open(ctx, dir, o)
	if err != nil {
		return err
	}
	defer s.Close()
	if s.core.maintainer != nil {
		<-s.core.maintainer.swept
	}
	lru := driver.DefaultSettings()
	lru.Policy, lru.Statistics = driver.LeastRecentlyUsed, true
	for _, name := range []string{"", "c", "new"} {
		c, err := s.Open(ctx, name, driver.Spec{Settings: lru})
		if err != nil {
			continue
		}
		own, _, _ := s.Session(ctx)
		for _, session := range []string{own, deadSession, "..", "x"} {
			s.Alive(ctx, session)
			if _, stop, err := s.WatchSession(session); err == nil {
				stop()
			}
		}
		_, stop, err := s.Watch(c)
		if err == nil {
			defer stop()
		}
		for i := range 3 {
			key := codec.TextValue(fmt.Sprint("new", i))
			f, err := s.Create(ctx, codec.Blob)
			if err != nil {
				break
			}
			io.WriteString(f, "content")
			f.Finish()
			s.Update(ctx, driver.Shared, func(tx driver.Tx) error { return errOf(tx.Put(ctx, c, driver.Put{Key: key, File: f, Now: at()})) })
			f.Discard()
			s.Update(ctx, driver.Shared, func(tx driver.Tx) error {
				return errOf(tx.Put(ctx, c, driver.Put{Key: codec.IntegerValue(int64(i)), Value: codec.TextValue("v"), Now: at()}))
			})
		}
		var rows []driver.Row
		s.View(ctx, func(tx driver.Tx) (err error) {
			rows, err = tx.Scan(ctx, c, driver.Scan{Limit: 100})
			return err
		})
		for _, r := range rows {
			s.Get(ctx, c, r.Key, driver.Lookup{Now: at()})
			if r.File == "" {
				continue
			}
			if f, err := s.OpenFile(ctx, c, r); err == nil {
				io.Copy(io.Discard, f)
				f.Close()
			}
		}
		s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
			if len(rows) > 0 {
				if _, err := tx.Delete(ctx, c, rows[0].Key, at()); err != nil {
					return err
				}
			}
			_, err := tx.Cull(ctx, c, at(), 1, codec.Value{})
			return err
		})
		s.Stats(ctx, c, true)
	}
	s.Names(ctx)
	s.Volume(ctx)
	s.Backup(ctx, backup)
	for _, mend := range []bool{false, true} {
		s.Check(ctx, mend, func(driver.Problem) {})
	}
	s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
		c, err := s.Open(ctx, "c", driver.Spec{})
		if err != nil {
			return err
		}
		_, err = tx.Remove(ctx, c, driver.Filter{}, 100)
		return err
	})
	s.Drop(ctx, "new")
	s.Compact(ctx)
	return nil
}

// deadSession is one of a process that has died.
var deadSession = strings.Repeat("d", 24)

// hostile is a store, and what lies outside of it.
type hostile struct {
	dir      string
	sentinel string
	before   string   // what sentinel holds
	files    []string // names of value files in the store
}

// innocent is a store, and the names of its value files. It is made once.
var (
	once          sync.Once
	innocent      fstest.MapFS
	innocentFiles []string
)

func newInnocent(t *testing.T) (fstest.MapFS, []string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range []string{"", "c"} {
		c := collectionOf(t, s, name)
		for i := range 2 {
			files = append(files, putFile(t, s, c, fmt.Sprint(i), "content").File)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all := make(fstest.MapFS)
	for _, name := range names(t, dir) {
		if name == nearName || name == reserveName { // large, and made anew
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: b, Mode: 0o600}
	}
	return all, files
}

// newHostile makes a store, with values in files, and left-overs of a process
// that has died.
func newHostile(t *testing.T) *hostile {
	t.Helper()
	root, err := os.MkdirTemp("", "h") // short: it will have sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	h := &hostile{dir: filepath.Join(root, "store"), sentinel: filepath.Join(root, "home")}
	once.Do(func() { innocent, innocentFiles = newInnocent(t) })
	if err := os.CopyFS(h.dir, innocent); err != nil {
		t.Fatal(err)
	}
	h.files = innocentFiles
	temp := hex.EncodeToString([]byte("a value's name.."))
	dead := filepath.Join(h.dir, sessionsName, deadSession)
	for _, name := range []string{
		filepath.Join(dead, session.LockFile),
		filepath.Join(dead, temp+".val"),
		filepath.Join(dead, linksPrefix+"0123456789abcdef", "0"),

		filepath.Join(h.sentinel, "file"),
		filepath.Join(h.sentinel, session.LockFile),
		filepath.Join(h.sentinel, deadSession, session.LockFile),
		filepath.Join(h.sentinel, temp+".val"),
		filepath.Join(h.sentinel, "0"),
		filepath.Join(h.sentinel, databaseName),
		filepath.Join(h.sentinel, filepath.FromSlash(h.files[0])),
		filepath.Join(h.sentinel, filepath.Base(h.files[0])),
	} {
		writeOld(t, name, "secret")
	}
	if err := os.Mkdir(filepath.Join(h.sentinel, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.before = h.listing(t)
	return h
}

// writeOld makes a file that is old enough for Check to remove it.
func writeOld(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
}

// listing describes what is outside of the store.
func (h *hostile) listing(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(filepath.Dir(h.dir), func(path string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if path == h.dir {
			return fs.SkipDir
		}
		var content []byte
		if info.Mode().IsRegular() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%s %v %d:%d %q\n", path, info.Mode(), st.Uid, st.Gid, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// intact fails the test if anything outside of the store was changed.
func (h *hostile) intact(t *testing.T) {
	t.Helper()
	if after := h.listing(t); after != h.before {
		t.Errorf("outside of the store there was\n%s\nand is\n%s", h.before, after)
	}
}

// replace puts something else in the place of a name in the store.
func (h *hostile) replace(t *testing.T, name, kind string) {
	t.Helper()
	path := filepath.Join(h.dir, filepath.FromSlash(name))
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = strange[kind](h, path)
	}
	if err != nil {
		t.Fatal(name, kind, err)
	}
}

// strange is what may be in the place of a file or folder.
var strange = map[string]func(h *hostile, path string) error{
	"link":         func(h *hostile, p string) error { return os.Symlink(h.sentinel, p) },
	"link to file": func(h *hostile, p string) error { return os.Symlink(filepath.Join(h.sentinel, "file"), p) },
	"link to none": func(h *hostile, p string) error { return os.Symlink(filepath.Join(h.sentinel, "none"), p) },
	"link inside":  func(h *hostile, p string) error { return os.Symlink(h.dir, p) },
	"other name":   func(h *hostile, p string) error { return os.Link(filepath.Join(h.sentinel, "file"), p) },
	"pipe":         func(h *hostile, p string) error { return unix.Mkfifo(p, 0o600) },
	"socket": func(h *hostile, p string) error {
		// Paths of sockets are short, and the folder's may be long.
		short := filepath.Join(filepath.Dir(h.dir), "s")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		return errors.Join(l.Close(), os.Rename(short, p))
	},
	"folder": func(h *hostile, p string) error { return os.MkdirAll(filepath.Join(p, "sub"), 0o700) },
	"empty":  func(h *hostile, p string) error { return os.WriteFile(p, nil, 0o600) },
}

// Whatever is in the place of a file or folder of a store, nothing outside of
// it is changed, and nothing waits for ever.
func TestHostile(t *testing.T) {
	for _, kind := range []string{"link", "link to none", "link inside", "pipe"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			names := newHostile(t).places()
			for i := range names {
				h := newHostile(t)
				name := h.places()[i]
				h.replace(t, name, kind)
				exercise(t, h.dir)
				h.intact(t)
				if t.Failed() {
					t.Fatalf("with a %s in the place of %s", kind, name)
				}
			}
		})
	}
}

// What is no file in the place of the reserve is told when the store is opened.
func TestStrangeReserve(t *testing.T) {
	for _, kind := range []string{"pipe", "link", "other name", "folder"} {
		h := newHostile(t)
		h.replace(t, reserveName, kind)
		if s, err := Open(t.Context(), h.dir, nil); !errors.Is(err, driver.ErrNotStore) {
			t.Errorf("with a %s: %v", kind, err)
			if err == nil {
				s.Close()
			}
		}
		h.intact(t)
	}
}

// places are names in the store where files and folders are, or will be.
func (h *hostile) places() []string {
	dead := sessionsName + "/" + deadSession
	return []string{
		databaseName, databaseName + "-wal", databaseName + "-shm", databaseName + "-journal",
		lockName, queueHeadName, watchName, nearName, reserveName, sessionsName, valuesName,
		dead, dead + "/" + session.LockFile, dead + "/" + hex.EncodeToString([]byte("a value's name..")) + ".val",
		dead + "/" + linksPrefix + "0123456789abcdef", dead + "/" + linksPrefix + "0123456789abcdef/0",
		h.files[0], h.files[2], parent(h.files[0]), parent(parent(h.files[0])), parent(h.files[2]), parent(parent(h.files[2])),
		"zz", valuesName + "/zz", "CACHE.DB-SESSIONS", "Cache.db-values",
	}
}

func parent(name string) string { return filepath.ToSlash(filepath.Dir(filepath.FromSlash(name))) }

// A store whose own files are something else is refused, and the error says
// what to do.
func TestHostileOpen(t *testing.T) {
	h := newHostile(t)
	saved := h.dir + "-saved"
	if err := os.CopyFS(saved, os.DirFS(h.dir)); err != nil {
		t.Fatal(err)
	}
	h.before = h.listing(t)
	for _, name := range []string{databaseName, databaseName + "-wal", databaseName + "-shm", databaseName + "-journal",
		lockName, queueHeadName, watchName, nearName, sessionsName, valuesName} {
		if (name == watchName || name == nearName) && runtime.GOOS != "linux" {
			continue
		}
		for kind := range strange {
			folder := name == sessionsName || name == valuesName
			if kind == "empty" && !folder || kind == "folder" && folder {
				continue
			}
			h.replace(t, name, kind)
			s, err := Open(t.Context(), h.dir, nil)
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, driver.ErrNotStore) {
				t.Errorf("a %s in the place of %s: %v", kind, name, err)
			}
			h.intact(t)
			if err := os.RemoveAll(h.dir); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(h.dir, os.DirFS(saved)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s := open(t, h.dir, nil); len(h.files) != 4 {
		t.Error(s)
	}
}

// A value whose file is something else is damaged, and Check says so.
func TestHostileValue(t *testing.T) {
	h := newHostile(t)
	s := open(t, h.dir, nil)
	for _, name := range []string{"", "c"} {
		c := collectionOf(t, s, name)
		r := get(t, s, c, "0")
		for _, place := range []string{r.File, parent(r.File), parent(parent(r.File))} {
			path := s.core.path(place)
			if err := os.Rename(path, path+"-saved"); err != nil {
				t.Fatal(err)
			}
			for kind := range strange {
				if kind == "empty" && place == r.File || kind == "folder" && place != r.File || kind == "other name" && place == r.File {
					continue
				}
				h.replace(t, place, kind)
				if f, err := s.OpenFile(t.Context(), c, r); !errors.Is(err, driver.ErrCorrupt) {
					t.Errorf("a %s in the place of %s: %v, %v", kind, place, f, err)
				}
				missing := false
				if err := s.Check(t.Context(), false, func(p driver.Problem) {
					missing = missing || p.Kind == driver.MissingFile && p.Path == r.File && p.Row == r.ID
				}); err != nil || !missing {
					t.Errorf("a %s in the place of %s: Check says %v, %v", kind, place, missing, err)
				}
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Rename(path+"-saved", path); err != nil {
				t.Fatal(err)
			}
		}
		if f, err := s.OpenFile(t.Context(), c, r); err != nil {
			t.Error(err)
		} else if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	h.intact(t)
}

// A list of files that names what is no value file harms nobody, and its rows go.
func TestHostileLists(t *testing.T) {
	for _, name := range []string{
		"/", "//", "/x", "/x/y", "", ".", "..", "../home/file", "./x", "x/", "a//b", "a/../b", valuesName + "/../" + databaseName, databaseName,
		"CACHE.DB", "a\x00b", strings.Repeat("x/", 3000),
	} {
		t.Run(fmt.Sprintf("%.10q", name), func(t *testing.T) {
			h := newHostile(t)
			c := openSQL(t, h.dir)
			blob := "X'" + hex.EncodeToString([]byte(name)) + "'"
			for _, value := range []string{"CAST(" + blob + " AS TEXT)", blob} {
				for _, sql := range []string{
					"INSERT INTO Trash (path) VALUES (" + value + ")",
					"INSERT INTO Unsynced (path, sum, session, coll, row) SELECT " + value + ", 0, '" + deadSession + "', 0, min(rowid) FROM Cache",
				} {
					if err := c.Exec(sql); err != nil {
						t.Fatal(err)
					}
				}
			}
			c.Close()
			if err := exercise(t, h.dir); err != nil {
				t.Error(err)
			}
			h.intact(t)
			c = openSQL(t, h.dir)
			defer c.Close()
			for _, table := range []string{"Trash", "Unsynced"} {
				s, err := c.Prepare("SELECT count(*) FROM " + table + " WHERE CAST(path AS BLOB) = " + blob)
				if err != nil {
					t.Fatal(err)
				}
				if row, err := s.Step(); err != nil || !row || s.ColumnInt(0) != 0 {
					t.Errorf("%s still has %d rows, %v", table, s.ColumnInt(0), err)
				}
				s.Finalize()
			}
		})
	}
}

// openSQL opens the database of a store as any program may.
func openSQL(t *testing.T, dir string) *sqlite3.Conn {
	t.Helper()
	c, err := sqlite3.Open(filepath.Join(dir, databaseName), sqlite3.ReadWrite|sqlite3.DefaultVFS)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A sweep removes what sessions make, of sessions that have ended, and nothing
// else.
func TestSweepOwnNames(t *testing.T) {
	h := newHostile(t)
	dead := sessionsName + "/" + deadSession
	strangers := []string{
		dead + "/notes.txt", dead + "/.ssh/key", dead + "/" + strings.Repeat("A", 32) + ".val",
		dead + "/backup-x/0", dead + "/" + linksPrefix + "0123456789abcdef/key",
		sessionsName + "/notes.txt", sessionsName + "/docs/lock", sessionsName + "/" + strings.Repeat("D", 24) + "/lock",
	}
	for _, name := range strangers {
		writeOld(t, filepath.Join(h.dir, filepath.FromSlash(name)), "secret")
	}
	s := open(t, h.dir, nil)
	<-s.core.maintainer.swept
	if err := s.Check(t.Context(), true, func(driver.Problem) {}); err != nil {
		t.Error(err)
	}
	var left []string
	for _, n := range names(t, h.dir) {
		if strings.HasPrefix(n, sessionsName) {
			left = append(left, n)
		}
	}
	want := append(strangers, dead+"/"+session.LockFile) // as the folder is not empty
	slices.Sort(want)
	slices.Sort(left)
	if !slices.Equal(left, want) {
		t.Errorf("left is %q, want %q", left, want)
	}
}

// Two names of one database would have two locks.
func TestTwoNames(t *testing.T) {
	dir := t.TempDir()
	refused := func(dir, advice string) {
		t.Helper()
		s, err := Open(t.Context(), dir, nil)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, driver.ErrNotStore) || !strings.Contains(err.Error(), advice) {
			t.Errorf("got %v", err)
		}
	}
	s := open(t, dir, nil)
	database, other := filepath.Join(dir, databaseName), t.TempDir()
	name := filepath.Join(other, databaseName)
	if err := os.Symlink(database, name); err != nil {
		t.Fatal(err)
	}
	refused(other, "open the directory that")
	if err := errors.Join(os.Remove(name), os.Link(database, name)); err != nil {
		t.Fatal(err)
	}
	refused(other, "hard links")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refused(dir, "hard links")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	// A name of the directory is another matter.
	link := filepath.Join(other, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if a, b := open(t, dir, nil), open(t, link, nil); a.core != b.core {
		t.Error("two names of a directory are two stores")
	}
}

// Some file systems take upper and lower case for the same.
func TestValueNames(t *testing.T) {
	for name, want := range map[string]bool{
		"aa/bb/cc.val": true, "x.val": true, valuesName + "/aa/bb/cc.val": true, "./aa": false,
		databaseName: false, "Cache.DB": false, "CACHE.DB-SESSIONS/x": false, valuesName: false, "Cache.db-values/aa": false,
		valuesName + "/" + databaseName: false, valuesName + "/../" + databaseName: false, "aa/../../x": false, "/x": false, "": false, ".": false,
		"aa/b\x00.val": false, strings.Repeat("x", maxName+1): false,
	} {
		if isValueName(name) != want {
			t.Errorf("%.40q: %v", name, !want)
		}
	}
}

// Somebody may put something else in the place of a folder or file at any time,
// also between two calls of the system.
func TestHostileRace(t *testing.T) {
	for i, name := range newHostile(t).raced() {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			h := newHostile(t)
			path := filepath.Join(h.dir, filepath.FromSlash(h.raced()[i]))
			saved := filepath.Join(h.dir, "zz-saved")
			stop, done := make(chan struct{}), make(chan struct{})
			swaps := 0
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					default:
					}
					if os.Rename(path, saved) != nil {
						os.MkdirAll(filepath.Dir(path), 0o700)
						os.RemoveAll(saved)
					} else {
						swaps++
					}
					if os.Symlink(h.sentinel, path) == nil {
						os.Remove(path)
						os.Rename(saved, path)
					}
					time.Sleep(rand.N(200 * time.Microsecond)) // as it should be, for a while
				}
			}()
			for tries, opened := 0, 0; tries < 20 && opened < 2; tries++ {
				if exercise(t, h.dir) == nil {
					opened++
				}
			}
			close(stop)
			<-done
			if swaps == 0 {
				t.Error("nothing was swapped")
			}
			h.intact(t)
		})
	}
}

// raced are names that are swapped while the store is in use.
func (h *hostile) raced() []string {
	return []string{sessionsName, valuesName, parent(parent(h.files[0])), parent(h.files[2]), sessionsName + "/" + deadSession, nearName}
}

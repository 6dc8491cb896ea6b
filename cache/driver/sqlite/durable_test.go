package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/codec"
)

// cutOff returns a copy of a store's directory, as it is found when its processes
// have ended without closing it. Maps of files are not copied.
func cutOff(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range append(names(t, dir), databaseName+"-wal") {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(to, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// withLostFile makes a store with a value in a file that is on the disk, one that is
// not, and a row after that. It returns what a power cut leaves, with the second
// file as it is given.
func withLostFile(t *testing.T, name string, change func(path string) error) (dir string) {
	t.Helper()
	s := open(t, t.TempDir(), nil)
	c := collectionOf(t, s, name)
	putFile(t, s, c, "first", "content")
	if err := s.core.durable.harden(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r := putFile(t, s, c, "second", "content")
	put(t, s, c, driver.Put{Key: codec.TextValue("third"), Value: codec.TextValue("value")})
	dir = cutOff(t, s.core.dir)
	if err := change(filepath.Join(dir, r.File)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func has(t *testing.T, s *Store, c driver.Collection, key string) bool {
	t.Helper()
	_, found, err := s.Get(t.Context(), c, codec.TextValue(key), driver.Lookup{Now: at()})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func truncated(path string) error { return os.Truncate(path, 0) }
func zeros(path string) error     { return os.WriteFile(path, make([]byte, len("content")), 0o600) }

// What a power cut has left of the log goes from the first transaction on whose
// file is not what was written.
func TestMendLog(t *testing.T) {
	for _, name := range []string{"", "named"} {
		for what, change := range map[string]func(string) error{
			"whole": func(string) error { return nil },
			"empty": truncated, "zeros": zeros, "removed": os.Remove,
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				dir := withLostFile(t, name, change)
				if what != "whole" {
					_, err := Open(t.Context(), dir, &Options{ReadOnly: true})
					if !errors.Is(err, driver.ErrCorrupt) {
						t.Errorf("opened for reading: %v", err)
					}
				}
				s := open(t, dir, nil)
				c := collectionOf(t, s, name)
				for _, key := range []string{"first", "second", "third"} {
					if found := has(t, s, c, key); found != (what == "whole" || key == "first") {
						t.Errorf("%s: %v", key, found)
					}
				}
				err := s.Check(t.Context(), false, func(p driver.Problem) {
					switch p.Kind {
					case driver.LeftOver, driver.UnknownFile, driver.EmptyDirectory: // until the sweep is done
					default:
						t.Errorf("%+v", p)
					}
				})
				if err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				open(t, dir, &Options{ReadOnly: true})
			})
		}
	}
}

// While another program has the database open its log stays, and the files that
// are not whole go.
func TestMendLogOfOthers(t *testing.T) {
	dir := withLostFile(t, "named", zeros)
	other, err := sqlite3.Open(filepath.Join(dir, databaseName), sqlite3.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Exec("SELECT * FROM sqlite_master"); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, &Options{Timeout: 50 * time.Millisecond})
	c := collectionOf(t, s, "named")
	r, found, err := s.Get(t.Context(), c, codec.TextValue("second"), driver.Lookup{Now: at()})
	if err != nil || !found {
		t.Fatal(found, err)
	}
	if _, err := s.OpenFile(t.Context(), c, r); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file that is not whole: %v", err)
	}
	if !has(t, s, c, "third") {
		t.Error("a row is lost")
	}
}

// A store from before there was a list of files gets it when it is written to.
func TestUnsyncedAdded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	putFile(t, s, collectionOf(t, s, "c"), "k", "content")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := sqlite3.Open(filepath.Join(dir, databaseName), sqlite3.ReadWrite)
	if err == nil {
		err = errors.Join(old.Exec("DROP TABLE Unsynced"), old.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, &Options{ReadOnly: true})
	if !has(t, s, collectionOf(t, s, "c"), "k") {
		t.Error("a row is lost")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil)
	putFile(t, s, collectionOf(t, s, "c"), "new", "content")
	if list, err := s.core.listed(); err != nil || len(list) != 1 {
		t.Errorf("%d are listed, %v", len(list), err)
	}
}

// Before the log is copied, the files of all processes are synced, also of those
// that have ended, and old files go after that.
func TestFilesOfAllAreSynced(t *testing.T) {
	first := open(t, t.TempDir(), nil)
	c := collectionOf(t, first, "c")
	putFile(t, first, c, "replaced", "content")
	whole := putFile(t, first, c, "k", "content")
	dir := cutOff(t, first.core.dir)

	var mu sync.Mutex
	var done []string
	defer osfs.SetHook(dir, func(op *osfs.Op, do func() error) error {
		mu.Lock()
		defer mu.Unlock()
		switch op.Kind {
		case osfs.OpSync, osfs.OpRemove:
			if strings.HasSuffix(op.Name, ".val") || strings.HasSuffix(op.Name, "-wal") {
				done = append(done, fmt.Sprint(op.Kind, " ", op.Name))
			}
		}
		return do()
	})()
	s := open(t, dir, nil)
	<-s.core.maintainer.swept // its view keeps old files
	c = collectionOf(t, s, "c")
	was, _, err := s.Get(t.Context(), c, codec.TextValue("replaced"), driver.Lookup{Now: at()})
	if err != nil {
		t.Fatal(err)
	}
	putFile(t, s, c, "replaced", "content")
	if err := s.core.durable.harden(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	at := func(what osfs.OpKind, name string) int { return slices.Index(done, fmt.Sprint(what, " ", name)) }
	value, log, old := at(osfs.OpSync, whole.File), at(osfs.OpSync, databaseName+"-wal"), at(osfs.OpRemove, was.File)
	if value < 0 || log < value || old < log {
		t.Errorf("%v, and should be a sync of %s, of the log, and the removal of %s", done, whole.File, was.File)
	}
}

// A process that makes files faster than the disk takes them waits.
func TestWritersWaitForTheDisk(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	c := collectionOf(t, s, "c")
	d := &s.core.durable
	d.hardening.Lock() // the disk is busy
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	made := 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ; made < 4*maxWaitingNames && ctx.Err() == nil; made++ {
			putFile(t, s, c, fmt.Sprint(made), "content")
		}
	}()
	for waits := false; !waits; {
		select {
		case <-ended:
			d.hardening.Unlock()
			t.Fatalf("%d files were made", made)
		default:
			if waits = !d.backpressure.TryLock(); !waits {
				d.backpressure.Unlock()
				time.Sleep(time.Millisecond)
			}
		}
	}
	if load, _ := d.load(); load > 2.1 {
		t.Errorf("%v times as much waits as may", load)
	}
	cancel()
	d.hardening.Unlock()
	<-ended
	if load, _ := d.load(); load > 0.1 {
		t.Errorf("%v times as much still waits as may", load)
	}
}

// A list that an opening without a log finds is done with then, and what cannot be
// undone there does not keep the store from being opened.
func TestListWithoutLog(t *testing.T) {
	for what, change := range map[string]func(string) error{"whole": func(string) error { return nil }, "removed": os.Remove} {
		dir := withLostFile(t, "c", func(string) error { return nil })
		s := open(t, dir, &Options{JournalMode: JournalDelete})
		list, err := s.core.listed()
		if err != nil || len(list) != 2 {
			t.Fatalf("%d are listed, %v", len(list), err)
		}
		u := list[1]
		if err := s.Close(); err != nil { // takes the row off the list
			t.Fatal(err)
		}
		relist, err := sqlite3.Open(filepath.Join(dir, databaseName), sqlite3.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		if what == "removed" { // as if it had not been closed
			err = relist.Exec(fmt.Sprintf("INSERT INTO Unsynced (path, sum, session, coll, row) VALUES ('%s', %d, '%s', %d, %d)",
				u.path, u.sum, u.session, u.coll, u.row))
		}
		if err := errors.Join(err, relist.Close(), change(filepath.Join(dir, u.path))); err != nil {
			t.Fatal(err)
		}
		for _, o := range []*Options{{JournalMode: JournalDelete, Timeout: 50 * time.Millisecond}, {Timeout: 50 * time.Millisecond}} {
			s := open(t, dir, o)
			if list, err := s.core.listed(); err != nil || len(list) > 0 && what == "whole" {
				t.Errorf("%s: %d are listed, %v", what, len(list), err)
			}
			c := collectionOf(t, s, "c")
			if !has(t, s, c, "first") || !has(t, s, c, "third") {
				t.Errorf("%s: a row is lost", what)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Close syncs what is listed also if another program has emptied the log.
func TestCloseAfterForeignCheckpoint(t *testing.T) {
	dir := t.TempDir()
	var synced sync.Map
	defer osfs.SetHook(dir, func(op *osfs.Op, do func() error) error {
		if op.Kind == osfs.OpSync {
			synced.Store(op.Name, true)
		}
		return do()
	})()
	s := open(t, dir, nil)
	r := putFile(t, s, collectionOf(t, s, "c"), "k", "content")
	other, err := sqlite3.Open(filepath.Join(dir, databaseName), sqlite3.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.Checkpoint(sqlite3.Truncate); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, found := synced.Load(r.File); !found {
		t.Error("Close has not synced the value's file")
	}
}

// A database that has lost all of its bytes is not taken for a new one as long as
// its log is there.
func TestEmptyDatabaseWithLog(t *testing.T) {
	dir := withLostFile(t, "c", func(string) error { return nil })
	if err := os.Truncate(filepath.Join(dir, databaseName), 0); err != nil {
		t.Fatal(err)
	}
	for _, o := range []*Options{nil, {ReadOnly: true}} {
		if _, err := Open(t.Context(), dir, o); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("%v: %v", o, err)
		}
	}
}

// With SyncFull a file of another process that cannot be synced does not make
// commits fail, and the Logger is told of it once.
func TestFileOfAnotherCannotBeSynced(t *testing.T) {
	first := open(t, t.TempDir(), nil)
	r := putFile(t, first, collectionOf(t, first, "c"), "k", "content")
	dir := cutOff(t, first.core.dir)
	defer osfs.SetHook(dir, func(op *osfs.Op, do func() error) error {
		if op.Kind == osfs.OpSync && op.Name == r.File {
			return syscall.EIO
		}
		return do()
	})()
	var log strings.Builder
	s := open(t, dir, &Options{Synchronous: SyncFull, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))})
	c := collectionOf(t, s, "c")
	for range 3 {
		putFile(t, s, c, "other", "content")
		if err := s.core.durable.harden(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "cannot be synced"); n != 1 {
		t.Errorf("told %d times: %s", n, &log)
	}
}

// A row of Unsynced may be of a collection that another process has dropped, since
// this connection has seen it, or of none that there can be.
func TestRefersToDropped(t *testing.T) {
	dir := t.TempDir()
	s, other := open(t, dir, nil), open(t, dir, nil)
	if _, err := s.Open(t.Context(), "c", driver.Spec{}); err != nil {
		t.Fatal(err)
	}
	cn, err := other.core.readers.take(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.core.readers.put(cn)
	unused := func(what string, coll int64) {
		t.Helper()
		if _, used, err := cn.refersTo(unsynced{coll: coll, row: 1, path: "aa/bb/c.val"}); used || err != nil {
			t.Errorf("%s: %v, %v", what, used, err)
		}
	}
	for what, coll := range map[string]int64{"the default": 0, "one without the row": 1, "never made": 7, "negative": -1, "too large": 1 << 60} {
		unused(what, coll)
	}
	if err := s.Drop(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	unused("dropped", 1)
}

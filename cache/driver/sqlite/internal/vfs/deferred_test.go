//go:build unix

package vfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

func setMaxDeferral(t *testing.T, d time.Duration) {
	was := vfs.SetMaxDeferral(d)
	t.Cleanup(func() { vfs.SetMaxDeferral(was) })
}

// countLocks counts the calls for locks that reach SQLite's VFS.
func countLocks(t *testing.T) *int {
	n := new(int)
	t.Cleanup(vfs.ReplaceLock(func(was cabi.LockFunc) cabi.LockFunc {
		return func(tls *libc.TLS, id uintptr, slot, k, flags int32) int32 {
			*n++
			return was(tls, id, slot, k, flags)
		}
	}))
	return n
}

func wantDeferred(t *testing.T, c *conn, want bool) {
	t.Helper()
	if c.IsDeferred() != want {
		t.Fatalf("deferred: %v", !want)
	}
}

func TestDeferredUnlocks(t *testing.T) {
	setMaxDeferral(t, time.Hour)
	path := filepath.Join(t.TempDir(), "test.db")
	w, r := openWAL(t, path), openWAL(t, path)
	must(t, w.Exec("CREATE TABLE t(v)"))
	n := countLocks(t)
	calls := func(f func()) int { *n = 0; f(); return *n }
	count := func(c *conn) int64 { return integer(t, c, "SELECT count(*) FROM t") }

	count(r)
	if k := calls(func() { count(r); count(r) }); k != 0 {
		t.Errorf("%d calls to read again", k)
	}
	wantDeferred(t, r, true)
	r.UnlockDeferred()
	wantDeferred(t, r, false)
	if k := calls(func() { count(r) }); k != 1 {
		t.Errorf("%d calls to read after its release", k)
	}
	must(t, w.Exec("INSERT INTO t VALUES (1)"))
	if k := calls(func() { must(t, w.Exec("INSERT INTO t VALUES (1)")) }); k != 2 {
		t.Errorf("%d calls to write again", k)
	}
	if k := calls(func() { count(r) }); k != 0 || count(r) != 2 {
		t.Errorf("%d calls, %d rows after a write", k, count(r))
	}
	must(t, r.Exec("BEGIN; SELECT * FROM t"))
	wantDeferred(t, r, false)
	r.UnlockDeferred()
	must(t, w.Exec("INSERT INTO t VALUES (1)"))
	if _, _, err := w.Checkpoint(sqlite3.Truncate); !sqlite3.IsBusy(err) {
		t.Error("unlockDeferred released a transaction", err)
	}
	must(t, r.Exec("COMMIT"))

	// All of the process, if one says so, but not that of a transaction.
	must(t, r.Exec("BEGIN; SELECT * FROM t"))
	r2 := openWAL(t, path)
	count(r2)
	wantDeferred(t, r2, true)
	r.Yield()
	wantDeferred(t, r2, false)
	wantDeferred(t, w, false)
	must(t, w.Exec("INSERT INTO t VALUES (1)"))
	if _, _, err := w.Checkpoint(sqlite3.Truncate); !sqlite3.IsBusy(err) {
		t.Error("Yield released a transaction", err)
	}
	must(t, r.Exec("COMMIT"))
	must(t, r2.Close())

	// In this process deferred locks are not in the way.
	wantDeferred(t, r, true)
	_, _, err := w.Checkpoint(sqlite3.Truncate)
	must(t, err)
	wantDeferred(t, r, false)

	// With an empty WAL readers lock slot 0.
	if count(r) != 4 {
		t.Error(count(r))
	}
	wantDeferred(t, r, true)
	must(t, w.Exec("INSERT INTO t VALUES (1)"))
	if k := calls(func() { count(r) }); k > 6 || count(r) != 5 {
		t.Errorf("%d calls, %d rows", k, count(r))
	}

	// An old lock is renewed, and its mark moved.
	must(t, w.Exec("INSERT INTO t VALUES (1)"))
	count(r)
	// Older than the hour, but not so old that r would count as hardly used.
	age := func() { r.Age(90 * time.Minute) }
	age()
	if k := calls(func() { count(r) }); k < 4 {
		t.Errorf("%d calls with an old lock", k)
	}
	age()
	if k := calls(func() { count(r) }); k != 2 {
		t.Errorf("%d calls with an old lock and a new mark", k)
	}
	count(r)
	must(t, r.Exec("PRAGMA locking_mode = EXCLUSIVE; SELECT * FROM t; PRAGMA locking_mode = NORMAL; SELECT * FROM t"))
	wantDeferred(t, r, true)
	must(t, w.Close())
	must(t, r.Exec("PRAGMA journal_mode = DELETE"))
	wantDeferred(t, r, false)
	must(t, r.Exec("PRAGMA journal_mode = WAL; SELECT * FROM t"))
	wantDeferred(t, r, true)
	must(t, r.Close())
	wantDeferred(t, r, false)
	r.UnlockDeferred()
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the last connection left its WAL", err)
	}
	if n := vfs.FilesLeft(); n != 0 {
		t.Errorf("left: %v", n)
	}
}

// The deferred lock of a writer, whose mark is behind, is not in the way of
// its own checkpoint.
func TestOwnCheckpoint(t *testing.T) {
	setMaxDeferral(t, time.Hour)
	c := openWAL(t, filepath.Join(t.TempDir(), "test.db"))
	must(t, c.Exec("CREATE TABLE t(v)"))
	for _, mode := range []sqlite3.CheckpointMode{sqlite3.Passive, lib.SQLITE_CHECKPOINT_FULL, sqlite3.Restart, sqlite3.Truncate} {
		must(t, c.Exec("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"))
		wantDeferred(t, c, true)
		log, done, err := c.Checkpoint(mode)
		if err != nil || log != done {
			t.Error(mode, log, done, err)
		}
	}
}

// The WAL begins anew after a checkpoint although another connection of this
// process has a deferred lock on it.
func TestWALRestarts(t *testing.T) {
	setMaxDeferral(t, time.Hour)
	path := filepath.Join(t.TempDir(), "test.db")
	w, r := openWAL(t, path), openWAL(t, path)
	must(t, w.Exec("CREATE TABLE t(v)"))
	frames := 0
	w.SetWALHook(func(n int) { frames = n })
	for range 50 {
		for range 10 {
			must(t, w.Exec("INSERT INTO t VALUES (1)"))
			integer(t, r, "SELECT count(*) FROM t")
		}
		_, _, err := w.Checkpoint(sqlite3.Passive)
		must(t, err)
	}
	if frames > 30 {
		t.Errorf("the WAL has %d frames", frames)
	}
}

// Locks are taken away while their connections are used.
func TestRevokeAnyTime(t *testing.T) {
	setMaxDeferral(t, time.Hour)
	openWAL(t, filepath.Join(t.TempDir(), "first.db"))
	var wrong atomic.Int64
	t.Cleanup(vfs.ReplaceLock(func(was cabi.LockFunc) cabi.LockFunc {
		return func(tls *libc.TLS, id uintptr, slot, n, flags int32) int32 {
			// What is released must be held, and no longer on offer.
			if f := vfs.File(id); flags == vfs.UnlockShared && slot >= vfs.SlotRead &&
				(!f.IsLocked(slot) || f.Deferred() == uint32(slot)) {
				wrong.Add(1)
			}
			return was(tls, id, slot, n, flags)
		}
	}))
	path := filepath.Join(t.TempDir(), "test.db")
	must(t, openWAL(t, path).Exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 0, 0)"))
	const each = 500
	conns := make([]*conn, 4)
	for i := range conns {
		conns[i] = openWAL(t, path)
		conns[i].SetBusyHandler(func(int) bool { runtime.Gosched(); return true })
		must(t, conns[i].Exec("PRAGMA synchronous = OFF"))
		conns[i].SetAutoCheckpointOff()
	}
	var users, thieves sync.WaitGroup
	stop := make(chan struct{})
	for i, c := range conns {
		users.Go(func() {
			if err := useAndCheck(c, i, each); err != nil {
				t.Error(err)
			}
		})
	}
	thieves.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, c := range conns {
				c.IsDeferred()
				c.UnlockDeferred()
			}
			runtime.Gosched()
		}
	})
	users.Wait()
	close(stop)
	thieves.Wait()
	if n := wrong.Load(); n != 0 {
		t.Errorf("%d locks were released that nobody had or somebody could take", n)
	}
	c := openFile(t, path)
	wantIntact(t, c)
	if n := integer(t, c, "SELECT a FROM t"); n != 2*each {
		t.Errorf("%d updates, want %d", n, 2*each)
	}
}

// useAndCheck reads, and if i is even writes or checkpoints, rows in which a
// is always b.
func useAndCheck(c *conn, i, times int) error {
	for n := range times {
		if i%2 == 0 {
			if err := c.Exec("BEGIN IMMEDIATE; UPDATE t SET a = a + 1; UPDATE t SET b = b + 1; COMMIT"); err != nil {
				return err
			}
			if n%10 == i {
				if _, _, err := c.Checkpoint(sqlite3.Truncate); err != nil && !sqlite3.IsBusy(err) {
					return err
				}
			}
		}
		for range 30 {
			got, err := text(c, "SELECT a = b FROM t")
			if err != nil || got != "1" {
				return fmt.Errorf("a = b is %q, %w", got, err)
			}
		}
	}
	return nil
}

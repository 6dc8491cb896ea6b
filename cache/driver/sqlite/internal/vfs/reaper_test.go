//go:build unix

package vfs_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

// wantSoon waits for what happens within some milliseconds, unless the machine
// is busy with something else.
func wantSoon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal("never:", what)
		}
	}
}

func TestReaper(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	conns := []*conn{openWAL(t, path), openWAL(t, path), openWAL(t, path)}
	must(t, conns[0].Exec("CREATE TABLE t(v)"))
	use := func(c *conn) { integer(t, c, "SELECT count(*) FROM t") }
	for range 3 {
		for _, c := range conns {
			wantSoon(t, "a deferred lock", func() bool { use(c); return c.IsDeferred() })
		}
		for _, c := range conns {
			wantSoon(t, "the release of a lock that is not used", func() bool { return !c.IsDeferred() })
		}
		wantSoon(t, "an end of the rounds", func() bool { return !vfs.ReapDue() })
	}

	// A connection of SQLite's own VFS, in the same process, is not kept from
	// beginning the WAL anew, neither by one that is used all the time.
	d, err := open(path, sqlite3.ReadWrite|sqlite3.DefaultVFS)
	must(t, err)
	defer d.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		s, err := conns[1].Prepare("SELECT count(*) FROM t")
		for err == nil {
			if _, err = s.Step(); err != nil {
				break
			}
			s.Reset()
			select {
			case <-stop:
				return
			default:
			}
		}
		t.Error(err)
	}()
	for range 10 {
		must(t, d.Exec("INSERT INTO t VALUES (1)"))
		start := time.Now()
		d.SetBusyHandler(func(int) bool {
			time.Sleep(100 * time.Microsecond)
			return time.Since(start) < time.Minute
		})
		_, _, err := d.Checkpoint(sqlite3.Restart)
		must(t, err)
	}
	close(stop)
	<-stopped
}

// A lock that is used stays, however many rounds see it.
func TestReaperLeavesWhatIsUsed(t *testing.T) {
	setMaxDeferral(t, time.Hour)
	c := openWAL(t, filepath.Join(t.TempDir(), "test.db"))
	must(t, c.Exec("CREATE TABLE t(v)"))
	integer(t, c, "SELECT count(*) FROM t")
	n := countLocks(t)
	for range 10 {
		integer(t, c, "SELECT count(*) FROM t")
		vfs.Reap()
		wantDeferred(t, c, true)
	}
	if *n != 0 {
		t.Errorf("%d calls", *n)
	}
	must(t, c.Exec("BEGIN; SELECT * FROM t"))
	vfs.Reap()
	vfs.Reap()
	must(t, c.Exec("COMMIT"))
	wantDeferred(t, c, true)
	vfs.Reap()
	vfs.Reap()
	wantDeferred(t, c, false)
	if *n != 1 {
		t.Errorf("%d calls", *n)
	}
}

// While one of our connections checkpoints, the others' unlocks are deferred: it takes
// away those that are in its way.
func TestDeferredDuringOwnCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c, r, long := openWAL(t, path), openWAL(t, path), openWAL(t, path)
	must(t, c.Exec("CREATE TABLE t(v)"))
	for _, ours := range []bool{true, false} {
		w := c
		if !ours {
			var err error
			w, err = open(path, sqlite3.ReadWrite|sqlite3.DefaultVFS)
			must(t, err)
			defer w.Close()
		}
		must(t, w.Exec("INSERT INTO t VALUES (1)"))
		checked := false
		w.SetBusyHandler(func(int) bool { // with the checkpoint lock held
			for range 3 {
				time.Sleep(3 * time.Millisecond)
				integer(t, r, "SELECT count(*) FROM t")
			}
			checked = true
			if r.Yields() == ours {
				t.Error("ours:", ours, "readers make room:", ours)
			}
			must(t, long.Exec("COMMIT"))
			return true
		})
		must(t, long.Exec("BEGIN; SELECT * FROM t"))
		_, _, err := w.Checkpoint(sqlite3.Restart)
		must(t, err)
		if !checked {
			t.Error("nobody waited")
		}
	}
	if n := vfs.Checkpoints(); n != 0 {
		t.Errorf("%d checkpoints go on", n)
	}
}

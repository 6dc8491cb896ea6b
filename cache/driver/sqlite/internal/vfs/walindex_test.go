//go:build unix

package vfs_test

import (
	"os"
	"path/filepath"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

func TestWALIndexHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	w := openFile(t, path)
	if w.WALIndexHeader() != nil {
		t.Error("a header without WAL")
	}
	if _, err := os.Stat(path + "-shm"); err == nil {
		t.Error("asking made an index")
	}
	must(t, w.Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE t(v)"))
	r := openFile(t, path)
	if r.WALIndexHeader() != nil {
		t.Error("a header before the first read")
	}
	integer(t, r, "SELECT count(*) FROM t")
	h := r.WALIndexHeader()
	if h == nil || h != w.WALIndexHeader() {
		t.Fatal("not one header in the process", h, w.WALIndexHeader())
	}

	// Commits of this VFS and of SQLite's own.
	d, err := open(path, sqlite3.ReadWrite|sqlite3.DefaultVFS)
	must(t, err)
	defer d.Close()
	if d.WALIndexHeader() != nil {
		t.Error("a header of a connection with the default VFS")
	}
	for i, c := range []*conn{w, r, d} {
		change, sum, frames, pages := h.Change(), h.FrameChecksum(), h.Frames(), h.Pages()
		must(t, c.Exec("BEGIN IMMEDIATE; INSERT INTO t VALUES (zeroblob(10000))"))
		if h.Change() != change || h.FrameChecksum() != sum || h.Frames() != frames {
			t.Error("the header changes before the commit", i)
		}
		must(t, c.Exec("COMMIT"))
		if h.Change() != change+1 || h.FrameChecksum() == sum || h.Frames() <= frames || h.Pages() <= pages {
			t.Errorf("after a commit of %d: change %d -> %d, frames %d -> %d, pages %d -> %d", i,
				change, h.Change(), frames, h.Frames(), pages, h.Pages())
		}
		change, sum = h.Change(), h.FrameChecksum()
		must(t, c.Exec("BEGIN IMMEDIATE; INSERT INTO t VALUES (1); ROLLBACK; BEGIN IMMEDIATE; COMMIT"))
		if h.Change() != change || h.FrameChecksum() != sum {
			t.Error("the header changes with a rollback or an empty commit", i)
		}
	}
	if n := integer(t, r, "PRAGMA page_count"); n != int64(h.Pages()) {
		t.Errorf("%d pages, the header says %d", n, h.Pages())
	}

	for _, mode := range []sqlite3.CheckpointMode{sqlite3.Passive, lib.SQLITE_CHECKPOINT_FULL, sqlite3.Restart, sqlite3.Truncate} {
		change, sum, salts := h.Change(), h.FrameChecksum(), h.Salts()
		w.UnlockDeferred()
		r.UnlockDeferred()
		log, done, err := d.Checkpoint(mode)
		if err != nil || log != done {
			t.Fatal(mode, log, done, err)
		}
		if h.Copied() != h.Frames() {
			t.Error("frames that are not copied after a checkpoint", mode, h.Copied(), h.Frames())
		}
		if h.Change() != change || h.FrameChecksum() != sum {
			t.Error("the state's mark changes with a checkpoint", mode)
		}
		must(t, w.Exec("INSERT INTO t VALUES (2)"))
		if h.Salts() == salts && mode >= sqlite3.Restart {
			t.Error("the WAL did not begin anew", mode)
		}
		if h.Copied() == h.Frames() {
			t.Error("a frame that is copied when it is committed", mode)
		}
		if h.Change() != change+1 || h.FrameChecksum() == sum || h.Frames() == 0 {
			t.Error("a commit after a checkpoint", mode, change, h.Change(), h.Frames())
		}
	}

	// The mapping stays as long as any connection.
	must(t, r.Close())
	must(t, d.Close())
	change := h.Change()
	must(t, w.Exec("INSERT INTO t VALUES (3)"))
	if h.Change() != change+1 || h != w.WALIndexHeader() {
		t.Error("another mapping after connections were closed")
	}
}

func TestWALIndexHeaderElsewhere(t *testing.T) {
	if h := openFile(t, ":memory:").WALIndexHeader(); h != nil {
		t.Error("a header of a database in memory")
	}
	path := filepath.Join(t.TempDir(), "test.db")
	must(t, openFile(t, path).Exec("CREATE TABLE t(v)"))
	c, err := open(path, sqlite3.Immutable)
	must(t, err)
	defer c.Close()
	integer(t, c, "SELECT count(*) FROM t")
	if c.WALIndexHeader() != nil {
		t.Error("a header of an immutable database")
	}
	must(t, c.Close())
	if c.WALIndexHeader() != nil {
		t.Error("a header of a closed connection")
	}
}

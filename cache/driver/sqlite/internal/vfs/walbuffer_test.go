//go:build unix

package vfs_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

// onWALWrite has f called before each write to a WAL; a result other than
// SQLITE_OK is the result of the write. There must be a WAL open already.
func onWALWrite(t *testing.T, f func(n int32, off int64) int32) {
	t.Helper()
	t.Cleanup(vfs.ReplaceWrite(func(was cabi.IOFunc) cabi.IOFunc {
		if was == nil {
			t.Fatal("no WAL was opened")
		}
		return func(tls *libc.TLS, id, buf uintptr, n int32, off int64) int32 {
			if rc := f(n, off); rc != lib.SQLITE_OK {
				return rc
			}
			return was(tls, id, buf, n, off)
		}
	}))
}

func TestOneWritePerCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := openWAL(t, path)
	must(t, c.Exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"))
	var sizes []int32
	onWALWrite(t, func(n int32, _ int64) int32 { sizes = append(sizes, n); return 0 })
	must(t, c.Exec("INSERT INTO t(v) VALUES (zeroblob(10000))"))
	if len(sizes) != 1 || sizes[0] != 4*(4096+24) {
		t.Errorf("wrote %d", sizes)
	}
	sizes = nil
	must(t, c.Exec("INSERT INTO t(v) VALUES (zeroblob(1000000))"))
	if len(sizes) > 1000000/(vfs.MaxBuffer-4120)+1 {
		t.Errorf("%d writes", len(sizes))
	}
	sizes = nil
	must(t, c.Exec("PRAGMA cache_size = 5; BEGIN; INSERT INTO t(v) VALUES (zeroblob(50000)); ROLLBACK"))
	if len(sizes) != 0 {
		t.Errorf("rolled back, and wrote %d", sizes)
	}
	if n := integer(t, copyDatabase(t, path), "SELECT sum(length(v)) FROM t"); n != 1010000 {
		t.Error(n)
	}
}

// The file grows by chunks, also after it was cut, as long as there is room for
// them, and what is behind the last frame is nothing to a recovery.
func TestWALGrowsByChunks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := openWAL(t, path)
	must(t, c.Exec("CREATE TABLE t(v)"))
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path + "-wal")
		must(t, err)
		return info.Size()
	}
	room := int64(1 << 40)
	var end int64 // of the frames, if nothing is added to them
	onWALWrite(t, func(n int32, off int64) int32 {
		if off+int64(n) > room {
			return lib.SQLITE_FULL
		}
		end = off + int64(n)
		return lib.SQLITE_OK
	})
	rows := int64(0)
	for range 3 {
		for range 100 {
			must(t, c.Exec("INSERT INTO t VALUES (randomblob(5000))"))
			rows++
			if n := size(); n%vfs.WALChunk != 0 || n == 0 {
				t.Fatalf("%d bytes", n)
			}
		}
		if n := integer(t, copyDatabase(t, path), "SELECT count(*) FROM t"); n != rows {
			t.Errorf("%d rows after a crash, want %d", n, rows)
		}
		_, _, err := c.Checkpoint(sqlite3.Truncate)
		must(t, err)
	}
	must(t, c.Exec("INSERT INTO t VALUES (1)"))
	rows++
	room = size() + vfs.WALChunk/2
	for {
		err := c.Exec("INSERT INTO t VALUES (1)")
		if sqlite3.IsFull(err) {
			break
		}
		must(t, err)
		rows++
	}
	if end < room-2*4120 {
		t.Errorf("it was full with frames up to %d, and room for %d", end, room)
	}
	room = 1 << 40
	must(t, c.Exec("INSERT INTO t VALUES (1)"))
	rows++
	if n := size(); n%vfs.WALChunk != 0 {
		t.Errorf("%d bytes, when there was room again", n)
	}
	for _, c := range []*conn{openFile(t, path), copyDatabase(t, path)} {
		wantIntact(t, c)
		if n := integer(t, c, "SELECT count(*) FROM t"); n != rows {
			t.Errorf("%d rows, want %d", n, rows)
		}
	}
}

// What was buffered when a transaction was rolled back must not come to light
// after somebody else has written in its place.
func TestBufferIsDropped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	a, b := openWAL(t, path), openWAL(t, path)
	must(t, a.Exec("CREATE TABLE t(v); PRAGMA cache_size = 3"))
	for i := range 20 {
		must(t, a.Exec("BEGIN; INSERT INTO t VALUES (zeroblob(30000)); SAVEPOINT s; INSERT INTO t VALUES (zeroblob(30000))"))
		if i%2 == 0 {
			must(t, a.Exec("ROLLBACK TO s; INSERT INTO t VALUES (zeroblob(30000))"))
		}
		must(t, a.Exec("ROLLBACK"))
		must(t, b.Exec("INSERT INTO t VALUES (randomblob(20000))"))
		must(t, a.Exec("INSERT INTO t VALUES (randomblob(10000))"))
	}
	for _, c := range []*conn{openFile(t, path), copyDatabase(t, path)} {
		wantIntact(t, c)
		if n := integer(t, c, "SELECT sum(length(v)) FROM t"); n != 20*30000 {
			t.Error(n)
		}
	}
}

// After frames were lost nothing more is written until the lock is released,
// whatever SQLite might do.
func TestLostFrames(t *testing.T) {
	c := openWAL(t, filepath.Join(t.TempDir(), "test.db"))
	must(t, c.Exec("CREATE TABLE t(v); BEGIN IMMEDIATE"))
	fail := true
	onWALWrite(t, func(int32, int64) int32 {
		if fail {
			return lib.SQLITE_FULL
		}
		return lib.SQLITE_OK
	})
	tls := libc.NewTLS()
	defer tls.Close()
	buf := libc.Xcalloc(tls, 1, 24) // does not commit
	defer libc.Xfree(tls, buf)
	// The frame's place is far behind the others, and its page of no use.
	write := func(n int32, off int64) int32 { return c.WriteWAL(tls, buf, n, 1<<20+off) }
	if a, b, rc := write(24, 0), write(16, 24), c.SyncWAL(tls); a != 0 || b != 0 || rc != lib.SQLITE_FULL {
		t.Error(a, b, rc)
	}
	fail = false
	if rc := write(24, 40); rc != lib.SQLITE_FULL {
		t.Error(rc)
	}
	if err := c.Exec("INSERT INTO t VALUES (1); COMMIT"); !sqlite3.IsFull(err) {
		t.Error(err)
	}
	must(t, c.Exec("INSERT INTO t VALUES (2)"))
	if n := integer(t, c, "SELECT sum(v) FROM t"); n != 2 {
		t.Error(n)
	}
}

// side is one of two databases that are treated alike.
type side struct {
	path  string
	conns [2]*conn
	flags sqlite3.OpenFlags
}

func (s *side) open(t *testing.T, i int, pragmas string) {
	t.Helper()
	c, err := open(s.path, sqlite3.ReadWriteCreate|s.flags)
	must(t, err)
	must(t, c.Exec(pragmas))
	c.SetAutoCheckpointOff()
	s.conns[i] = c
}

// TestSameAsDefaultVFS does the same at random to a database with our VFS and
// to one with SQLite's own, and wants the same results, the same contents,
// and the same once more after a crash.
func TestSameAsDefaultVFS(t *testing.T) {
	for i, pragmas := range []string{
		"PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = 4",
		"PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = 3",
		"PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA mmap_size = 1000000; PRAGMA journal_size_limit = 20000",
		"PRAGMA page_size = 65536; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = 3",
		"PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = 3; PRAGMA auto_vacuum = FULL",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) { sameAsDefault(t, pragmas, uint64(i)) })
	}
}

func sameAsDefault(t *testing.T, pragmas string, seed uint64) {
	// With deferred locks a reader's mark may be older, and a checkpoint end
	// earlier.
	deferred := seed%2 == 0
	setMaxDeferral(t, 0)
	if deferred {
		setMaxDeferral(t, time.Hour)
	}
	dir := t.TempDir()
	sides := [2]*side{{path: dir + "/ours.db"}, {path: dir + "/default.db", flags: sqlite3.DefaultVFS}}
	for _, s := range sides {
		s.open(t, 0, pragmas)
		must(t, s.conns[0].Exec("CREATE TABLE t(id INTEGER PRIMARY KEY, k UNIQUE, v)"))
		s.open(t, 1, pragmas)
		defer func() {
			for _, c := range s.conns {
				must(t, c.Close())
			}
		}()
	}
	const sum = "SELECT count(*) || ' ' || total(id) || ' ' || total(length(v)) || ' ' || total(k) FROM t"
	r := rand.New(rand.NewPCG(seed, 1))
	steps := 3000
	if testing.Short() {
		steps = 500
	}
	for step := range steps {
		i := r.IntN(2)
		var sql string
		id, size := r.IntN(60), r.IntN(1<<r.IntN(15))
		switch op := r.IntN(40); {
		case op < 12:
			sql = fmt.Sprintf("INSERT OR REPLACE INTO t VALUES (%d, %d, zeroblob(%d))", id, r.IntN(100), size)
		case op < 17:
			sql = fmt.Sprintf("UPDATE t SET v = zeroblob(%d), k = k + 1000 WHERE id >= %d AND id < %d", size, id, id+r.IntN(8))
		case op < 20:
			sql = fmt.Sprintf("DELETE FROM t WHERE id = %d", id)
		case op < 23:
			sql = "BEGIN"
		case op < 24:
			sql = "BEGIN IMMEDIATE"
		case op < 28:
			sql = "COMMIT"
		case op < 29:
			sql = "ROLLBACK"
		case op < 31:
			sql = "SAVEPOINT s"
		case op < 33:
			sql = "ROLLBACK TO s"
		case op < 34:
			sql = "RELEASE s"
		case op < 35:
			sql = "PRAGMA wal_checkpoint(" + []string{"PASSIVE", "FULL", "RESTART", "TRUNCATE"}[r.IntN(4)] + ")"
		case op < 36 && r.IntN(4) == 0:
			for _, s := range sides {
				must(t, s.conns[i].Close())
				s.open(t, i, pragmas)
			}
			continue
		default:
			sql = sum
		}
		var got [2]string
		for n, s := range sides {
			v, err := text(s.conns[i], sql)
			got[n] = fmt.Sprint(v, " ", err)
		}
		if got[0] != got[1] && !(deferred && strings.Contains(sql, "checkpoint")) {
			t.Fatalf("step %d: %s: %s with our VFS, %s with the default one", step, sql, got[0], got[1])
		}
		if step%200 == 0 {
			for n, s := range sides {
				c := copyDatabase(t, s.path)
				wantIntact(t, c)
				var err error
				got[n], err = text(c, sum)
				must(t, err)
			}
			if got[0] != got[1] {
				t.Fatalf("step %d: %s after a crash with our VFS, %s with the default one", step, got[0], got[1])
			}
		}
	}
	for _, s := range sides {
		wantIntact(t, copyDatabase(t, s.path))
	}
}

// TestFailingWrites makes writes to the WAL fail at random. Committed is what
// reported no error; nothing else may be found.
func TestFailingWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := openWAL(t, path)
	must(t, c.Exec("PRAGMA cache_size = 3; CREATE TABLE t(id INTEGER PRIMARY KEY, v)"))
	r := rand.New(rand.NewPCG(1, 2))
	failures, failing := 0, true
	onWALWrite(t, func(int32, int64) int32 {
		if !failing || r.IntN(4) > 0 {
			return lib.SQLITE_OK
		}
		failures++
		return []int32{lib.SQLITE_FULL, lib.SQLITE_IOERR | 3<<8}[r.IntN(2)]
	})
	rows := int64(0)
	for range 1000 {
		added := int64(0)
		err := c.Exec("BEGIN IMMEDIATE")
		for range r.IntN(4) {
			if err == nil {
				err = c.Exec(fmt.Sprintf("INSERT INTO t(v) VALUES (zeroblob(%d))", r.IntN(200000)))
				added++
			}
			if err != nil && r.IntN(2) == 0 && !c.AutoCommit() {
				err, added = nil, added-1 // go on, if SQLite lets us
			}
		}
		if err == nil && !c.AutoCommit() {
			if err = c.Exec("COMMIT"); err == nil {
				rows += added
			}
		}
		if !c.AutoCommit() {
			must(t, c.Exec("ROLLBACK"))
		}
		if r.IntN(20) == 0 {
			failing = false
			wantIntact(t, c)
			if n := integer(t, c, "SELECT count(*) FROM t"); n != rows {
				t.Fatalf("%d rows, want %d", n, rows)
			}
			must(t, c.Exec("DELETE FROM t"))
			rows = 0
			if r.IntN(2) == 0 {
				wantIntact(t, copyDatabase(t, path))
				_, _, err := c.Checkpoint(sqlite3.Truncate)
				must(t, err)
			}
			failing = true
		}
	}
	failing = false
	if failures == 0 || rows == 0 {
		t.Errorf("%d failures, %d rows", failures, rows)
	}
}

//go:build unix

package vfs_test

import (
	"os"
	"path/filepath"
	"testing"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

// A frame number that damage has left in the WAL-index does not make it grow.
func TestWALIndexIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := openFile(t, path)
	must(t, c.Exec("PRAGMA journal_mode = WAL; CREATE TABLE t(v)"))
	tls := libc.NewTLS()
	defer tls.Close()
	for _, region := range []int32{3, 100_000, 1 << 30} {
		if rc := c.GrowWALIndex(tls, region); rc != lib.SQLITE_CORRUPT {
			t.Errorf("region %d: result %d", region, rc)
		}
	}
	if info, err := os.Stat(path + "-shm"); err != nil || info.Size() > 2*vfs.WALIndexRegion {
		t.Error("the index has grown:", info, err)
	}

	// A transaction that is really large, of pages that are really small.
	path = filepath.Join(t.TempDir(), "test.db")
	c = openFile(t, path)
	must(t, c.Exec("PRAGMA page_size = 512; PRAGMA journal_mode = WAL; CREATE TABLE t(v)"))
	must(t, c.Exec("INSERT INTO t VALUES (zeroblob(20000000))"))
	if info, err := os.Stat(path + "-shm"); err != nil || info.Size() < 8*vfs.WALIndexRegion {
		t.Error("the index has not grown:", info, err)
	}
	if n := integer(t, c, "SELECT length(v) FROM t"); n != 20_000_000 {
		t.Error(n)
	}
}

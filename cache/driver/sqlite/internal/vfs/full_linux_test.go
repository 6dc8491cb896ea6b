package vfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// TestFullDisk fills a small file system.
func TestFullDisk(t *testing.T) {
	for _, flags := range []sqlite3.OpenFlags{0, sqlite3.DefaultVFS} {
		t.Run(fmt.Sprint("flags ", flags), func(t *testing.T) { fullDisk(t, flags) })
	}
}

func fullDisk(t *testing.T, flags sqlite3.OpenFlags) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no file system of our own: ", err)
	}
	defer func() { must(t, syscall.Unmount(dir, 0)) }()
	c, err := open(filepath.Join(dir, "test.db"), sqlite3.ReadWriteCreate|flags)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	must(t, c.Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = 3; CREATE TABLE t(v)"))
	c.SetAutoCheckpointOff()
	ballast := filepath.Join(dir, "ballast")
	for round := range 4 {
		must(t, os.WriteFile(ballast, make([]byte, 600<<10), 0o600))
		rows := int64(0)
		err := error(nil)
		if round%2 == 1 {
			must(t, c.Exec("BEGIN"))
		}
		for n := 0; err == nil; n++ {
			if err = c.Exec(fmt.Sprintf("INSERT INTO t VALUES (zeroblob(%d))", n*1000+1)); err == nil {
				rows++
			}
		}
		if !sqlite3.IsFull(err) {
			t.Fatal(err)
		}
		if !c.AutoCommit() {
			must(t, c.Exec("ROLLBACK"))
		}
		if round%2 == 1 {
			rows = 0
		}
		wantIntact(t, c)
		if n := integer(t, c, "SELECT count(*) FROM t"); n != rows {
			t.Errorf("%d rows, want %d", n, rows)
		}
		must(t, os.Remove(ballast))
		must(t, c.Exec("DELETE FROM t"))
		_, _, err = c.Checkpoint(sqlite3.Truncate)
		must(t, err)
		must(t, c.Exec("INSERT INTO t VALUES (1); DELETE FROM t"))
	}
	wantIntact(t, c)
}

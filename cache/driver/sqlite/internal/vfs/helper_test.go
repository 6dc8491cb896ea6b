//go:build unix

package vfs_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

// conn is a connection and its file.
type conn struct {
	*sqlite3.Conn
	vfs.File
}

var opening sync.Mutex

func open(path string, flags sqlite3.OpenFlags) (*conn, error) {
	opening.Lock()
	defer opening.Unlock()
	c, err := sqlite3.Open(path, flags)
	if err != nil || flags&sqlite3.DefaultVFS != 0 {
		return &conn{Conn: c}, err
	}
	name, err := filepath.EvalSymlinks(path)
	if err != nil { // it is in memory
		name = path
	}
	return &conn{c, vfs.NewestFile(name)}, nil
}

func (c *conn) Close() error {
	c.File = 0
	return c.Conn.Close()
}

func (c *conn) Yield() { c.Conn.Yield() }

func (c *conn) WALIndexHeader() *vfs.WALIndexHeader { return c.Conn.WALIndexHeader() }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openFile(t testing.TB, path string) *conn {
	t.Helper()
	c, err := open(path, sqlite3.ReadWriteCreate)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

func openWAL(t testing.TB, path string) *conn {
	t.Helper()
	c := openFile(t, path)
	must(t, c.Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"))
	return c
}

func integer(t testing.TB, c *conn, sql string) int64 {
	t.Helper()
	s, err := c.Prepare(sql)
	must(t, err)
	defer s.Finalize()
	if row, err := s.Step(); !row || err != nil {
		t.Fatal(sql, row, err)
	}
	return s.ColumnInt(0)
}

func text(c *conn, sql string) (string, error) {
	s, err := c.Prepare(sql)
	if err != nil {
		return "", err
	}
	defer s.Finalize()
	if _, err := s.Step(); err != nil {
		return "", err
	}
	return s.ColumnText(0), nil
}

func wantIntact(t testing.TB, c *conn) {
	t.Helper()
	if got, err := text(c, "PRAGMA integrity_check"); got != "ok" || err != nil {
		t.Fatalf("integrity: %q, %v", got, err)
	}
}

// copyDatabase copies a database and its WAL without the wal-index, as they
// were after a crash, and opens the copy.
func copyDatabase(t testing.TB, path string) *conn {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		must(t, os.WriteFile(to+suffix, b, 0o600))
	}
	return openFile(t, to)
}

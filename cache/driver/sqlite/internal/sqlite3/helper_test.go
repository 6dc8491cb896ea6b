package sqlite3

import (
	"path/filepath"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func prepare(t testing.TB, c *Conn, sql string) *Stmt {
	t.Helper()
	s, err := c.Prepare(sql)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openFile(t testing.TB, path string) *Conn {
	t.Helper()
	c, err := Open(path, ReadWriteCreate)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

func openTemp(t testing.TB) *Conn {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "test.db"))
}

func openMemory(t testing.TB) *Conn {
	t.Helper()
	return openFile(t, ":memory:")
}

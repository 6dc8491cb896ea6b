package sqlite3

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// TestMain switches SQLite's statistics of memory on, for the tests that
// look for leaks. It costs time and may only be done before the first open.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		tls := libc.NewTLS()
		args := libc.Xmalloc(tls, 8)
		if rc := lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_MEMSTATUS, libc.VaList(args, int32(1))); rc != lib.SQLITE_OK {
			panic(rc)
		}
		libc.Xfree(tls, args)
		tls.Close()
	}
	os.Exit(m.Run())
}

func memoryUsed() int64 {
	tls := libc.NewTLS()
	defer tls.Close()
	return int64(lib.Xsqlite3_memory_used(tls))
}

func TestNoLeak(t *testing.T) {
	if memoryUsed() == 0 {
		c := openMemory(t)
		defer c.Close()
		if memoryUsed() == 0 {
			t.Skip("statistics are off")
		}
	}
	path := filepath.Join(t.TempDir(), "test.db")
	before := memoryUsed()
	var warm int64
	c, err := Open(path, ReadWriteCreate)
	must(t, err)
	must(t, c.Exec("PRAGMA journal_mode = WAL; CREATE TABLE t(k UNIQUE, v)"))
	c.SetBusyHandler(func(int) bool { return false })
	c.SetWALHook(func(int) {})
	s := prepare(t, c, "INSERT INTO t VALUES (?, ?) ON CONFLICT DO UPDATE SET v = excluded.v")
	for i := range 10000 {
		s.BindInt(1, int64(i%10))
		s.BindBlob(2, make([]byte, i%1000))
		if i%1000 == 0 {
			s.BindBlob(2, make([]byte, 2*keepBuffer))
		}
		must(t, s.Run())
		if i%100 == 0 {
			if _, err := c.Prepare("SELEKT"); err == nil {
				t.Fatal("no error")
			}
			s.BindInt(3, 1)
			if s.Run() == nil {
				t.Fatal("no error")
			}
			prepare(t, c, "SELECT ?").Finalize()
		}
		if i == 2000 {
			c.ReleaseMemory()
			warm = memoryUsed()
		}
	}
	c.ReleaseMemory()
	if now := memoryUsed(); now > warm+keepBuffer {
		t.Errorf("%d bytes after 2,000 executions, %d after 10,000", warm, now)
	}
	must(t, c.Close())
	if now := memoryUsed(); now != before {
		t.Errorf("%d bytes before Open, %d after Close", before, now)
	}
	if n := len(conns.m); n != 0 {
		t.Errorf("%d connections are registered", n)
	}
	if c, err := Open(t.TempDir(), ReadWrite); err == nil {
		must(t, c.Close())
		t.Error("a folder was opened")
	}
	if now := memoryUsed(); now != before {
		t.Errorf("%d bytes before, %d after a failed Open", before, now)
	}
}

func TestOpenFlags(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	if _, err := Open(path, ReadWrite); !IsCantOpen(err) || !errors.Is(err, os.ErrNotExist) && runtime.GOOS != "windows" {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open(path+"\x00", ReadWrite); err == nil {
		t.Error("a NUL was taken")
	}
	c := openFile(t, path)
	must(t, c.Exec("CREATE TABLE t(a)"))
	if got := c.filename(); got != path {
		t.Errorf("Filename %q, want %q", got, path)
	}
	r, err := Open(path, ReadOnly)
	must(t, err)
	defer r.Close()
	if err := r.Exec("INSERT INTO t VALUES (1)"); !IsReadOnly(err) {
		t.Errorf("got %v", err)
	}
	if runtime.GOOS == "windows" {
		return // no file can be called what follows
	}
	// Names are not URIs.
	t.Chdir(t.TempDir())
	u, err := Open("file:x?mode=memory", ReadWriteCreate)
	must(t, err)
	defer u.Close()
	if got := filepath.Base(u.filename()); got != "file:x?mode=memory" {
		t.Errorf("Filename %q", got)
	}
}

func TestClose(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "test.db"), ReadWriteCreate)
	must(t, err)
	must(t, c.Exec("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES (1)"))
	s := prepare(t, c, "SELECT a FROM t")
	if row, err := s.Step(); !row || err != nil {
		t.Fatal(row, err)
	}
	path := c.filename()
	must(t, c.Close())
	must(t, c.Close())
	c.SetInterrupt(func() error { return nil })
	c.SetBusyHandler(nil)
	c.SetWALHook(nil)
	c.ReleaseMemory()
	if c.Exec("SELECT 1") == nil || !c.AutoCommit() || c.filename() != "" {
		t.Error("a closed connection works")
	}
	if _, err := c.Prepare("SELECT 1"); err == nil {
		t.Error("a closed connection works")
	}
	if _, err := s.Step(); err == nil {
		t.Error("a statement works")
	}
	again := openFile(t, path)
	if row, err := prepare(t, again, "SELECT a FROM t").Step(); row || err != nil {
		t.Error("the open transaction was not rolled back", err)
	}
}

func TestAutoCommit(t *testing.T) {
	c := openMemory(t)
	for _, v := range []struct {
		sql  string
		want bool
	}{{"SELECT 1", true}, {"BEGIN", false}, {"SELECT 1", false}, {"COMMIT", true}} {
		must(t, c.Exec(v.sql))
		if c.AutoCommit() != v.want {
			t.Errorf("after %s: %v", v.sql, !v.want)
		}
	}
}

func TestErrors(t *testing.T) {
	c := openTemp(t)
	must(t, c.Exec("CREATE TABLE t(secret UNIQUE); PRAGMA max_page_count = 4"))
	s := prepare(t, c, "INSERT INTO t VALUES (?)")
	for range 2 {
		s.BindText(1, "confidential")
		if err := s.Run(); err != nil {
			wantCode(t, err, lib.SQLITE_CONSTRAINT|8<<8)
			if !IsConstraint(err) || IsBusy(err) || strings.Contains(err.Error(), "confidential") {
				t.Errorf("got %v", err)
			}
		}
	}
	s.BindBlob(1, make([]byte, 100000))
	if err := s.Run(); !IsFull(err) {
		t.Errorf("got %v", err)
	}
	for errno, want := range map[syscall.Errno]bool{syscall.ENOSPC: runtime.GOOS != "windows", syscall.EIO: false} {
		err := error(&Error{Code: lib.SQLITE_IOERR | 3<<8, Errno: errno})
		if IsFull(err) != want || !errors.Is(err, errno) {
			t.Errorf("%v: IsFull is %v", err, !want)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.db")
	must(t, os.WriteFile(bad, []byte(strings.Repeat("no database ", 1000)), 0o600))
	if err := openFile(t, bad).Exec("SELECT * FROM sqlite_schema"); !IsCorrupt(err) {
		t.Errorf("got %v", err)
	}
	if IsFull(nil) || IsBusy(nil) || IsFull(errors.New("x")) {
		t.Error("nil is an error")
	}
}

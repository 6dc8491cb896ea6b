package sqlite3

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// powerless returns a copy of a database as it is found when nobody has it open
// any more, and its log is still there.
func powerless(t *testing.T, path string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if suffix != "" && errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(t, err)
		must(t, os.WriteFile(copied+suffix, b, 0o600))
	}
	return copied
}

// rowsIn opens the database and returns the number of rows, after a check.
func rowsIn(t *testing.T, path string) (n int64) {
	t.Helper()
	c, err := Open(path, ReadWrite)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	for _, q := range []string{"PRAGMA integrity_check", "SELECT count(*) FROM t"} {
		s := prepare(t, c, q)
		if _, err := s.Step(); err != nil {
			t.Fatal(err)
		}
		if n = s.ColumnInt(0); q[0] == 'P' && s.ColumnText(0) != "ok" {
			t.Fatal(s.ColumnText(0))
		}
	}
	return n
}

func mark(i int) []byte { return fmt.Appendf(nil, "mark-%04d-mark", i) }

// logged makes a database with a row from each of n transactions in its log,
// and before that some in the database itself.
func logged(t *testing.T, pageSize, n int) (*Conn, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	c := openFile(t, path)
	must(t, c.Exec(fmt.Sprintf("PRAGMA page_size = %d; PRAGMA journal_mode = wal; CREATE TABLE t (a, b)", pageSize)))
	for range 20 {
		must(t, c.Exec("INSERT INTO t VALUES ('old', randomblob(900))"))
	}
	if _, _, err := c.Checkpoint(Truncate); err != nil {
		t.Fatal(err)
	}
	c.SetAutoCheckpointOff()
	for i := range n {
		must(t, c.Exec(fmt.Sprintf("INSERT INTO t VALUES ('%s', randomblob(900))", mark(i))))
	}
	return c, path
}

func TestCutLog(t *testing.T) {
	for _, pageSize := range []int{512, 4096, 65536} {
		_, path := logged(t, pageSize, 30)
		for _, i := range []int{0, 1, 17, 29} {
			copied := powerless(t, path)
			cut, err := CutLog(copied, mark(i))
			if !cut || err != nil {
				t.Fatalf("pages of %d: not cut before %d: %v", pageSize, i, err)
			}
			if n := rowsIn(t, copied); n != int64(20+i) {
				t.Errorf("pages of %d: %d rows after a cut before %d", pageSize, n-20, i)
			}
		}
		// What follows a cut is a log like any other.
		copied := powerless(t, path)
		if cut, err := CutLog(copied, mark(20)); !cut || err != nil {
			t.Fatal(cut, err)
		}
		c, err := Open(copied, ReadWrite)
		must(t, err)
		must(t, c.Exec("INSERT INTO t VALUES ('new', randomblob(2000))"))
		again := powerless(t, copied)
		must(t, c.Close())
		for _, path := range []string{copied, again} {
			if n := rowsIn(t, path); n != 41 {
				t.Errorf("%d rows", n)
			}
		}
	}
}

// TestCutLogTail cuts a log whose last frames were torn off.
func TestCutLogTail(t *testing.T) {
	_, path := logged(t, 4096, 10)
	copied := powerless(t, path)
	info, err := os.Stat(copied + "-wal")
	must(t, err)
	for size := info.Size(); size > info.Size()/2; size -= 1000 {
		copied := powerless(t, path)
		must(t, os.Truncate(copied+"-wal", size))
		cut, err := CutLog(copied, mark(2))
		if !cut || err != nil {
			t.Fatal(size, cut, err)
		}
		if n := rowsIn(t, copied); n != 22 {
			t.Fatal(size, n)
		}
		copied = powerless(t, path)
		must(t, os.Truncate(copied+"-wal", size))
		if cut, err := CutLog(copied, []byte("in no page")); cut || err != nil {
			t.Fatal(cut, err)
		}
	}
}

// TestCutLogNot leaves the log alone where that must not be cut.
func TestCutLogNot(t *testing.T) {
	c, path := logged(t, 4096, 10)
	if cut, err := CutLog(path, mark(3)); cut || !IsBusy(err) {
		t.Errorf("somebody has the database open: %v, %v", cut, err)
	}
	for _, name := range []string{"in no page", "old"} {
		copied := powerless(t, path)
		if cut, err := CutLog(copied, []byte(name)); cut != (name == "old") || err != nil {
			t.Errorf("%s: %v, %v", name, cut, err)
		}
	}
	// A checkpoint has copied the first transactions.
	reader := openFile(t, path)
	must(t, reader.Exec("BEGIN; SELECT * FROM t LIMIT 1"))
	for i := 10; i < 20; i++ {
		must(t, c.Exec(fmt.Sprintf("INSERT INTO t VALUES ('%s', randomblob(900))", mark(i))))
	}
	if log, done, err := c.Checkpoint(Passive); err != nil || done == 0 || done == log {
		t.Fatal(log, done, err)
	}
	must(t, reader.Exec("COMMIT"))
	for i := range 20 {
		copied := powerless(t, path)
		cut, err := CutLog(copied, mark(i))
		want := int64(40)
		if cut {
			want = int64(20 + i)
		}
		// The page of the last that were copied is one of later ones too, and
		// was not copied for that.
		if err != nil || cut && i < 8 || !cut && i >= 10 {
			t.Errorf("%d: %v, %v", i, cut, err)
		}
		if n := rowsIn(t, copied); n != want {
			t.Errorf("%d rows after a cut before %d", n-20, i)
		}
	}
}

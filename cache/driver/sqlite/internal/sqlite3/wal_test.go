package sqlite3

import (
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	lib "modernc.org/sqlite/lib"
)

func openWAL(t testing.TB, path string) *Conn {
	t.Helper()
	c := openFile(t, path)
	must(t, c.Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"))
	return c
}

func TestBusyHandler(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	a, b := openWAL(t, path), openWAL(t, path)
	must(t, a.Exec("CREATE TABLE t(v); BEGIN IMMEDIATE"))

	if err := b.Exec("BEGIN IMMEDIATE"); !IsBusy(err) {
		t.Errorf("without a handler: %v", err)
	}
	var counts []int
	b.SetBusyHandler(func(count int) bool {
		counts = append(counts, count)
		return count < 3
	})
	if err := b.Exec("BEGIN IMMEDIATE"); !IsBusy(err) {
		t.Errorf("a handler that gave up: %v", err)
	}
	if want := []int{0, 1, 2, 3}; !slices.Equal(counts, want) {
		t.Errorf("called with %v", counts)
	}
	b.SetBusyHandler(func(count int) bool {
		if count == 5 {
			must(t, a.Exec("COMMIT"))
		}
		return true
	})
	must(t, b.Exec("BEGIN IMMEDIATE; COMMIT"))

	must(t, a.Exec("BEGIN IMMEDIATE"))
	b.SetBusyHandler(nil)
	if err := b.Exec("BEGIN IMMEDIATE"); !IsBusy(err) || IsBusySnapshot(err) {
		t.Errorf("the handler was removed: %v", err)
	}
	must(t, a.Exec("COMMIT; BEGIN; SELECT * FROM t"))
	must(t, b.Exec("INSERT INTO t VALUES (1)"))
	if err := a.Exec("INSERT INTO t VALUES (1)"); !IsBusySnapshot(err) || !IsBusy(err) {
		t.Errorf("a reader that writes: %v", err)
	}
}

func TestTwoConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	w, r := openWAL(t, path), openWAL(t, path)
	must(t, w.Exec("CREATE TABLE t(v)"))
	count := prepare(t, r, "SELECT count(*) FROM t")
	rows := func() int64 {
		t.Helper()
		row, err := count.Step()
		if err != nil || !row {
			t.Fatal(row, err)
		}
		defer count.Reset()
		return count.ColumnInt(0)
	}
	must(t, w.Exec("BEGIN; INSERT INTO t VALUES (1)"))
	if n := rows(); n != 0 {
		t.Errorf("%d rows are seen before the commit", n)
	}
	must(t, w.Exec("COMMIT"))
	if n := rows(); n != 1 {
		t.Errorf("%d rows are seen after the commit", n)
	}
	must(t, r.Exec("BEGIN"))
	rows()
	must(t, w.Exec("INSERT INTO t VALUES (2)"))
	if n := rows(); n != 1 {
		t.Errorf("the snapshot has %d rows", n)
	}
	must(t, r.Exec("COMMIT"))
	if n := rows(); n != 2 {
		t.Errorf("%d rows after the snapshot", n)
	}
}

func TestWALHookAndCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	w := openWAL(t, path)
	if log, done, err := openMemory(t).Checkpoint(Passive); log != -1 || done != -1 || err != nil {
		t.Error("no WAL:", log, done, err)
	}
	frames, calls := 0, 0
	w.SetWALHook(func(n int) { frames, calls = n, calls+1 })
	must(t, w.Exec("CREATE TABLE t(v); INSERT INTO t VALUES (1)"))
	if calls != 2 || frames < 2 {
		t.Fatalf("%d calls, %d frames", calls, frames)
	}
	log, done, err := w.Checkpoint(Passive)
	if log != frames || done != frames || err != nil {
		t.Error(log, done, err)
	}

	// No commit checkpoints any more.
	ins := prepare(t, w, "INSERT INTO t VALUES (?)")
	for range 600 {
		ins.BindBlob(1, make([]byte, 8000))
		must(t, ins.Run())
	}
	if frames < 1100 {
		t.Errorf("%d frames", frames)
	}

	r := openWAL(t, path)
	must(t, r.Exec("BEGIN; SELECT * FROM t"))
	must(t, w.Exec("INSERT INTO t VALUES (1)"))
	log, done, err = w.Checkpoint(Truncate)
	if !IsBusy(err) || log != frames || done >= log || done <= 0 {
		t.Error(log, done, err)
	}
	must(t, r.Exec("COMMIT"))
	log, done, err = w.Checkpoint(Truncate)
	if log != 0 || done != 0 || err != nil {
		t.Error(log, done, err)
	}
	calls = 0
	w.SetWALHook(nil)
	must(t, w.Exec("INSERT INTO t VALUES (1)"))
	if calls != 0 {
		t.Error("the hook was not removed")
	}
	w.SetAutoCheckpointOff()
}

func TestBackup(t *testing.T) {
	src, dst := openTemp(t), openTemp(t)
	must(t, src.Exec("CREATE TABLE t(v); WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x+1 FROM c LIMIT 2000) INSERT INTO t SELECT zeroblob(100) FROM c"))
	must(t, dst.Exec("CREATE TABLE other(v)"))

	last, calls := 1<<30, 0
	stop := misuse("test", "stop")
	if err := src.Backup(dst, 1, func(int, int) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	must(t, dst.Exec("SELECT * FROM other"))
	must(t, src.Backup(dst, 5, func(remaining, total int) error {
		if remaining >= last || remaining > total {
			t.Errorf("%d of %d pages after %d", remaining, total, last)
		}
		last = remaining
		calls++
		return nil
	}))
	if calls < 5 {
		t.Errorf("%d calls", calls)
	}
	s := prepare(t, dst, "SELECT count(*), sum(length(v)) FROM t")
	if row, err := s.Step(); !row || err != nil || s.ColumnInt(0) != 2000 || s.ColumnInt(1) != 200000 {
		t.Error(row, err, s.ColumnInt(0), s.ColumnInt(1))
	}
	s.Reset()

	must(t, dst.Exec("BEGIN IMMEDIATE"))
	if err := src.Backup(dst, 0, nil); err == nil {
		t.Error("a destination with a transaction was taken")
	}
	must(t, dst.Exec("COMMIT"))
	must(t, src.Backup(dst, 0, nil))
}

// Every connection counts up in transactions of its own, and all of them
// end in the sum.
func TestManyConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	must(t, openWAL(t, path).Exec("CREATE TABLE t(n); INSERT INTO t VALUES (0)"))
	const conns, each = 8, 50
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			if err := countUp(path, each); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := prepare(t, openFile(t, path), "SELECT n FROM t")
	if _, err := s.Step(); err != nil || s.ColumnInt(0) != conns*each {
		t.Errorf("%d, %v; want %d", s.ColumnInt(0), err, conns*each)
	}
}

func countUp(path string, times int) (err error) {
	c, err := Open(path, ReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	c.SetBusyHandler(func(int) bool { runtime.Gosched(); return true })
	c.SetWALHook(func(int) {})
	if err := c.Exec("PRAGMA synchronous = OFF"); err != nil {
		return err
	}
	var stmts [4]*Stmt
	for i, sql := range []string{"BEGIN IMMEDIATE", "SELECT n FROM t", "UPDATE t SET n = ?", "COMMIT"} {
		if stmts[i], err = c.Prepare(sql); err != nil {
			return err
		}
	}
	begin, read, write, commit := stmts[0], stmts[1], stmts[2], stmts[3]
	for range times {
		if err := begin.Run(); err != nil {
			return err
		}
		if _, err := read.Step(); err != nil {
			return err
		}
		write.BindInt(1, read.ColumnInt(0)+1)
		read.Reset()
		if err := write.Run(); err != nil {
			return err
		}
		if err := commit.Run(); err != nil {
			return err
		}
	}
	return nil
}

func TestErrorTexts(t *testing.T) {
	e := &Error{Code: lib.SQLITE_BUSY, Op: "step", Msg: "database is locked"}
	if got := e.Error(); got != "sqlite: step: database is locked (5)" {
		t.Error(got)
	}
}

//go:build unix

package sqlite3

import (
	"path/filepath"
	"testing"
)

// TestUnlockHook: the hook runs once for each transaction that could write,
// when what it committed is in the index and nobody else can have written.
func TestUnlockHook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	w := openFile(t, path)
	must(t, w.Exec("PRAGMA journal_mode = WAL; CREATE TABLE t(v)"))
	h := w.WALIndexHeader()
	other, err := Open(path, ReadWrite|DefaultVFS)
	must(t, err)
	defer other.Close()

	var calls int
	var seen uint32
	w.SetUnlockHook(func() {
		calls++
		seen = h.Change()
		if err := other.Exec("BEGIN IMMEDIATE"); !IsBusy(err) {
			t.Error("the write lock is not held:", err)
		}
	})
	for _, c := range []struct {
		sql     string
		commits uint32
		calls   int
	}{
		{"BEGIN IMMEDIATE; INSERT INTO t VALUES (1); COMMIT", 1, 1},
		{"INSERT INTO t VALUES (1)", 1, 1},
		{"BEGIN IMMEDIATE; COMMIT", 0, 1},
		{"BEGIN IMMEDIATE; INSERT INTO t VALUES (1); ROLLBACK", 0, 1},
		{"SELECT * FROM t", 0, 0},
	} {
		before := h.Change()
		calls, seen = 0, before
		must(t, w.Exec(c.sql))
		if calls != c.calls || seen != before+c.commits {
			t.Errorf("%s: %d calls, which saw %d commits", c.sql, calls, seen-before)
		}
	}
	calls = 0
	must(t, other.Exec("INSERT INTO t VALUES (1)"))
	w.SetUnlockHook(nil)
	must(t, w.Exec("INSERT INTO t VALUES (1)"))
	if calls != 0 {
		t.Error("called for another connection, or after the hook was removed")
	}
}

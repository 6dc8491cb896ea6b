package sqlite3

import (
	"testing"

	lib "modernc.org/sqlite/lib"
)

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	e, ok := err.(*Error)
	if !ok || e.Code != code {
		t.Fatalf("got %v, want code %d", err, code)
	}
}

func TestPrepareTakesOneStatement(t *testing.T) {
	c := openMemory(t)
	for _, sql := range []string{"SELECT 1", "SELECT 1;", " SELECT 1 ; \n"} {
		prepare(t, c, sql).Finalize()
	}
	for _, sql := range []string{"", " -- nothing", "SELECT 1; SELECT 2", "SELECT 1\x00"} {
		if _, err := c.Prepare(sql); err == nil {
			t.Errorf("%q was prepared", sql)
		}
	}
	_, err := c.Prepare("SELEKT 1")
	wantCode(t, err, lib.SQLITE_ERROR)
	if n := len(c.stmts); n != 0 {
		t.Errorf("%d statements are left", n)
	}
}

func TestBindErrorsComeWithStep(t *testing.T) {
	c := openMemory(t)
	s := prepare(t, c, "SELECT ?")
	for _, i := range []int{-1, 0, 2} {
		s.BindInt(i, 1)
		_, err := s.Step()
		wantCode(t, err, lib.SQLITE_RANGE)
		s.Reset()
	}
	s.BindText(1, "a")
	if row, err := s.Step(); !row || err != nil {
		t.Fatal(row, err)
	}
	s.BindText(1, "b") // while it runs
	if got := s.ColumnText(0); got != "a" {
		t.Errorf("the row has %q", got)
	}
	_, err := s.Step()
	wantCode(t, err, lib.SQLITE_MISUSE)
	s.Reset()
	s.BindText(1, "c")
	if row, err := s.Step(); !row || err != nil || s.ColumnText(0) != "c" {
		t.Fatal(row, err)
	}

	c.limit(lib.SQLITE_LIMIT_LENGTH, 1000)
	s.Reset()
	s.BindBlob(1, make([]byte, 2000))
	_, err = s.Step()
	wantCode(t, err, lib.SQLITE_TOOBIG)
}

func TestStepStopsAtTheEnd(t *testing.T) {
	c := openMemory(t)
	must(t, c.Exec("CREATE TABLE t(v UNIQUE)"))
	s := prepare(t, c, "INSERT INTO t VALUES (?)")
	for range 3 {
		if row, err := s.Step(); row || err != nil {
			t.Fatal(row, err)
		}
	}
	if n := c.TotalChanges(); n != 1 {
		t.Fatalf("%d rows were inserted", n)
	}
	s.Reset()
	s.BindInt(1, 7)
	must(t, s.Run())
	s.BindInt(1, 7)
	for range 2 {
		if _, err := s.Step(); !IsConstraint(err) {
			t.Fatalf("got %v", err)
		}
	}
	s.Reset()
	s.BindInt(1, 8)
	must(t, s.Run())
}

func TestSchemaChangeKeepsBindings(t *testing.T) {
	c := openMemory(t)
	must(t, c.Exec("CREATE TABLE t(a)"))
	s := prepare(t, c, "SELECT ?1, count(*) FROM t")
	s.BindText(1, "kept")
	must(t, c.Exec("ALTER TABLE t ADD COLUMN b; CREATE INDEX i ON t(b)"))
	if row, err := s.Step(); !row || err != nil || s.ColumnText(0) != "kept" {
		t.Fatal(row, err, s.ColumnText(0))
	}
}

func TestUseAfterFinalize(t *testing.T) {
	c := openMemory(t)
	s := prepare(t, c, "SELECT ?")
	s.Finalize()
	s.Finalize()
	s.BindText(1, "x")
	_, err := s.Step()
	wantCode(t, err, lib.SQLITE_MISUSE)
	s.Reset()
	_, err = s.Step()
	wantCode(t, err, lib.SQLITE_MISUSE)
	if !s.ColumnValue(0).IsNull() || s.ColumnText(0) != "" || s.ColumnCount() != 0 {
		t.Error("a finalized statement has a row")
	}
}

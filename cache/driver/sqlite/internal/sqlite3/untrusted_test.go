package sqlite3

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A statement that is interrupted fails with the cause, and the next one runs.
func TestInterrupt(t *testing.T) {
	const endless = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x+1 FROM c) "
	for _, sql := range []string{
		endless + "SELECT x FROM c",
		endless + "SELECT count(*) FROM c",
		endless + "INSERT INTO t SELECT x FROM c",
		endless + "UPDATE t SET a = (SELECT max(x) FROM c)",
		"DELETE FROM t WHERE a IN (" + endless + "SELECT x FROM c)",
		"SELECT 1 FROM t ORDER BY a * (SELECT count(*) FROM (" + endless + "SELECT x FROM c))",
	} {
		c := openTemp(t)
		must(t, c.Exec("CREATE TABLE t(a); INSERT INTO t VALUES (1)"))
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		calls := 0
		c.SetInterrupt(func() error {
			if calls++; calls == 3 {
				cancel(cause)
			}
			return context.Cause(ctx)
		})
		s := prepare(t, c, sql)
		err := s.Run()
		if !IsInterrupt(err) || !errors.Is(err, cause) {
			t.Errorf("%s: %v", sql, err)
		}
		c.SetInterrupt(nil)
		must(t, c.Exec("SELECT count(*) FROM t"))
	}
}

// A short statement is not interrupted, and asks nobody.
func TestInterruptShort(t *testing.T) {
	c := openTemp(t)
	must(t, c.Exec("CREATE TABLE t(a PRIMARY KEY); INSERT INTO t VALUES (1)"))
	calls := 0
	c.SetInterrupt(func() error { calls++; return nil })
	s := prepare(t, c, "SELECT a FROM t WHERE a = 1")
	for range 100 {
		must(t, s.Run())
	}
	if calls > 1 {
		t.Errorf("%d calls in 100 lookups", calls)
	}
}

// What is in a database that anybody may have written does not run.
func TestDistrust(t *testing.T) {
	c := openTemp(t)
	must(t, c.Exec(`
		CREATE TABLE t(a);
		CREATE TABLE p(a PRIMARY KEY); INSERT INTO p VALUES (1);
		CREATE TABLE child(a REFERENCES p ON DELETE CASCADE); INSERT INTO child VALUES (1);
		CREATE VIEW v AS SELECT 1;
		CREATE VIRTUAL TABLE f USING fts5(a);
		CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO child VALUES (2); END;
		CREATE TABLE deep(a);
		CREATE TRIGGER d1 AFTER INSERT ON deep BEGIN UPDATE deep SET a = 1; END;
		CREATE TRIGGER d2 AFTER UPDATE ON deep BEGIN DELETE FROM deep; END;
		CREATE TRIGGER d3 AFTER DELETE ON deep BEGIN INSERT INTO t VALUES (1); END;`))
	must(t, c.Distrust())
	for sql, want := range map[string]string{
		"SELECT * FROM v":                                        "access to view",
		"UPDATE sqlite_schema SET sql = ''":                      "may not be modified",
		"PRAGMA writable_schema = on; DELETE FROM sqlite_schema": "may not be modified",
		"DELETE FROM f_data":                                     "may not be modified",
		"SELECT load_extension('x')":                             "not authorized",
		"INSERT INTO deep VALUES (1)":                            "nested too deep",
		"SELECT '" + strings.Repeat("x", 1<<20) + "'":            "too big",
	} {
		err := c.Exec(sql)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", sql, err, want)
		}
	}
	must(t, c.Exec("INSERT INTO t VALUES (1); DELETE FROM p"))
	s := prepare(t, c, "SELECT count(*) FROM child")
	if _, err := s.Step(); err != nil || s.ColumnInt(0) != 2 {
		t.Errorf("%d rows, want that of the trigger and that which no foreign key removes (%v)", s.ColumnInt(0), err)
	}
	s.Reset()
	must(t, c.Exec("VACUUM; REINDEX; PRAGMA integrity_check"))
}

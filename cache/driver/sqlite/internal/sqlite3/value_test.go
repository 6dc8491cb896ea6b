package sqlite3

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
)

func values() []codec.Value {
	big := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	return []codec.Value{
		{},
		codec.IntegerValue(0),
		codec.IntegerValue(math.MaxInt64),
		codec.IntegerValue(math.MinInt64),
		codec.RealValue(0.1),
		codec.RealValue(math.Inf(-1)),
		codec.RealValue(math.MaxFloat64),
		codec.TextValue(""),
		codec.TextValue("grüße, 世界"),
		codec.TextValue("a\x00b\x00"),
		codec.TextValue("\xff not UTF-8"),
		codec.TextValue(strings.Repeat("t", keepBuffer+1)),
		codec.BlobValue(nil),
		codec.BlobValue([]byte{0}),
		codec.BlobValue([]byte("a\x00b\xff")),
		codec.BlobValue(big),
	}
}

func TestValuesRoundTrip(t *testing.T) {
	c := openTemp(t)
	must(t, c.Exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"))
	ins := prepare(t, c, "INSERT INTO t(v) VALUES (?)")
	sel := prepare(t, c, "SELECT v, typeof(v), length(CAST(v AS BLOB)) FROM t WHERE id = ?")
	direct := prepare(t, c, "SELECT ?1")
	for i, v := range values() {
		ins.BindValue(1, v)
		must(t, ins.Run())
		if got := c.LastInsertRowID(); got != int64(i+1) {
			t.Fatalf("rowid %d, want %d", got, i+1)
		}
		sel.BindInt(1, int64(i+1))
		if row, err := sel.Step(); err != nil || !row {
			t.Fatal(row, err)
		}
		got := sel.ColumnValue(0)
		typ := sel.ColumnText(1)
		if v.Kind() == codec.Text || v.Kind() == codec.Blob {
			if n := sel.ColumnInt(2); n != int64(v.Len()) {
				t.Errorf("value %d: length %d, want %d", i, n, v.Len())
			}
		}
		sel.Reset()
		// The copy must outlive the row.
		direct.BindText(1, "something else")
		must(t, direct.Run())
		if got.Kind() != v.Kind() || typ != v.Kind().String() || !codec.Equal(got, v) {
			t.Errorf("value %d: got %v (%s), want %v", i, got.Kind(), typ, v.Kind())
		}

		direct.BindValue(1, v)
		if row, err := direct.Step(); err != nil || !row {
			t.Fatal(row, err)
		}
		if got := direct.ColumnValue(0); got.Kind() != v.Kind() || !codec.Equal(got, v) {
			t.Errorf("value %d, not stored: got %v, want %v", i, got.Kind(), v.Kind())
		}
		direct.Reset()
	}
}

// What Value.String returns is a literal of the same value.
func TestLiterals(t *testing.T) {
	c := openMemory(t)
	for i, v := range values() {
		if strings.Contains(v.Text(), "\x00") || v.Len() > 1<<20 { // no statement can have it
			continue
		}
		s := prepare(t, c, "SELECT "+v.String())
		if row, err := s.Step(); err != nil || !row {
			t.Fatal(row, err)
		}
		if got := s.ColumnValue(0); got.Kind() != v.Kind() || !codec.Equal(got, v) {
			t.Errorf("value %d: got %v, want %v", i, got, v)
		}
		s.Finalize()
	}
}

func TestNullAndMissingColumns(t *testing.T) {
	c := openMemory(t)
	s := prepare(t, c, "SELECT NULL, x'', ''")
	if row, err := s.Step(); !row || err != nil {
		t.Fatal(row, err)
	}
	if b := s.ColumnBlob(0); b != nil {
		t.Errorf("NULL is %v", b)
	}
	if b := s.ColumnBlob(1); b == nil || len(b) != 0 {
		t.Errorf("an empty blob is %#v", b)
	}
	if s.ColumnText(0) != "" || s.ColumnInt(0) != 0 || s.ColumnReal(0) != 0 {
		t.Error("NULL is not zero")
	}
	if n := s.ColumnCount(); n != 3 {
		t.Errorf("%d columns", n)
	}
	for _, i := range []int{-1, 3} {
		if !s.ColumnValue(i).IsNull() {
			t.Errorf("column %d is not NULL", i)
		}
	}
}

func TestBindNaNIsNull(t *testing.T) {
	c := openMemory(t)
	s := prepare(t, c, "SELECT ?")
	s.BindReal(1, math.NaN())
	if row, err := s.Step(); !row || err != nil {
		t.Fatal(row, err)
	}
	if !s.ColumnValue(0).IsNull() {
		t.Error("NaN is not NULL")
	}
}

// What was bound belongs to the statement: neither a change of the caller's
// bytes nor another bind of the same execution may show.
func TestBoundBytesAreCopied(t *testing.T) {
	c := openMemory(t)
	s := prepare(t, c, "SELECT ?1, ?2")
	for _, n := range []int{0, 1, 63, 64, 65, 1000, keepBuffer, keepBuffer + 1, 3 * keepBuffer, 5} {
		a, b := bytes.Repeat([]byte{'a'}, n), bytes.Repeat([]byte{'b'}, n+1)
		s.BindBlob(1, b)
		s.BindBlob(1, a)
		s.BindBlob(2, b)
		clear(a)
		if row, err := s.Step(); !row || err != nil {
			t.Fatal(row, err)
		}
		if got := s.ColumnBlob(0); len(got) != n || bytes.Count(got, []byte{'a'}) != n {
			t.Errorf("%d bytes: got %d with %d right", n, len(got), bytes.Count(got, []byte{'a'}))
		}
		if got := s.ColumnText(1); got != string(b) {
			t.Errorf("%d bytes: the second is wrong", n)
		}
		s.Reset()
		for i := range s.params {
			if s.params[i].size > keepBuffer {
				t.Errorf("%d bytes are kept", s.params[i].size)
			}
		}
	}
}

func TestResetClearsBindings(t *testing.T) {
	c := openMemory(t)
	s := prepare(t, c, "SELECT ?1, ?2")
	s.BindText(1, "x")
	s.BindInt(2, 1)
	must(t, s.Run())
	s.BindInt(2, 2)
	s.BindNull(2)
	if row, err := s.Step(); !row || err != nil {
		t.Fatal(row, err)
	}
	if !s.ColumnValue(0).IsNull() || !s.ColumnValue(1).IsNull() {
		t.Error("a value is left from the execution before")
	}
}

func TestNoAllocations(t *testing.T) {
	c := openMemory(t)
	must(t, c.Exec("CREATE TABLE t(id INTEGER PRIMARY KEY, k TEXT UNIQUE, v BLOB); INSERT INTO t VALUES (1, 'key', 'v')"))
	s := prepare(t, c, "UPDATE t SET v = ?2 WHERE k = ?1 RETURNING id, length(v)")
	value := make([]byte, 300)
	run := func() {
		s.BindText(1, "key")
		s.BindBlob(2, value)
		for {
			row, err := s.Step()
			must(t, err)
			if !row {
				break
			}
			if s.ColumnInt(1) != 300 || s.ColumnType(0) != codec.Integer {
				t.Fatal("wrong row")
			}
		}
		s.Reset()
	}
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

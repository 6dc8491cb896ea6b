package sqlite3

import (
	"bytes"

	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
	"github.com/go-diskcache/diskcache/codec"
)

// The methods here read the row that the last Step found; columns are
// counted from 0. A column that there is not reads as NULL, and a column of
// another kind is converted by SQLite's rules.

// ColumnCount returns the number of columns of a row.
func (s *Stmt) ColumnCount() int {
	if s.p == 0 {
		return 0
	}
	return int(lib.Xsqlite3_column_count(s.c.tls, s.p))
}

// ColumnType returns the kind of column i. It is undefined after the column
// was read as another kind.
func (s *Stmt) ColumnType(i int) codec.Kind {
	switch lib.Xsqlite3_column_type(s.c.tls, s.p, int32(i)) {
	case lib.SQLITE_INTEGER:
		return codec.Integer
	case lib.SQLITE_FLOAT:
		return codec.Real
	case lib.SQLITE_TEXT:
		return codec.Text
	case lib.SQLITE_BLOB:
		return codec.Blob
	}
	return codec.Null
}

// ColumnInt returns column i as an integer, 0 if it is NULL.
func (s *Stmt) ColumnInt(i int) int64 {
	return int64(lib.Xsqlite3_column_int64(s.c.tls, s.p, int32(i)))
}

// ColumnReal returns column i as a real, 0 if it is NULL.
func (s *Stmt) ColumnReal(i int) float64 {
	return lib.Xsqlite3_column_double(s.c.tls, s.p, int32(i))
}

// ColumnText returns a copy of column i as a text, "" if it is NULL.
func (s *Stmt) ColumnText(i int) string {
	p := lib.Xsqlite3_column_text(s.c.tls, s.p, int32(i))
	n := lib.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	if p == 0 || n == 0 {
		return ""
	}
	return string(cabi.Bytes(p, int(n)))
}

// ColumnBlob returns a copy of column i as a blob: nil if it is NULL, empty
// and not nil if it is empty.
func (s *Stmt) ColumnBlob(i int) []byte {
	// In this order: the length of a text is known only after it became a blob.
	p := lib.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	n := lib.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	if p == 0 || n == 0 {
		if s.ColumnType(i) == codec.Null {
			return nil
		}
		return []byte{}
	}
	b := make([]byte, n)
	copy(b, cabi.Bytes(p, int(n)))
	return b
}

// ColumnValue returns a copy of column i.
func (s *Stmt) ColumnValue(i int) codec.Value {
	switch s.ColumnType(i) {
	case codec.Integer:
		return codec.IntegerValue(s.ColumnInt(i))
	case codec.Real:
		return codec.RealValue(s.ColumnReal(i))
	case codec.Text:
		return codec.TextValue(s.ColumnText(i))
	case codec.Blob:
		return codec.BlobValue(s.ColumnBlob(i))
	}
	return codec.Value{}
}

// ColumnIs reports whether column i equals v as a key does: 1 and 1.0 are
// equal, a text and a blob are not. It allocates nothing.
func (s *Stmt) ColumnIs(i int, v codec.Value) bool {
	kind := s.ColumnType(i)
	switch v.Kind() {
	case codec.Text:
		return kind == codec.Text && string(s.columnBytes(i)) == v.Text()
	case codec.Blob:
		return kind == codec.Blob && bytes.Equal(s.columnBytes(i), v.Blob())
	case codec.Integer, codec.Real:
		return (kind == codec.Integer || kind == codec.Real) && codec.Equal(s.ColumnValue(i), v)
	}
	return kind == codec.Null
}

// columnBytes is SQLite's memory, valid until the next call.
func (s *Stmt) columnBytes(i int) []byte {
	p := lib.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	n := lib.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	if p == 0 {
		return nil
	}
	return cabi.Bytes(p, int(n))
}

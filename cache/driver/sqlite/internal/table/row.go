package table

import (
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/codec"
)

// Value is a value as the columns hold it.
type Value struct {
	Size  int64 // bytes that it adds to the size of the collection
	mode  int64
	file  string
	value codec.Value
}

// DiskCache's modes of a value.
const (
	modeRaw    = 1 // in the column
	modeBinary = 2 // in a file, bytes
	modeText   = 3 // in a file, UTF-8
	modePickle = 4 // Python's pickle, in the column or a file
)

// Inline returns the columns of a value that is kept in the row. DiskCache does
// not count such values.
func Inline(v codec.Value, counted bool) Value {
	s := Value{mode: modeRaw, value: v}
	if counted {
		s.Size = valueSize(v)
	}
	return s
}

// InFile returns the columns of a value that is kept in a file.
func InFile(kind codec.Kind, name string, size int64) Value {
	mode := int64(modeBinary)
	if kind == codec.Text {
		mode = modeText
	}
	return Value{Size: size, mode: mode, file: name}
}

// valueSize returns the bytes that a value counts for.
func valueSize(v codec.Value) int64 {
	switch v.Kind() {
	case codec.Null:
		return 0
	case codec.Text, codec.Blob:
		return int64(v.Len())
	}
	return 8
}

// Bind binds the columns size, mode, filename and value, from parameter i on.
func (v *Value) Bind(s *sqlite3.Stmt, i int) {
	s.BindInt(i, v.Size)
	s.BindInt(i+1, v.mode)
	if v.file != "" {
		s.BindText(i+2, v.file)
		return
	}
	s.BindValue(i+3, v.value)
}

// ReadRow reads the columns of a row, bare or not.
func ReadRow(s *sqlite3.Stmt, r *driver.Row, bare bool) {
	r.ID = s.ColumnInt(0)
	r.Expire = Expire(s, 1)
	mode := s.ColumnInt(2)
	if mode != modeRaw {
		r.ForeignValue = mode == modePickle
		if r.File = s.ColumnText(3); r.File != "" {
			r.FileKind = codec.Blob
			if mode == modeText {
				r.FileKind = codec.Text
			}
			r.Size = s.ColumnInt(9)
		}
	}
	switch {
	case r.File != "":
	case bare:
		r.Size = s.ColumnInt(4)
	default:
		r.Value = s.ColumnValue(4)
		r.Size = valueSize(r.Value)
	}
	r.Stored = driver.Instant(s.ColumnReal(5))
	r.Accessed = driver.Instant(s.ColumnReal(6))
	r.Accesses = s.ColumnInt(7)
	if s.ColumnType(8) != codec.Null {
		r.Tag = s.ColumnValue(8)
	}
}

// Expire reads an expire_time.
func Expire(s *sqlite3.Stmt, i int) driver.Instant {
	if s.ColumnType(i) == codec.Null {
		return 0
	}
	if e := driver.Instant(s.ColumnReal(i)); e > 0 {
		return e
	}
	return driver.At(time.Time{}) // expired before 1970, not "never"
}

// BindInstant binds a time, or NULL for 0.
func BindInstant(s *sqlite3.Stmt, i int, v driver.Instant) {
	if v != 0 {
		s.BindReal(i, float64(v))
	}
}

// Found is what a write wants to know of the row that it is about to change.
type Found struct {
	ID     int64
	Expire driver.Instant
	Stored driver.Instant
	File   string
	Tagged bool
	Exists bool
}

// Read reads the columns that [Find] selects.
func (f *Found) Read(s *sqlite3.Stmt) {
	f.Exists = true
	f.ID = s.ColumnInt(0)
	f.Expire = Expire(s, 1)
	f.Tagged = s.ColumnType(2) != codec.Null
	if s.ColumnType(3) != codec.Null {
		f.File = s.ColumnText(3)
	}
	f.Stored = driver.Instant(s.ColumnReal(4))
}

// ReadRows returns the rows that s reads, whose columns are those of a row, bare or not,
// or none, and then key and raw.
func ReadRows(s *sqlite3.Stmt, bare bool, args ...codec.Value) ([]driver.Row, error) {
	for i, a := range args {
		s.BindValue(i+1, a)
	}
	var out []driver.Row
	raw := s.ColumnCount() - 1
	err := s.Each(func() {
		var r driver.Row
		if raw > 1 {
			ReadRow(s, &r, bare)
		}
		r.Key = s.ColumnValue(raw - 1)
		r.ForeignKey = s.ColumnInt(raw) == 0
		out = append(out, r)
	})
	return out, err
}

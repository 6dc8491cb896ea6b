package sqlite3

import (
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
	"github.com/go-diskcache/diskcache/codec"
)

// keepBuffer is the size up to which the buffer of a parameter is kept from
// one execution to the next.
const keepBuffer = 64 << 10

// param is a parameter of a statement.
//
// SQLite cannot be given the address of Go bytes: nothing would keep them
// alive, they might lie on a stack, which moves, and its code does address
// arithmetic that the race detector's checkptr stops when it meets the Go
// heap. So they are copied into a buffer of C memory that belongs to the
// parameter and is used again and again, and SQLite, told that the bytes are
// static, does not copy them a second time.
type param struct {
	buf  uintptr
	size int
	set  bool // not NULL
}

// bindable returns parameter i, counted from 1, or nil if it cannot be
// bound now; then s.err says why.
func (s *Stmt) bindable(i int) *param {
	switch {
	case s.err != nil:
		return nil
	case s.p == 0:
		s.err = misuse("bind", "the statement is finalized")
		return nil
	case s.running:
		s.err = misuse("bind", "the statement is not reset")
		return nil
	case uint(i-1) >= uint(len(s.params)):
		s.err = &Error{Code: lib.SQLITE_RANGE, Op: "bind", Msg: "no such parameter"}
		return nil
	}
	return &s.params[i-1]
}

func (s *Stmt) bound(rc int32) {
	if rc != lib.SQLITE_OK {
		s.err = s.c.fail("bind", rc)
	}
}

// BindNull sets parameter i to NULL, as it is after Prepare and Reset.
// Parameters are counted from 1.
func (s *Stmt) BindNull(i int) {
	if p := s.bindable(i); p != nil && p.set {
		p.set = false
		s.bound(lib.Xsqlite3_bind_null(s.c.tls, s.p, int32(i)))
	}
}

// BindInt sets parameter i to an integer.
func (s *Stmt) BindInt(i int, v int64) {
	if p := s.bindable(i); p != nil {
		p.set = true
		s.bound(lib.Xsqlite3_bind_int64(s.c.tls, s.p, int32(i), lib.Tsqlite_int64(v)))
	}
}

// BindReal sets parameter i to a real. A NaN is stored as NULL.
func (s *Stmt) BindReal(i int, v float64) {
	if p := s.bindable(i); p != nil {
		p.set = true
		s.bound(lib.Xsqlite3_bind_double(s.c.tls, s.p, int32(i), v))
	}
}

// BindText sets parameter i to a copy of v.
func (s *Stmt) BindText(i int, v string) {
	p := s.bindable(i)
	if p == nil || !s.grow(p, len(v)) {
		return
	}
	copy(cabi.Bytes(p.buf, len(v)), v)
	p.set = true
	s.bound(lib.Xsqlite3_bind_text(s.c.tls, s.p, int32(i), p.buf, int32(len(v)), lib.SQLITE_STATIC))
}

// BindBlob sets parameter i to a copy of v; a nil v is an empty blob, not
// NULL.
func (s *Stmt) BindBlob(i int, v []byte) {
	p := s.bindable(i)
	if p == nil || !s.grow(p, len(v)) {
		return
	}
	copy(cabi.Bytes(p.buf, len(v)), v)
	p.set = true
	s.bound(lib.Xsqlite3_bind_blob(s.c.tls, s.p, int32(i), p.buf, int32(len(v)), lib.SQLITE_STATIC))
}

// BindValue sets parameter i to v.
func (s *Stmt) BindValue(i int, v codec.Value) {
	switch v.Kind() {
	case codec.Integer:
		s.BindInt(i, v.Integer())
	case codec.Real:
		s.BindReal(i, v.Real())
	case codec.Text:
		s.BindText(i, v.Text())
	case codec.Blob:
		s.BindBlob(i, v.Blob())
	default:
		s.BindNull(i)
	}
}

// maxLength is the most bytes SQLite was built to take in a text or a blob.
const maxLength = lib.SQLITE_MAX_LENGTH

// grow makes room for n bytes in p's buffer. There is one even for none: an
// address of zero would mean NULL.
func (s *Stmt) grow(p *param, n int) bool {
	if n <= p.size && p.buf != 0 {
		return true
	}
	if n > maxLength {
		s.err = errTooBig
		return false
	}
	// The old bytes are not wanted, so this is free and malloc, not realloc.
	// Until the new bind replaces it, SQLite has the old address and does
	// not look at it.
	size := max(64, n)
	if n <= keepBuffer {
		size = max(size, min(2*p.size, keepBuffer))
	} else {
		s.large = true
	}
	lib.Xsqlite3_free(s.c.tls, p.buf)
	p.size = size
	if p.buf = lib.Xsqlite3_malloc64(s.c.tls, lib.Tsqlite3_uint64(size)); p.buf == 0 {
		p.size = 0
		s.err = errNoMemory
		return false
	}
	return true
}

// clear sets all parameters to NULL and gives large buffers back.
func (s *Stmt) clear() {
	bound := false
	for i := range s.params {
		bound = bound || s.params[i].set
		s.params[i].set = false
	}
	if bound {
		lib.Xsqlite3_clear_bindings(s.c.tls, s.p)
	}
	if !s.large {
		return
	}
	s.large = false
	for i := range s.params {
		if p := &s.params[i]; p.size > keepBuffer {
			lib.Xsqlite3_free(s.c.tls, p.buf)
			p.buf, p.size = 0, 0
		}
	}
}

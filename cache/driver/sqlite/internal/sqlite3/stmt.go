package sqlite3

import (
	"strings"

	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

// Stmt is a prepared statement. It is used like this:
//
//	s.BindText(1, key)
//	err := s.Each(func() { ... s.ColumnInt(0) ... })
//
// A statement that returned a row and was not reset holds its read
// transaction, and keeps a checkpoint from finishing.
type Stmt struct {
	c      *Conn
	p      uintptr
	params []param

	// err is the first error of a bind or a step; Step returns it until
	// Reset. That leaves one place to look for errors.
	err error

	// running: between the first Step and Reset. SQLite refuses to bind
	// meanwhile, and the bytes it has been given must not change.
	running bool

	// done: there are no more rows. SQLite would run the statement again at
	// the next step, and with it, say, an INSERT.
	done bool

	// large: a parameter's buffer is above keepBuffer.
	large bool
}

// Prepare compiles sql, which must be one statement, to be run many times.
func (c *Conn) Prepare(sql string) (*Stmt, error) {
	if c.db == 0 {
		return nil, misuse("prepare", "the connection is closed")
	}
	p, err := cstring(c.tls, "prepare", sql)
	if err != nil {
		return nil, err
	}
	defer lib.Xsqlite3_free(c.tls, p)

	out := c.scratch + scratchOut
	// PERSISTENT keeps a statement that lives long out of the connection's
	// small pool of fast memory.
	rc := lib.Xsqlite3_prepare_v3(c.tls, c.db, p, int32(len(sql)+1), lib.SQLITE_PREPARE_PERSISTENT, out, out+8)
	s := &Stmt{c: c, p: *cabi.At[uintptr](out)}
	if rc != lib.SQLITE_OK {
		return nil, c.fail("prepare", rc)
	}
	if s.p == 0 {
		return nil, misuse("prepare", "no statement")
	}
	rest := sql[*cabi.At[uintptr](out + 8)-p:]
	if strings.Trim(rest, " \t\r\n;") != "" {
		lib.Xsqlite3_finalize(c.tls, s.p)
		return nil, misuse("prepare", "more than one statement")
	}
	s.params = make([]param, lib.Xsqlite3_bind_parameter_count(c.tls, s.p))
	c.stmts[s] = struct{}{}
	return s, nil
}

// Step runs the statement up to its next row and reports whether there is
// one. After the last row, and after an error, it stays there until the
// statement is reset.
//
// An error of one of the binds before is returned here, and the statement is
// not run.
func (s *Stmt) Step() (row bool, err error) {
	if s.err != nil {
		return false, s.err
	}
	if s.p == 0 {
		return false, misuse("step", "the statement is finalized")
	}
	if s.done {
		return false, nil
	}
	s.running = true
	switch rc := lib.Xsqlite3_step(s.c.tls, s.p); rc {
	case lib.SQLITE_ROW:
		return true, nil
	case lib.SQLITE_DONE:
		s.done = true
		return false, nil
	default:
		s.err = s.c.fail("step", rc)
		return false, s.err
	}
}

// Run runs a statement that returns no rows, or whose rows do not matter, to
// its end and resets it.
func (s *Stmt) Run() error { return s.Each(func() {}) }

// Each calls fn at each row, which reads its columns, and resets the statement.
func (s *Stmt) Each(fn func()) error {
	defer s.Reset()
	for {
		row, err := s.Step()
		if err != nil || !row {
			return err
		}
		fn()
	}
}

// First calls fn at the first row, resets the statement, and reports whether there
// was one.
func (s *Stmt) First(fn func()) (ok bool, err error) {
	defer s.Reset()
	ok, err = s.Step()
	if ok && err == nil {
		fn()
	}
	return ok, err
}

// Reset ends the execution and sets all parameters to NULL. It has nothing
// to report: an error of the execution was returned by Step.
func (s *Stmt) Reset() {
	s.err = nil
	if s.p == 0 {
		return
	}
	lib.Xsqlite3_reset(s.c.tls, s.p)
	s.running, s.done = false, false
	s.clear()
}

// Finalize frees the statement. Doing it twice does nothing.
func (s *Stmt) Finalize() {
	if s.p == 0 {
		return
	}
	lib.Xsqlite3_finalize(s.c.tls, s.p)
	for i := range s.params {
		lib.Xsqlite3_free(s.c.tls, s.params[i].buf)
	}
	s.p, s.params = 0, nil
	delete(s.c.stmts, s)
}

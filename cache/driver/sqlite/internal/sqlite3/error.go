package sqlite3

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Error is an error that SQLite reported. Its text may name tables, columns
// and parts of the SQL, never a bound value.
type Error struct {
	Code  int           // SQLite's extended result code
	Errno syscall.Errno // the system's error behind it, if SQLite knew one
	Msg   string
	Op    string // "open", "prepare", "step", ...
	Cause error  // what the function of SetInterrupt returned
}

// Error returns the operation, SQLite's message and the code.
func (e *Error) Error() string {
	if e.Errno != 0 {
		return fmt.Sprintf("sqlite: %s: %s (%d): %v", e.Op, e.Msg, e.Code, e.Errno)
	}
	return fmt.Sprintf("sqlite: %s: %s (%d)", e.Op, e.Msg, e.Code)
}

// Unwrap returns the system's error, or the cause of an interruption, if there
// is one.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return e.Cause
	}
	return e.Errno
}

// Primary returns the result code without its extension.
func (e *Error) Primary() int { return e.Code & 0xff }

var (
	errNoMemory = &Error{Code: lib.SQLITE_NOMEM, Op: "malloc", Msg: "out of memory"}
	errTooBig   = &Error{Code: lib.SQLITE_TOOBIG, Op: "bind", Msg: "string or blob too big"}
)

func misuse(op, msg string) error {
	return &Error{Code: lib.SQLITE_MISUSE, Op: op, Msg: msg}
}

// fail is the error of the last call on c, which returned rc.
func (c *Conn) fail(op string, rc int32) error {
	e := &Error{Code: int(rc), Op: op}
	// The message and errno belong to the last error that the connection
	// recorded, which is not this one if a call failed before it got there.
	if c.db != 0 && lib.Xsqlite3_extended_errcode(c.tls, c.db) == rc {
		e.Msg = libc.GoString(lib.Xsqlite3_errmsg(c.tls, c.db))
		switch rc & 0xff {
		case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN:
			// With every other code it is left over from an earlier error.
			e.Errno = syscall.Errno(lib.Xsqlite3_system_errno(c.tls, c.db))
		}
	} else {
		e.Msg = libc.GoString(lib.Xsqlite3_errstr(c.tls, rc))
	}
	if rc == lib.SQLITE_INTERRUPT {
		e.Cause, c.cause = c.cause, nil
	}
	return e
}

func isCode(err error, primary ...int) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, p := range primary {
		if e.Primary() == p {
			return true
		}
	}
	return false
}

// IsBusy reports whether err says that another connection holds a lock that
// the operation needs.
func IsBusy(err error) bool { return isCode(err, lib.SQLITE_BUSY, lib.SQLITE_LOCKED) }

// IsFull reports whether err says that the disk, a quota or the database's
// own limit of pages is exhausted.
func IsFull(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Primary() == lib.SQLITE_FULL || e.Primary() == lib.SQLITE_IOERR && osfs.IsFull(e.Errno)
}

// IsCorrupt reports whether err says that the file is damaged or no database.
func IsCorrupt(err error) bool { return isCode(err, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB) }

// IsReadOnly reports whether err says that the database cannot be written.
func IsReadOnly(err error) bool { return isCode(err, lib.SQLITE_READONLY) }

// IsInterrupt reports whether err is the effect of [Conn.SetInterrupt].
func IsInterrupt(err error) bool { return isCode(err, lib.SQLITE_INTERRUPT) }

// IsCantOpen reports whether err says that a file could not be opened.
func IsCantOpen(err error) bool { return isCode(err, lib.SQLITE_CANTOPEN) }

// IsConstraint reports whether err says that a constraint was violated.
func IsConstraint(err error) bool { return isCode(err, lib.SQLITE_CONSTRAINT) }

// MissingTable returns the name of the table that err says does not exist, or
// "". SQLite has no code for it.
func MissingTable(err error) string {
	var e *Error
	if !errors.As(err, &e) || e.Primary() != lib.SQLITE_ERROR {
		return ""
	}
	_, name, _ := strings.Cut(e.Msg, "no such table: ")
	return strings.TrimPrefix(name, "main.")
}

// IsMissing reports whether err says that a table or a column does not exist.
func IsMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Primary() == lib.SQLITE_ERROR && strings.Contains(e.Msg, "no such ")
}

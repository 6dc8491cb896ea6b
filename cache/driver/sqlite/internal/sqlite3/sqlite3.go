// Package sqlite3 is a thin binding of the SQLite library that
// modernc.org/sqlite/lib carries: the C library translated to Go, without
// cgo. It exists because a read through database/sql costs twice as much as
// SQLite itself and leaves garbage behind; here a prepared statement runs
// without allocating anything but the values it returns.
//
// It owns connections and their statements: opening, binding, stepping, columns, hooks,
// backups, checkpoints, and SQLite's errors. It knows nothing of the engine's tables. What
// SQLite does with files is the business of package vfs, through which it opens databases;
// that one knows no connection. The exception is [CutLog], which reads and cuts a WAL through
// the methods of a file that a connection of its own has open.
//
// # Goroutines
//
// A [Conn] and its statements are used by one goroutine at a time; the caller
// sees to it. Different Conns are independent. Hooks run on the goroutine that uses the
// connection, in the midst of SQLite. The one lock here, that of the registry of hooks, is
// held while nothing else is locked or called.
//
// # Memory
//
// SQLite's memory lies outside of the Go heap: nothing that belongs to it is
// found by the garbage collector, so a Conn that is not closed is a leak.
// Nothing that this package returns refers to SQLite's memory, but for
// [Conn.WALIndexHeader].
package sqlite3

import (
	"strings"
	"sync"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

var setup struct {
	once sync.Once
	err  error
}

// prepareProcess configures the library once in a process, before it is
// first used. Another user of modernc.org/sqlite in the same program shares
// that configuration, so nothing is set here that could surprise it.
//
// SQLite's own statistics of memory, which would take a global mutex in
// every malloc, are off in this build already.
func prepareProcess() error {
	setup.once.Do(func() {
		// On linux/arm64 the library has to be told the page size of the
		// kernel, or mapping the WAL-index fails where it is not 4 KiB. Package
		// modernc.org/sqlite does this in its init; we do not import that one.
		lib.PatchIssue199()

		tls := libc.NewTLS()
		defer tls.Close()
		if lib.Xsqlite3_threadsafe(tls) == 0 {
			setup.err = &Error{Code: lib.SQLITE_MISUSE, Op: "initialize", Msg: "SQLite was built without mutexes"}
			return
		}
		if rc := lib.Xsqlite3_initialize(tls); rc != lib.SQLITE_OK {
			setup.err = &Error{Code: int(rc), Op: "initialize", Msg: libc.GoString(lib.Xsqlite3_errstr(tls, rc))}
			return
		}
		vfs.Register(tls, unlocking)
	})
	return setup.err
}

// MaxPath is the length in bytes of the longest path that a database may have:
// the names of the files beside it have to fit, too.
func MaxPath() (int, error) {
	if err := prepareProcess(); err != nil {
		return 0, err
	}
	tls := libc.NewTLS()
	defer tls.Close()
	base := lib.Xsqlite3_vfs_find(tls, 0)
	if base == 0 {
		return 0, &Error{Code: lib.SQLITE_MISUSE, Op: "vfs_find", Msg: "SQLite has no VFS"}
	}
	return int(cabi.At[lib.Tsqlite3_vfs](base).FmxPathname) - len("-journal"), nil
}

// cstring copies s and a closing NUL to C memory, for an operation. The caller frees it.
func cstring(tls *libc.TLS, op, s string) (uintptr, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return 0, misuse(op, "the SQL contains a NUL")
	}
	p := lib.Xsqlite3_malloc64(tls, lib.Tsqlite3_uint64(len(s)+1))
	if p == 0 {
		return 0, errNoMemory
	}
	b := cabi.Bytes(p, len(s)+1)
	copy(b, s)
	b[len(s)] = 0
	return p, nil
}

// Package lite is a thin binding of the SQLite library that
// modernc.org/sqlite/lib carries: the C library translated to Go, without
// cgo. It exists because a read through database/sql costs twice as much as
// SQLite itself and leaves garbage behind; here a prepared statement runs
// without allocating anything but the values it returns.
//
// # Goroutines
//
// A [Conn] and its statements are used by one goroutine at a time; the caller
// sees to it. Different Conns are independent.
//
// # Memory
//
// SQLite's memory lies outside of the Go heap: nothing that belongs to it is
// found by the garbage collector, so a Conn that is not closed is a leak.
// Nothing that this package returns refers to SQLite's memory.
package lite

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
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
		registerVFS(tls)
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
	return int((*lib.Tsqlite3_vfs)(pointer(base)).FmxPathname) - len("-journal"), nil
}

// pointer makes a pointer of an address in C memory. Vet objects to the
// plain conversion because for Go memory it would hide a reference from the
// garbage collector; C memory is not the collector's business.
func pointer(p uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}

// bytesAt is the n bytes of C memory at p. They are valid as long as SQLite
// says.
func bytesAt(p uintptr, n int) []byte {
	return unsafe.Slice((*byte)(pointer(p)), n)
}

// cstring copies s and a closing NUL to C memory. The caller frees it.
func cstring(tls *libc.TLS, s string) (uintptr, error) {
	p := lib.Xsqlite3_malloc64(tls, lib.Tsqlite3_uint64(len(s)+1))
	if p == 0 {
		return 0, errNoMemory
	}
	b := bytesAt(p, len(s)+1)
	copy(b, s)
	b[len(s)] = 0
	return p, nil
}

// function is the address under which translated C code calls f, which must
// be a declared function: a closure would be lost to the garbage collector.
// A function value is one pointer to a code pointer
// (https://go.dev/s/go11func), and that first pointer is what the translated
// code keeps in place of C's function pointers.
func function[F any](f F) uintptr {
	return *(*uintptr)(unsafe.Pointer(&f))
}

// goFunc is the inverse of function.
func goFunc[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

// Signatures of C's function pointers.
type (
	openFunc  = func(tls *libc.TLS, vfs, name, id uintptr, flags int32, out uintptr) int32
	fileFunc  = func(tls *libc.TLS, id uintptr) int32
	flagFunc  = func(tls *libc.TLS, id uintptr, arg int32) int32
	ioFunc    = func(tls *libc.TLS, id, buf uintptr, n int32, off int64) int32
	truncFunc = func(tls *libc.TLS, id uintptr, size int64) int32
	sizeFunc  = func(tls *libc.TLS, id, out uintptr) int32
	lockFunc  = func(tls *libc.TLS, id uintptr, slot, n, flags int32) int32
	mapFunc   = func(tls *libc.TLS, id uintptr, region, size, extend int32, out uintptr) int32
)

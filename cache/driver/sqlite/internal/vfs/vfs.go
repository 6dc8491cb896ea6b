// Package vfs is SQLite's own VFS for Unix with fewer system calls: writes to the WAL are
// buffered up to the commit, and a read lock is released a little later than SQLite says.
// On other systems SQLite's VFS is used as it is.
//
// It owns what SQLite's file objects do with a database and its WAL: the buffer of writes,
// deferred unlocks and the reaper that ends them, the mapping of the WAL-index, and of what
// kind the locks are. It must not know connections, statements or SQL: package sqlite3 opens
// databases through it, and imports it.
//
// # Locks
//
// SQLite calls the methods of a file on the goroutine that uses its connection, and holds no
// mutex of its VFS meanwhile. The state of a file is that goroutine's alone, but for what is
// atomic. shim.mu guards what concerns several files. It comes before SQLite's mutexes: read
// locks of a WAL-index are released with it held.
package vfs

// File is a connection's main database whose unlocks are deferred. It is valid until the
// connection is closed. The zero File is of a connection that does not use this VFS; only
// CallOnUnlock may be called on it.
type File uintptr

// Sizes in a WAL, see https://sqlite.org/walformat.html.
const (
	WALHeaderSize   = 32
	FrameHeaderSize = 24
)

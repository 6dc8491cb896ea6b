//go:build unix

package vfs

import (
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

// walIndexRegion is the size of SQLite's regions of the WAL-index.
const walIndexRegion = 32 << 10

// WALIndexHeader returns the header of the database's WAL-index where SQLite has mapped
// it, or nil if it has not. All files of a database in the process share one mapping, which
// is valid until the last of them is closed.
func (f File) WALIndexHeader(tls *libc.TLS) *WALIndexHeader {
	// Asked for of a file that has no index, SQLite would make one.
	if cabi.At[lib.TunixFile](uintptr(f)).FpShm == 0 {
		return nil
	}
	// SQLite moves its list of regions under a lock of its own.
	out := tls.Alloc(8)
	defer tls.Free(8)
	*cabi.At[uintptr](out) = 0
	rc := shim.db.shmMap(tls, uintptr(f), 0, walIndexRegion, 0, out)
	if rc != lib.SQLITE_OK && rc != lib.SQLITE_READONLY {
		return nil
	}
	return cabi.At[WALIndexHeader](*cabi.At[uintptr](out))
}

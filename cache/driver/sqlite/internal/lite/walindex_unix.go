//go:build unix

package lite

import lib "modernc.org/sqlite/lib"

// walIndexRegion is the size of SQLite's regions of the WAL-index.
const walIndexRegion = 32 << 10

// WALIndexHeader returns the header of the WAL-index where SQLite has mapped
// it, or nil if it has not (yet): the connection has not read anything in
// WAL mode, or holds the index in memory of its own (locking_mode =
// EXCLUSIVE), or does not use this package's VFS.
//
// Like other methods it is called by the goroutine that uses c. All
// connections that a process has to a database share one mapping: what it
// returns may be used, by anybody, until the last of them is closed, and not
// afterwards.
func (c *Conn) WALIndexHeader() *WALIndexHeader {
	if c.file == 0 {
		return nil
	}
	// Asked for of a file that has no index, SQLite would make one.
	if (*lib.TunixFile)(pointer(c.file)).FpShm == 0 {
		return nil
	}
	// SQLite moves its list of regions under a lock of its own.
	out := c.scratch + scratchOut
	*(*uintptr)(pointer(out)) = 0
	rc := shim.db.shmMap(c.tls, c.file, 0, walIndexRegion, 0, out)
	if rc != lib.SQLITE_OK && rc != lib.SQLITE_READONLY {
		return nil
	}
	return (*WALIndexHeader)(pointer(*(*uintptr)(pointer(out))))
}

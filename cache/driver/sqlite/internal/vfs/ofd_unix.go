//go:build unix

package vfs

import (
	"sync"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// ofdSetup is for what a process does once, however many goroutines open the first
// databases at the same time: one that finds another half way would take shimFcntl for
// SQLite's own function, or lock a file while nothingLockedYet has the kind of locks changed.
var ofdSetup sync.Once

// UseOFDLocks makes SQLite lock database files with Linux's open file
// description locks from now on, for the whole process, and reports whether
// it does. It has to be called before the first database of the process is
// touched; later it only reports.
//
// The POSIX locks that SQLite uses by default vanish when the process closes
// any descriptor of the database file, which any code in it might do, for
// instance to copy the file. Another process that closes the database then
// takes itself for its last user and removes the WAL that this one still
// writes to. OFD locks do not vanish, and between processes the two kinds
// exclude each other. The same goes for the locks on the WAL-index (the -shm
// file), without which two processes write at once.
func UseOFDLocks(tls *libc.TLS) bool {
	ofdSetup.Do(func() {
		if before := lib.Xmodernc_ofd_locking(tls, 1); before == 0 || before == 1 && nothingLockedYet(tls) {
			useOFDLocksOnIndex(tls)
		}
	})
	return lib.Xmodernc_ofd_locking(tls, -1) == 1
}

// nothingLockedYet reports whether SQLite has locked nothing so far: the locks of an index
// that is in use must stay of their kind. It says so by letting itself be changed.
func nothingLockedYet(tls *libc.TLS) bool {
	const frozen = -2
	if lib.Xmodernc_ofd_locking(tls, 0) == frozen {
		return false
	}
	lib.Xmodernc_ofd_locking(tls, 1)
	return true
}

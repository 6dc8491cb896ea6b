//go:build unix

package lite

import (
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

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
// exclude each other. The locks on the WAL-index (the -shm file) are POSIX
// locks in any case: nobody but SQLite should open that one, and who does
// has to keep it open.
func UseOFDLocks() bool {
	tls := libc.NewTLS()
	defer tls.Close()
	lib.Xmodernc_ofd_locking(tls, 1)
	return lib.Xmodernc_ofd_locking(tls, -1) == 1
}

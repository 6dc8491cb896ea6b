package sqlite3

import (
	"errors"

	lib "modernc.org/sqlite/lib"
)

// ReleaseMemory frees what memory of c's page cache is not in use.
func (c *Conn) ReleaseMemory() {
	if c.db != 0 {
		lib.Xsqlite3_db_release_memory(c.tls, c.db)
	}
}

// IsBusySnapshot reports whether err says that a read transaction cannot
// become a writing one because what it read is out of date. Waiting does not
// help; beginning anew does.
func IsBusySnapshot(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == lib.SQLITE_BUSY|2<<8
}

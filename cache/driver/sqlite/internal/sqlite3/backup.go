package sqlite3

import lib "modernc.org/sqlite/lib"

// Backup copies the database of c over that of dst, which becomes an exact
// copy. It copies pages pages at a time, or everything at once if pages is
// not positive, and calls step, if it is not nil, after each time but the
// last with the number of pages left and in all; an error of step ends the
// backup and leaves dst as it was.
//
// Between two steps others may write to the source. If another connection
// does, the backup begins anew with the next step; in one step it reads one
// snapshot and cannot be disturbed. A busy source or destination is an error
// that [IsBusy] knows, after the busy handlers gave up.
//
// Both connections are used by the calling goroutine; dst must have no open
// transaction, and neither may be used by step.
func (c *Conn) Backup(dst *Conn, pages int, step func(remaining, total int) error) (err error) {
	if c.db == 0 || dst.db == 0 {
		return misuse("backup", "the connection is closed")
	}
	if pages <= 0 {
		pages = -1
	}
	b := lib.Xsqlite3_backup_init(c.tls, dst.db, dst.scratch+scratchMain, c.db, c.scratch+scratchMain)
	if b == 0 {
		return dst.fail("backup", lib.Xsqlite3_extended_errcode(dst.tls, dst.db))
	}
	defer func() {
		// finish reports the error of the last step again, in dst.
		if rc := lib.Xsqlite3_backup_finish(c.tls, b); rc != lib.SQLITE_OK && err == nil {
			err = dst.fail("backup", rc)
		}
	}()
	for {
		switch rc := lib.Xsqlite3_backup_step(c.tls, b, int32(pages)); rc {
		case lib.SQLITE_DONE:
			return nil
		case lib.SQLITE_OK:
		default:
			return dst.fail("backup", rc)
		}
		if step == nil {
			continue
		}
		left := int(lib.Xsqlite3_backup_remaining(c.tls, b))
		total := int(lib.Xsqlite3_backup_pagecount(c.tls, b))
		if err := step(left, total); err != nil {
			return err
		}
	}
}

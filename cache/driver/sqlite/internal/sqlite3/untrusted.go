package sqlite3

import (
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
)

// interruptEvery is the number of instructions of SQLite's virtual machine
// after which the function of [Conn.SetInterrupt] is asked: some tenths of a
// millisecond. A lookup or a write of a row takes about a hundred of them.
const interruptEvery = 4096

// SetInterrupt has f called every few thousand instructions of SQLite's
// virtual machine, and so never within most short statements. An error that f
// returns makes the statement fail with an error that [IsInterrupt] knows and
// that wraps it. An INSERT, UPDATE or DELETE that is interrupted inside of a
// transaction rolls all of it back. f runs on the goroutine that uses c, in the
// midst of SQLite: it must not use c and must not panic. A nil f ends it.
//
// It is not called while a statement waits for a lock, nor within a commit, a
// checkpoint or a step of a backup.
func (c *Conn) SetInterrupt(f func() error) {
	if c.db == 0 {
		return
	}
	c.interrupt = f
	call, with := c.callback(f != nil, cabi.Function(progress))
	lib.Xsqlite3_progress_handler(c.tls, c.db, interruptEvery, call, with)
}

func progress(_ *libc.TLS, db uintptr) int32 {
	c := conns.find(db)
	if c == nil || c.interrupt == nil {
		return 0
	}
	if c.cause = c.interrupt(); c.cause != nil {
		return 1
	}
	return 0
}

// Distrust makes c treat the database as one that anybody may have written.
// Views, virtual tables' shadow tables and extensions are out of reach, the
// schema cannot be edited, SQL in the schema may call harmless functions only,
// foreign keys mean nothing. Triggers run.
func (c *Conn) Distrust() error {
	for _, o := range []struct{ option, on int32 }{
		{lib.SQLITE_DBCONFIG_DEFENSIVE, 1},
		{lib.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{lib.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
		{lib.SQLITE_DBCONFIG_ENABLE_VIEW, 0},
		{lib.SQLITE_DBCONFIG_ENABLE_FKEY, 0},
		{lib.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
		{lib.SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
	} {
		if err := c.configure(o.option, o.on); err != nil {
			return err
		}
	}
	c.limit(lib.SQLITE_LIMIT_SQL_LENGTH, 1<<20) // also of the statements in the schema
	c.limit(lib.SQLITE_LIMIT_TRIGGER_DEPTH, 2)
	return nil
}

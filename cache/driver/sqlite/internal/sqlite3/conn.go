package sqlite3

import (
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

// OpenFlags say how a database is opened.
type OpenFlags int32

// The ways to open a database. A file that is opened for writing but may
// only be read is opened all the same; writing to it fails with an error
// that [IsReadOnly] knows.
const (
	ReadWriteCreate OpenFlags = lib.SQLITE_OPEN_READWRITE | lib.SQLITE_OPEN_CREATE
	ReadWrite       OpenFlags = lib.SQLITE_OPEN_READWRITE
	ReadOnly        OpenFlags = lib.SQLITE_OPEN_READONLY
	// Immutable is ReadOnly without locks and without a look at the WAL, for
	// a file that nobody can change.
	Immutable OpenFlags = lib.SQLITE_OPEN_READONLY | lib.SQLITE_OPEN_URI

	// NoFollow, added to one of them, has a path refused that contains a
	// symbolic link.
	NoFollow OpenFlags = lib.SQLITE_OPEN_NOFOLLOW

	// DefaultVFS, added to one of them, has SQLite make each of its system
	// calls when it comes to it: writes are not buffered, and no unlock is
	// deferred.
	DefaultVFS OpenFlags = 1 << 30
)

// Conn is a connection to a database.
type Conn struct {
	tls *libc.TLS
	db  uintptr

	// scratch is a little C memory for results that SQLite returns through
	// pointers, and for the name of the main database.
	scratch uintptr

	stmts map[*Stmt]struct{}

	busy    func(count int) bool
	walHook func(frames int)

	unlockHook func()

	hooked bool // conns knows c

	interrupt func() error
	cause     error // what interrupt returned last

	file vfs.File // the main database, 0 if it is none of package vfs
}

// Layout of scratch.
const (
	scratchOut  = 0  // two words of eight bytes
	scratchMain = 16 // "main\0"
	scratchSize = 32
)

// Open opens the database in the file path. The name is taken as it is, a
// "file:" at its beginning means nothing; ":memory:" is a private database in
// memory. The file is opened, and made, at once but read only when the first
// statement runs, so that a damaged one is found as late as that.
func Open(path string, flags OpenFlags) (*Conn, error) {
	if err := prepareProcess(); err != nil {
		return nil, err
	}
	if strings.IndexByte(path, 0) >= 0 { // a URI would hide it
		return nil, misuse("open", "the file name contains a NUL")
	}
	c := &Conn{tls: libc.NewTLS(), stmts: make(map[*Stmt]struct{})}
	if err := c.open(path, flags); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

func (c *Conn) open(path string, flags OpenFlags) error {
	if c.scratch = lib.Xsqlite3_malloc64(c.tls, scratchSize); c.scratch == 0 {
		return errNoMemory
	}
	copy(cabi.Bytes(c.scratch+scratchMain, 5), "main\x00")

	own := uintptr(0)
	if flags&DefaultVFS == 0 {
		own = vfs.Name()
	}
	flags &^= DefaultVFS
	if flags&^NoFollow == Immutable {
		path = (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "immutable=1"}).String()
	}
	name, err := cstring(c.tls, "open", path)
	if err != nil {
		return err
	}
	defer lib.Xsqlite3_free(c.tls, name)

	// NOMUTEX: the caller keeps a connection to one goroutine, and a mutex
	// would be taken several times for every column read.
	const always = lib.SQLITE_OPEN_NOMUTEX | lib.SQLITE_OPEN_EXRESCODE
	out := c.scratch + scratchOut
	rc := lib.Xsqlite3_open_v2(c.tls, name, out, int32(flags)|always, own)
	c.db = *cabi.At[uintptr](out) // set even if the call failed
	if rc != lib.SQLITE_OK {
		return c.fail("open", rc)
	}
	if own != 0 {
		if file, err := c.fileOf(lib.SQLITE_FCNTL_FILE_POINTER); err == nil {
			c.file = vfs.DeferUnlocks(file.id, c.filename())
		}
	}
	return nil
}

// Close finalizes the statements that are left, rolls an open transaction
// back and closes the connection. The last connection of all processes
// checkpoints the WAL and removes it, which may take its time, unless
// [Conn.SetCheckpointOnClose] says otherwise. Closing twice does nothing.
func (c *Conn) Close() error {
	for s := range c.stmts {
		s.Finalize()
	}
	return c.release()
}

// release closes the connection and frees its memory.
func (c *Conn) release() error {
	if c.tls == nil {
		return nil
	}
	db := c.db
	c.db, c.file = 0, 0
	var err error
	// close_v2 always takes the connection over, also where close would fail
	// because something still uses it; nothing does.
	if rc := lib.Xsqlite3_close_v2(c.tls, db); rc != lib.SQLITE_OK {
		err = c.fail("close", rc)
	}
	if c.hooked {
		conns.remove(db, c)
		c.hooked = false
	}
	lib.Xsqlite3_free(c.tls, c.scratch)
	c.tls.Close()
	c.tls, c.scratch, c.busy, c.walHook, c.interrupt = nil, 0, nil, nil, nil
	return err
}

// Exec runs the statements in sql, without arguments, and drops the rows
// they return. It compiles them each time; what runs often is better
// prepared.
func (c *Conn) Exec(sql string) error {
	if c.db == 0 {
		return misuse("exec", "the connection is closed")
	}
	p, err := cstring(c.tls, "exec", sql)
	if err != nil {
		return err
	}
	defer lib.Xsqlite3_free(c.tls, p)
	if rc := lib.Xsqlite3_exec(c.tls, c.db, p, 0, 0, 0); rc != lib.SQLITE_OK {
		return c.fail("exec", rc)
	}
	return nil
}

// TotalChanges returns the number of rows changed since the connection was
// opened, by triggers too.
func (c *Conn) TotalChanges() int64 {
	if c.db == 0 {
		return 0
	}
	return int64(lib.Xsqlite3_total_changes64(c.tls, c.db))
}

// LastInsertRowID returns the rowid of the last successful INSERT.
func (c *Conn) LastInsertRowID() int64 {
	if c.db == 0 {
		return 0
	}
	return int64(lib.Xsqlite3_last_insert_rowid(c.tls, c.db))
}

// AutoCommit reports whether no transaction is open. Some errors (a full
// disk, an I/O error, an interrupt) roll a transaction back by themselves;
// this is how to tell.
func (c *Conn) AutoCommit() bool {
	return c.db == 0 || lib.Xsqlite3_get_autocommit(c.tls, c.db) != 0
}

// filename returns the absolute name of the database's file, "" for one in
// memory.
func (c *Conn) filename() string {
	if c.db == 0 {
		return ""
	}
	return libc.GoString(lib.Xsqlite3_db_filename(c.tls, c.db, c.scratch+scratchMain))
}

// configure turns one of SQLite's options of the connection on or off, see
// https://sqlite.org/c3ref/c_dbconfig_defensive.html.
func (c *Conn) configure(option, on int32) error {
	if c.db == 0 {
		return misuse("config", "the connection is closed")
	}
	args := libc.VaList(c.scratch+scratchOut, on, uintptr(0))
	if rc := lib.Xsqlite3_db_config(c.tls, c.db, option, args); rc != lib.SQLITE_OK {
		return c.fail("config", rc)
	}
	return nil
}

// limit sets one of SQLite's limits of the connection, see
// https://sqlite.org/limits.html.
func (c *Conn) limit(limit, value int32) { lib.Xsqlite3_limit(c.tls, c.db, limit, value) }

// out reads the two 32-bit results in scratch.
func (c *Conn) out() (first, second int) {
	p := cabi.At[[2]int32](c.scratch + scratchOut)
	return int(p[0]), int(p[1])
}

package sqlite3

import (
	"sync"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/cabi"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

// conns finds the Conn of a callback. SQLite hands a callback one word back;
// that is the address of its connection and not of our Conn, because a Go
// pointer in C memory would keep nothing alive and fail checkptr.
var conns registry

type registry struct {
	mu sync.RWMutex
	m  map[uintptr]*Conn
}

func (r *registry) add(db uintptr, c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = make(map[uintptr]*Conn)
	}
	r.m[db] = c
}

// remove is called when c is closed: another connection may already have its
// address.
func (r *registry) remove(db uintptr, c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m[db] == c {
		delete(r.m, db)
	}
}

func (r *registry) find(db uintptr) *Conn {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.m[db]
}

// callback returns what SQLite is to call, and with what: fn with the address by which it finds
// c, or nothing.
func (c *Conn) callback(on bool, fn uintptr) (call, with uintptr) {
	if !on {
		return 0, 0
	}
	if !c.hooked {
		conns.add(c.db, c)
		c.hooked = true
	}
	return fn, c.db
}

// SetBusyHandler sets what happens when a lock is held by somebody else: f is
// called with the number of calls before it for the same lock, waits as it
// sees fit and returns true to try again, or returns false to let the
// statement fail with an error that [IsBusy] knows. A nil f lets it fail at
// once. f runs on the goroutine that uses c, in the midst of SQLite: it must
// not use c and must not panic.
//
// SQLite does not call f where waiting would be in vain, that is where a
// read transaction wants to write and another writer is at work or was.
//
// This replaces PRAGMA busy_timeout, and the pragma replaces this.
func (c *Conn) SetBusyHandler(f func(count int) bool) {
	if c.db == 0 {
		return
	}
	c.busy = f
	call, with := c.callback(f != nil, cabi.Function(busyHandler))
	lib.Xsqlite3_busy_handler(c.tls, c.db, call, with)
}

// busyHandler, walHook and progress are what SQLite calls.
func busyHandler(_ *libc.TLS, db uintptr, count int32) int32 {
	c := conns.find(db)
	if c == nil || c.busy == nil || !c.busy(int(count)) {
		return 0
	}
	return 1
}

// SetWALHook has f called after each commit of c to a database in WAL mode
// with the number of frames that the WAL holds then, also those that are
// checkpointed already. f runs on the goroutine that uses c, after the
// write lock was released; it must not use c and must not panic. A nil f
// removes the hook.
//
// SQLite checkpoints by means of this same hook, so either call ends
// automatic checkpoints on this connection; PRAGMA wal_autocheckpoint would
// bring them back and remove f.
func (c *Conn) SetWALHook(f func(frames int)) {
	if c.db == 0 {
		return
	}
	c.walHook = f
	call, with := c.callback(f != nil, cabi.Function(walHook))
	lib.Xsqlite3_wal_hook(c.tls, c.db, call, with)
}

// SetUnlockHook has f called whenever c is about to release the write lock of
// a database in WAL mode: when a transaction that could write ends, however
// it does, and after some checkpoints. What was committed is in the WAL-index
// already, and nobody else has committed since. f runs on the goroutine that
// uses c, in the midst of SQLite: it must not use c and must not panic. A nil
// f removes the hook. It is called only where [Conn.WALIndexHeader] is not nil.
func (c *Conn) SetUnlockHook(f func()) {
	if c.db == 0 {
		return
	}
	c.unlockHook = f
	_, with := c.callback(f != nil, 0)
	c.file.CallOnUnlock(with)
}

// unlocking is called by package vfs before the write lock is released.
func unlocking(db uintptr) { conns.find(db).unlockHook() }

// Yield releases the read locks that connections of this process to the
// database of c keep although they have no transaction: a checkpoint does not
// have to wait for them then. Without it they are released some milliseconds
// after they were used last.
func (c *Conn) Yield() {
	if c.file != 0 {
		c.file.Yield(c.tls)
	}
}

// WALIndexHeader returns the header of the WAL-index where SQLite has mapped
// it, or nil if it has not (yet): the connection has not read anything in
// WAL mode, or holds the index in memory of its own (locking_mode =
// EXCLUSIVE), or does not use package vfs.
//
// Like other methods it is called by the goroutine that uses c. All
// connections that a process has to a database share one mapping: what it
// returns may be used, by anybody, until the last of them is closed, and not
// afterwards.
func (c *Conn) WALIndexHeader() *vfs.WALIndexHeader {
	if c.file == 0 {
		return nil
	}
	return c.file.WALIndexHeader(c.tls)
}

// UseOFDLocks has all databases of the process locked with Linux's open file
// description locks, and reports whether it does, see [vfs.UseOFDLocks]. It has to be
// called before the first database of the process is touched; later it only reports.
func UseOFDLocks() bool {
	if prepareProcess() != nil {
		return false
	}
	tls := libc.NewTLS()
	defer tls.Close()
	return vfs.UseOFDLocks(tls)
}

func walHook(_ *libc.TLS, db, _, _ uintptr, frames int32) int32 {
	if c := conns.find(db); c != nil && c.walHook != nil {
		c.walHook(int(frames))
	}
	return lib.SQLITE_OK
}

package lite

import (
	"sync"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
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

func (c *Conn) hook() {
	if !c.hooked {
		conns.add(c.db, c)
		c.hooked = true
	}
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
	if f == nil {
		lib.Xsqlite3_busy_handler(c.tls, c.db, 0, 0)
		return
	}
	c.hook()
	lib.Xsqlite3_busy_handler(c.tls, c.db, function(busyHandler), c.db)
}

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
	if f == nil {
		lib.Xsqlite3_wal_hook(c.tls, c.db, 0, 0)
		return
	}
	c.hook()
	lib.Xsqlite3_wal_hook(c.tls, c.db, function(walHook), c.db)
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
	if f != nil {
		c.hook()
	}
	c.setUnlockHook(f != nil)
}

func walHook(_ *libc.TLS, db, _, _ uintptr, frames int32) int32 {
	if c := conns.find(db); c != nil && c.walHook != nil {
		c.walHook(int(frames))
	}
	return lib.SQLITE_OK
}

package sqlite

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// A core holds the database open beside SQLite's connections: sessions lock bytes of that
// file, and while it is open no other file can get its inode.

// openDatabase opens the database for the locks of sessions, and so that no other
// file can be taken for it as long as the store is open.
func (c *core) openDatabase() error {
	sqlite3.UseOFDLocks()
	open := c.files.Modify
	if c.opts.ReadOnly {
		open = c.files.Read
	}
	f, err := open(databaseName)
	if err != nil {
		return translate(err)
	}
	c.dbFile = f
	info, err := f.Info()
	if err == nil && !info.Same(c.db) {
		err = fmt.Errorf("%w: the %s in it was replaced while it was being opened", driver.ErrNotStore, databaseName)
	}
	if err == nil {
		err = c.openSessions()
	}
	if err != nil {
		return translate(errors.Join(err, c.closeDatabase()))
	}
	return nil
}

// closeDatabase closes the database, which tells other processes that the session
// has ended, unless that would drop the POSIX locks that SQLite may have on it for
// another core of this process. Then it is closed when that core's is.
func (c *core) closeDatabase() error {
	if sqlite3.UseOFDLocks() {
		return c.dbFile.Close()
	}
	cores.mu.Lock()
	defer cores.mu.Unlock()
	var errs []error
	cores.parked = slices.DeleteFunc(append(cores.parked, c.dbFile), func(f *osfs.File) bool {
		info, err := f.Info()
		inUse := err == nil && slices.ContainsFunc(cores.list, func(o *core) bool { return o != c && o.db.Same(info) })
		if !inUse {
			errs = append(errs, f.Close())
		}
		return !inUse
	})
	return errors.Join(errs...)
}

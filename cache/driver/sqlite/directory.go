package sqlite

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// Before SQLite opens anything, core.open calls what is here: it decides whether the
// directory may hold a store, says why not, and makes the directory and an empty database
// if there are none. It knows nothing of what is in the database.

// openDir makes sure that dir is a directory, and opens it.
func (c *core) openDir() (err error) {
	info, err := osfs.Stat(c.dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is a file: give a directory: %w", c.dir, driver.ErrNotStore)
	case errors.Is(err, fs.ErrNotExist):
		if c.opts.ReadOnly {
			return fmt.Errorf("%s does not exist, and a read-only store is not created: %w", c.dir, driver.ErrNotStore)
		}
		c.made, err = osfs.Make(c.dir)
	}
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, osfs.ErrNotRegular): // Windows takes a folder that is missing for the former, so not before
		return fmt.Errorf("%s lies below a file: give a directory: %w", c.dir, driver.ErrNotStore)
	case err != nil:
		return translate(err)
	}
	c.files, err = osfs.Open(c.dir)
	return translate(err)
}

// prepareDir makes sure that the directory holds a store or may become one,
// and that there is a database file.
func (c *core) prepareDir(inUse bool) error {
	if !c.opts.AllowNetwork {
		kind, err := networkKind(c.files)
		if err != nil {
			return translate(err)
		}
		if kind != "" {
			return fmt.Errorf("%s is on %s, where locks are not reliable: use a local disk, or AllowNetwork if only one machine uses it: %w", c.dir, kind, driver.ErrNetwork)
		}
	}
	info, err := c.files.Lstat(".")
	if err != nil {
		return translate(err)
	}
	for _, name := range []string{sessionsName, valuesName} {
		if info, err := c.files.Lstat(name); err == nil && !info.IsDir() {
			return fmt.Errorf("%s is no folder: remove what is in its place, or move back what it leads to: %w", c.path(name), driver.ErrNotStore)
		}
	}
	db, err := c.prepareDatabase(inUse)
	if err != nil {
		return err
	}
	c.files.Follow(db)
	cores.mu.Lock()
	c.info, c.db = info, db
	cores.mu.Unlock()
	if !c.opts.ReadOnly {
		err := c.files.Vouch(reserveName)
		for _, name := range []string{sessionsName, valuesName} {
			err = errors.Join(err, c.files.VouchFolder(name))
		}
		if err != nil {
			return translate(err)
		}
	}
	if who, err := c.files.Outsiders(); err != nil {
		return translate(err)
	} else if who != "" {
		c.log.Warn("others can change or delete what is in the store: chmod go-w its directory, or give it to this user, unless that is on purpose", "who", who)
	}
	return nil
}

// prepareDatabase makes sure that there is a database file which this process
// may use, and makes it if it is not there.
func (c *core) prepareDatabase(inUse bool) (osfs.Info, error) {
	info, err := c.files.Lstat(databaseName)
	switch {
	case err == nil && !info.IsRegular():
		return info, fmt.Errorf("%s is no regular file: if it is a symbolic link, open the directory that the file is in: %w", c.path(databaseName), driver.ErrNotStore)
	case err == nil && info.Links() > 1 && !c.opts.ReadOnly:
		return info, fmt.Errorf("%s has %d names (hard links), and those who use another one would not know of this one: make a copy of it: %w", c.path(databaseName), info.Links(), driver.ErrNotStore)
	case err == nil && inUse:
		return info, nil
	case err == nil && info.Size() == 0:
		// The log is made after the first page of the database. SQLite would drop it.
		if c.hasBytes(databaseName+"-wal") && !c.hasBytes(databaseName) {
			return info, fmt.Errorf("%w: %s is empty, and its log is not: restore a backup, or remove both", driver.ErrCorrupt, c.path(databaseName))
		}
		return info, c.refuseForeignFiles() // it was made just now, or is damaged
	case err == nil:
		return info, c.checkHeader()
	case !errors.Is(err, fs.ErrNotExist):
		return info, translate(err)
	case c.opts.ReadOnly:
		return info, fmt.Errorf("%s holds no %s, and a read-only store is not created: %w", c.dir, databaseName, driver.ErrNotStore)
	}
	if err := c.refuseForeignFiles(); err != nil {
		return info, err
	}
	// Made here, so that its rights are ours and not the umask's; the WAL and
	// its index inherit them. An empty file is an empty database.
	f, err := c.files.CreateFirst(databaseName)
	if errors.Is(err, fs.ErrExist) {
		info, err = c.files.Lstat(databaseName)
		return info, translate(err)
	}
	if err != nil {
		return info, translate(err)
	}
	info, err = f.Info()
	return info, translate(errors.Join(err, f.Close()))
}

// checkHeader refuses what is not SQLite's before SQLite has a chance to
// treat it as empty, and what cannot be written if it is to be. No connection of
// this process may have the file open: closing a descriptor drops the POSIX
// locks that SQLite holds on it.
func (c *core) checkHeader() error {
	open := c.files.Modify
	if c.opts.ReadOnly {
		open = c.files.Read
	}
	f, err := open(databaseName)
	if err != nil {
		return translate(err)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return translate(err)
	}
	if string(head) != magic {
		if c.hasBytes(databaseName + "-journal") {
			return nil // a power cut when it was being made: SQLite undoes that, or says what is wrong
		}
		return fmt.Errorf("%s is no SQLite database: restore it from a backup, or give another directory: %w", c.path(databaseName), driver.ErrNotStore)
	}
	return nil
}

// refuseForeignFiles fails if the directory holds files that a store would not
// have put there before it has a database, or one that is not empty.
func (c *core) refuseForeignFiles() error {
	entries, err := c.files.ReadDir(".")
	if err != nil {
		return translate(err)
	}
	for _, e := range entries {
		if isOwnName(e.Name()) {
			continue
		}
		if c.hasBytes(databaseName) || c.hasBytes(databaseName+"-wal") {
			return nil // another process has just made the store
		}
		return fmt.Errorf("%s holds other files, such as %q, but no %s, or an empty one: give an empty directory or a new one, or restore a backup: %w",
			c.dir, e.Name(), databaseName, driver.ErrNotStore)
	}
	return nil
}

// canWrite reports whether files may be made in the directory.
func (c *core) canWrite() bool {
	var id [8]byte
	rand.Read(id[:])
	name := databaseName + "-probe-" + hex.EncodeToString(id[:])
	f, err := c.files.Create(name)
	if err != nil {
		return !errors.Is(err, fs.ErrPermission) && !osfs.IsReadOnly(err)
	}
	f.Close()
	c.files.Remove(name)
	return true
}

// hasBytes reports whether there is a file of the name that is not empty.
func (c *core) hasBytes(name string) bool {
	info, err := c.files.Lstat(name)
	return err == nil && info.Size() > 0
}

// isFrozen reports whether a store that is to be read only lies where nothing
// can be written, not even the index of the log that SQLite wants to have,
// and has no log to be read: a backup on a read-only disk. Then no other
// process can change it either, and it is read without locks.
func (c *core) isFrozen() bool {
	if !c.opts.ReadOnly {
		return false
	}
	if c.hasBytes(databaseName + "-wal") {
		return false
	}
	return !c.canWrite()
}

// networkKind is replaced in tests, which have no network file system at hand.
var networkKind = (*osfs.Dir).Network

// checkLength refuses a directory, before anything is made in it or above it,
// whose path is too long for SQLite or the system. All other files are reached
// from the directory's descriptor, so that only the path of the database counts.
func checkLength(dir string) error {
	dir, err := osfs.Resolve(dir)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil // what opens or makes it says that it lies below a file
	case err != nil:
		return translate(err)
	}
	most, err := sqlite3.MaxPath()
	if err != nil {
		return translate(err)
	}
	if n := len(filepath.Join(dir, databaseName)); n > most {
		return fmt.Errorf("%w: the path of its %s has %d bytes, without symbolic links, where SQLite takes %d: give it a shorter one", driver.ErrInvalid, databaseName, n, most)
	}
	return nil
}

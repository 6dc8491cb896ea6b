package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/notify"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wal"
)

// core is what all handles of one directory in one process share.
type core struct {
	dir    string
	files  *osfs.Dir  // dir, open
	info   osfs.Info  // of dir: device and inode tell whether two paths are one directory
	db     osfs.Info  // of the database
	dbFile *osfs.File // the database: see openDatabase
	opts   Options
	log    *slog.Logger

	writer     *writer // nil if read-only
	readers    *pool
	maintainer *maintainer // nil if read-only
	sessions   *session.Sessions
	sender     notify.Sender
	changes    *notify.Changes
	values     *valuefile.Files
	durable    durable
	presence   presence
	near       nearCache
	reserve    *wal.Reserve
	wal        *wal.Log    // of the writer
	hints      *near.Hints // nil where there is no memory for them

	mu    sync.Mutex // guards colls
	colls map[string]*collection

	immutable bool        // see isFrozen
	made      bool        // the directory was not there
	cataloged atomic.Bool // see conn.cataloged

	// Guarded by cores.mu.
	refs     int
	changing chan struct{} // closed when it has been opened, or closed
}

// cores holds the directories that are open in this process, or are being
// opened or closed, each once for reading only and once for writing too.
var cores struct {
	mu     sync.Mutex
	list   []*core
	parked []*osfs.File // databases that are to be closed: see closeDatabase
}

// acquireCore returns the core of dir and opens it if this is its first use.
// Opening happens outside of the mutex, since it may have to wait for other
// processes; a second caller with the same directory waits for the first.
func acquireCore(ctx context.Context, dir string, opts Options) (*core, error) {
	for {
		c, mine, inUse := findCore(dir, opts)
		if mine {
			err := c.open(ctx, inUse)
			if err != nil {
				dropCore(c)
			}
			close(c.changing)
			if err != nil {
				return nil, err
			}
			return c, nil
		}
		select {
		case <-c.changing:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		cores.mu.Lock()
		if c.refs > 0 && slices.Contains(cores.list, c) {
			if opts.Synchronous != c.opts.Synchronous || opts.JournalMode != c.opts.JournalMode {
				cores.mu.Unlock()
				return nil, fmt.Errorf("the directory is open in this process with Synchronous %s and JournalMode %s, and cannot be opened with %s and %s at the same time: %w",
					c.opts.Synchronous, c.opts.JournalMode, opts.Synchronous, opts.JournalMode, driver.ErrInvalid)
			}
			c.refs++
			cores.mu.Unlock()
			return c, nil
		}
		cores.mu.Unlock() // it could not be opened, or was just closed: anew
	}
}

// findCore returns the core of dir, which may be about to be opened or closed,
// or a new one that the caller is to open. inUse says that this process has
// the database open already.
func findCore(dir string, opts Options) (c *core, mine, inUse bool) {
	cores.mu.Lock()
	defer cores.mu.Unlock()
	info, err := osfs.Stat(dir)
	db, dbErr := osfs.Lstat(filepath.Join(dir, databaseName))
	for _, c := range cores.list {
		if dbErr == nil && c.db.Same(db) {
			inUse = true // perhaps by one that has another name of the directory
		}
		same := c.dir == dir || err == nil && c.info.Same(info)
		if !same || !c.db.IsZero() && c.present() != nil {
			continue
		}
		if c.opts.ReadOnly == opts.ReadOnly {
			return c, false, true
		}
		inUse = true
	}
	c = &core{dir: dir, opts: opts, log: opts.Logger.With("store", dir), colls: make(map[string]*collection),
		refs: 1, changing: make(chan struct{})}
	if err == nil {
		c.info = info
	}
	cores.list = append(cores.list, c)
	return c, true, inUse
}

func dropCore(c *core) {
	cores.mu.Lock()
	defer cores.mu.Unlock()
	cores.list = slices.DeleteFunc(cores.list, func(o *core) bool { return o == c })
}

func releaseCore(c *core) error {
	cores.mu.Lock()
	c.refs--
	if c.refs > 0 {
		cores.mu.Unlock()
		return nil
	}
	c.changing = make(chan struct{})
	cores.mu.Unlock()
	err := c.close()
	dropCore(c)
	close(c.changing)
	return err
}

// open opens the directory. Whatever fails, nothing stays open.
func (c *core) open(ctx context.Context, inUse bool) error {
	if err := c.openDir(); err != nil {
		return err
	}
	c.reserve = wal.NewReserve(c.files, reserveName)
	err := c.openFiles(ctx, inUse)
	if errors.Is(err, driver.ErrFull) && !c.opts.ReadOnly && c.reserve.Spend() {
		err = c.openFiles(ctx, inUse)
	}
	if err != nil {
		err = errors.Join(err, c.files.Close())
	}
	return err
}

// openFiles opens what is in the directory.
func (c *core) openFiles(ctx context.Context, inUse bool) (err error) {
	if err := c.prepareDir(inUse); err != nil {
		return err
	}
	if err := c.openDatabase(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.closeDatabase())
		}
	}()
	c.readers = newPool(c)
	c.durable.core = c
	c.openValues()
	c.reserve.Look()
	err = c.checkSchema(ctx)
	if err != nil && c.isFrozen() {
		c.immutable = true
		err = c.checkSchema(ctx)
	}
	if sqlite3.IsCantOpen(err) && !c.canWrite() {
		err = fmt.Errorf("%w: SQLite cannot make a file in the directory that it needs: %w", driver.ErrPermission, err)
	}
	if err != nil {
		return errors.Join(err, c.readers.close())
	}
	c.openChanges()
	var noHints error
	if c.hints, noHints = near.NewHints(c.opts.CacheSize * 2 / 3); noHints != nil {
		c.log.Debug("rows are looked up with the index of keys only", "error", noHints)
	}
	if c.opts.ReadOnly {
		if err := c.needsNoMending(); err != nil {
			return errors.Join(err, c.readers.close(), c.hints.Close())
		}
		return nil
	}
	var deadline time.Time
	if c.opts.Timeout > 0 {
		deadline = time.Now().Add(c.opts.Timeout)
	}
	if how := c.opts.syncing(); how == syncFirst || how != syncNever && c.made {
		err = osfs.SyncAbove(c.files.Path())
	}
	var synced []unsynced
	if err == nil {
		synced, err = c.mendLog(ctx)
	}
	if err = errors.Join(err, c.readers.drain()); err != nil { // page size and journal mode may be set now
		return translate(errors.Join(err, c.hints.Close()))
	}
	if err := c.openSignals(); err != nil {
		return errors.Join(err, c.hints.Close())
	}
	if c.writer, err = openWriter(ctx, c, deadline); err != nil {
		return errors.Join(err, c.readers.close(), c.changes.Close(), c.hints.Close())
	}
	if c.opts.JournalMode == JournalWAL {
		if err := c.near.open(c); err != nil {
			return errors.Join(err, c.readers.close(), c.writer.close(), c.changes.Close(), c.hints.Close())
		}
	}
	c.maintainer = newMaintainer(c)
	c.maintainer.synced(synced)
	go c.maintainer.run()
	return nil
}

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

// present fails if the database is no longer the file that was opened: other
// processes would never see what this one writes to it.
func (c *core) present() error {
	db, err := c.files.LstatByPath(databaseName)
	switch {
	case err == nil && db.Same(c.db):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return nil // it may well be there
	}
	return fmt.Errorf("%w any more: the directory or its %s was removed or replaced while it was open",
		driver.ErrNotStore, databaseName)
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
		kind, err := network(c.files)
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
		return info, c.refuseStrangers() // it was made just now, or is damaged
	case err == nil:
		return info, c.checkHeader()
	case !errors.Is(err, fs.ErrNotExist):
		return info, translate(err)
	case c.opts.ReadOnly:
		return info, fmt.Errorf("%s holds no %s, and a read-only store is not created: %w", c.dir, databaseName, driver.ErrNotStore)
	}
	if err := c.refuseStrangers(); err != nil {
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

// refuseStrangers fails if the directory holds files that a store would not
// have put there before it has a database, or one that is not empty.
func (c *core) refuseStrangers() error {
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

// close ends everything. No call is running any more.
func (c *core) close() error {
	var errs []error
	c.changes.EndWatches()
	c.sessions.EndWatches()
	c.sender.Close()
	if c.maintainer != nil {
		errs = append(errs, c.maintainer.close())
	}
	errs = append(errs, c.readers.close(), c.near.close(c))
	if c.writer != nil {
		errs = append(errs, c.writer.close())
		if c.present() == nil {
			// The log may have gone. When the store is opened again, other programs may
			// have taken its room, and without the reserve it could not be.
			c.reserve.Fill()
		}
	}
	errs = append(errs, c.sessions.Close(), c.changes.Close(), c.hints.Close(), c.closeDatabase(), c.files.Close())
	return translate(errors.Join(errs...))
}

// own returns the collection behind a handle that Open returned.
func (c *core) own(h driver.Collection) (*collection, error) {
	coll, ok := h.(*collection)
	if !ok || coll.core != c {
		return nil, errors.New("collection belongs to another store")
	}
	if coll.dropped.Load() {
		return nil, errDropped
	}
	return coll, nil
}

// network is replaced in tests, which have no network file system at hand.
var network = (*osfs.Dir).Network

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

// core is what all handles of one directory in one process share.
type core struct {
	dir  string
	info os.FileInfo // of dir: device and inode tell whether two paths are one directory
	opts Options
	log  *slog.Logger

	writer     *writer // nil if read-only
	readers    *pool
	maintainer *maintainer // nil if read-only
	sessions   sessions
	watches    watches
	trash      trashCan

	mu    sync.Mutex // guards colls
	colls map[string]*collection

	refs int // guarded by cores.turn
}

// cores holds the directories that are open in this process, each once.
var cores = struct {
	turn chan struct{} // whoever has put something in may use list
	list []*core
}{turn: make(chan struct{}, 1)}

// acquireCore returns the core of dir and opens it if this is its first use.
// Whoever opens a directory meanwhile waits: for the same one, this is right;
// for another one, it is rare, short, and ends with its context.
func acquireCore(ctx context.Context, dir string, opts Options) (*core, error) {
	select {
	case cores.turn <- struct{}{}:
	default:
		select {
		case cores.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	defer func() { <-cores.turn }()
	inUse := false
	if info, err := os.Stat(dir); err == nil {
		for _, c := range cores.list {
			if !os.SameFile(c.info, info) {
				continue
			}
			if c.opts.ReadOnly == opts.ReadOnly {
				if opts.Synchronous != c.opts.Synchronous || opts.JournalMode != c.opts.JournalMode {
					return nil, fmt.Errorf("the directory is open in this process with Synchronous %s and JournalMode %s, and cannot be opened with %s and %s at the same time: %w",
						c.opts.Synchronous, c.opts.JournalMode, opts.Synchronous, opts.JournalMode, driver.ErrInvalid)
				}
				c.refs++
				return c, nil
			}
			inUse = true
		}
	}
	c, err := openCore(ctx, dir, opts, inUse)
	if err != nil {
		return nil, err
	}
	c.refs = 1
	cores.list = append(cores.list, c)
	return c, nil
}

func releaseCore(c *core) error {
	cores.turn <- struct{}{}
	c.refs--
	if c.refs > 0 {
		<-cores.turn
		return nil
	}
	for i, o := range cores.list {
		if o == c {
			cores.list = append(cores.list[:i], cores.list[i+1:]...)
			break
		}
	}
	<-cores.turn
	return c.close()
}

// openCore opens the directory. Whatever fails, nothing stays open. inUse says
// that this process has the database open already.
func openCore(ctx context.Context, dir string, opts Options, inUse bool) (_ *core, err error) {
	c := &core{dir: dir, opts: opts, log: opts.Logger.With("store", dir), colls: make(map[string]*collection)}
	if err := c.prepareDir(inUse); err != nil {
		return nil, err
	}
	if c.info, err = os.Stat(dir); err != nil {
		return nil, translate(err)
	}
	lite.UseOFDLocks()
	c.sessions.init(dir)
	c.watches.init(c)
	c.readers = newPool(c)

	if opts.ReadOnly {
		if err := c.checkSchema(ctx); err != nil {
			return nil, errors.Join(err, c.readers.close())
		}
		return c, nil
	}
	var deadline time.Time
	if opts.Timeout > 0 {
		deadline = time.Now().Add(opts.Timeout)
	}
	if c.writer, err = openWriter(ctx, c, deadline); err != nil {
		return nil, errors.Join(err, c.readers.close(), c.watches.release())
	}
	c.maintainer = newMaintainer(c)
	go c.maintainer.run()
	return c, nil
}

// prepareDir makes sure that dir is a directory that holds a store or may
// become one, and that there is a database file that only its owner may
// read.
func (c *core) prepareDir(inUse bool) error {
	info, err := os.Stat(c.dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is a file: give a directory: %w", c.dir, driver.ErrNotStore)
	case errors.Is(err, fs.ErrNotExist):
		if c.opts.ReadOnly {
			return fmt.Errorf("%s does not exist, and a read-only store is not created: %w", c.dir, driver.ErrNotStore)
		}
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			return translate(err)
		}
	case err != nil:
		return translate(err)
	}
	if !c.opts.AllowNetwork {
		kind, err := networkFS(c.dir)
		if err != nil {
			return translate(err)
		}
		if kind != "" {
			return fmt.Errorf("%s is on %s, where locks are not reliable: use a local disk, or AllowNetwork if only one machine uses it: %w", c.dir, kind, driver.ErrNetwork)
		}
	}
	db := filepath.Join(c.dir, databaseName)
	info, err = os.Stat(db)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file: %w", db, driver.ErrNotStore)
	case err == nil && (inUse || info.Size() == 0):
		return nil
	case err == nil:
		return c.checkHeader(db)
	case !errors.Is(err, fs.ErrNotExist):
		return translate(err)
	case c.opts.ReadOnly:
		return fmt.Errorf("%s holds no %s, and a read-only store is not created: %w", c.dir, databaseName, driver.ErrNotStore)
	}
	if err := c.refuseStrangers(); err != nil {
		return err
	}
	// Made here, so that its rights are ours and not the umask's; the WAL and
	// its index inherit them. An empty file is an empty database.
	f, err := os.OpenFile(db, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return translate(err)
	}
	return translate(f.Close())
}

// checkHeader refuses what is not SQLite's before SQLite has a chance to
// treat it as empty. No connection of this process may have the file open:
// closing a descriptor drops the POSIX locks that SQLite holds on it.
func (c *core) checkHeader(db string) error {
	f, err := os.Open(db)
	if err != nil {
		return translate(err)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	if _, err := f.ReadAt(head, 0); err != nil || string(head) != magic {
		return fmt.Errorf("%s is no SQLite database: restore it from a backup, or give another directory: %w", db, driver.ErrNotStore)
	}
	return nil
}

// refuseStrangers fails if the directory holds files that a store would not
// have put there.
func (c *core) refuseStrangers() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return translate(err)
	}
	for _, e := range entries {
		if e.Name() == databaseName {
			return nil // another process has just made the store
		}
	}
	for _, e := range entries {
		if !strings.Contains(e.Name(), databaseName) {
			return fmt.Errorf("%s holds other files but no %s: give an empty directory or a new one: %w", c.dir, databaseName, driver.ErrNotStore)
		}
	}
	return nil
}

// close ends everything. No call is running any more.
func (c *core) close() error {
	var errs []error
	c.watches.close()
	if c.maintainer != nil {
		errs = append(errs, c.maintainer.close())
	}
	errs = append(errs, c.readers.close())
	if c.writer != nil {
		errs = append(errs, c.writer.close())
	}
	errs = append(errs, c.sessions.close(), c.watches.release())
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

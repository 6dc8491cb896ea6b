package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
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
//
// Lock order: whoever holds one of these takes only later ones.
//
//   - durable.backpressure, of a writer that has handed the lead over,
//   - the lead of the writer's group (package group),
//   - the turn among processes (package turnstile),
//   - durable.hardening,
//   - SQLite's write lock,
//   - pool.mu, maintainer.mu, durable.mu, core.mu and the locks of the packages below
//     internal. None of the engine's is taken meanwhile; pool.mu is held while idle
//     connections are closed, which takes SQLite's mutexes and that of package vfs.
//
// cores.mu is taken while none of them is held, and only osfs is used meanwhile.
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
	watchers   *notify.Watchers
	values     *valuefile.Files
	durable    durable
	presence   presence
	near       nearCache
	reserve    *wal.Reserve
	wal        *wal.Log // of the writer
	counters   counters
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

// open opens the directory. If it fails, nothing stays open.
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

// openFiles opens the database, and starts what works on it. If it fails, it closes what it has
// opened.
func (c *core) openFiles(ctx context.Context, inUse bool) (err error) {
	var undo []func() error // called from last to first if opening fails
	defer func() {
		if err != nil {
			for _, closes := range slices.Backward(undo) {
				err = errors.Join(err, closes())
			}
		}
	}()
	if err := c.prepareDir(inUse); err != nil {
		return err
	}
	if err := c.openDatabase(); err != nil {
		return err
	}
	undo = append(undo, c.closeDatabase)
	c.readers = newPool(c)
	undo = append(undo, c.readers.close)
	c.durable.core = c
	c.openValues()
	c.reserve.Look()
	if err := c.openSchema(ctx); err != nil {
		return err
	}
	c.openWatchers()
	if c.hints, err = near.NewHints(c.opts.CacheSize * 2 / 3); err != nil {
		c.log.Debug("rows are looked up with the index of keys only", "error", err)
	}
	undo = append(undo, c.hints.Close)
	if c.opts.ReadOnly {
		return c.needsNoMending()
	}
	return c.openForWriting(ctx, &undo)
}

// openSchema checks the schema, and finds out how the database can be read.
func (c *core) openSchema(ctx context.Context) error {
	err := c.checkSchema(ctx)
	if err != nil && c.isFrozen() {
		c.immutable = true
		err = c.checkSchema(ctx)
	}
	if sqlite3.IsCantOpen(err) && !c.canWrite() {
		err = fmt.Errorf("%w: SQLite cannot make a file in the directory that it needs: %w", driver.ErrPermission, err)
	}
	return err
}

// openForWriting mends the log, opens the writer and the near cache, and starts the maintainer. It
// adds to undo what is to be closed if it fails.
func (c *core) openForWriting(ctx context.Context, undo *[]func() error) (err error) {
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
		return translate(err)
	}
	if err := c.openSignals(); err != nil {
		return err
	}
	*undo = append(*undo, c.watchers.Close)
	if c.writer, err = openWriter(ctx, c, deadline); err != nil {
		return err
	}
	*undo = append(*undo, c.writer.close)
	if c.opts.JournalMode == JournalWAL {
		if err := c.near.open(c); err != nil {
			return err
		}
	}
	c.maintainer = newMaintainer(c)
	c.maintainer.synced(synced)
	go c.maintainer.run()
	return nil
}

// close ends everything. No call is running any more.
func (c *core) close() error {
	var errs []error
	c.watchers.EndWatches()
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
	errs = append(errs, c.sessions.Close(), c.watchers.Close(), c.hints.Close(), c.closeDatabase(), c.files.Close())
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

// numbered returns the collection of a name that is open in this process, if it has that
// number, or else a new one.
func (c *core) numbered(name string, id int64) *collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.colls[name]; old != nil && old.id == id && !old.dropped.Load() {
		return old
	}
	return newCollection(c, name, id)
}

// adopt makes coll the collection of its name in this process. If another goroutine has
// opened the same one meanwhile, adopt returns that: its settings are at least as new.
func (c *core) adopt(coll *collection) *collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.colls[coll.name]
	if old != nil && old.id == coll.id && !old.dropped.Load() {
		old.codecs.Store(coll.codecs.Load())
		return old
	}
	if old != nil {
		old.dropped.Store(true)
	}
	c.colls[coll.name] = coll
	return coll
}

// opened returns the collections that are open in this process.
func (c *core) opened() []*collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*collection, 0, len(c.colls))
	for _, coll := range c.colls {
		out = append(out, coll)
	}
	return out
}

package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

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
	// Before the lock: a file system that does not answer keeps nobody but those from
	// opening a store who want one of its directories.
	info, err := osfs.Stat(dir)
	db, dbErr := osfs.Lstat(filepath.Join(dir, databaseName))
	cores.mu.Lock()
	defer cores.mu.Unlock()
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

// dropCore takes a core off the list.
func dropCore(c *core) {
	cores.mu.Lock()
	defer cores.mu.Unlock()
	cores.list = slices.DeleteFunc(cores.list, func(o *core) bool { return o == c })
}

// releaseCore is called by a handle that is closed. The last handle of a core closes the core.
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

// Package sqlite is the engine that keeps a store in a directory: one SQLite
// database in WAL mode, and large values in files beside it. The default
// collection of a directory is a directory of Python's DiskCache 5, which may
// use it at the same time.
//
// Programs open it with cache.OpenStore. DESIGN.md, beside package cache,
// describes the format and the invariants.
//
// # Trust
//
// A user who may write to the directory can change what the store answers, and keep
// the store from working. He can do no more: nothing outside of the directory is read,
// changed or removed, whatever is put there, and nothing waits for a pipe or a
// device. The engine reaches all files but SQLite's own three from an open descriptor
// of the directory, through folders that are no symbolic links, and opens regular files
// only. If something else is in the place of a file, the error is [driver.ErrNotStore], or
// for a value [driver.ErrCorrupt]. It is [driver.ErrNotStore], too, if cache.db is a
// symbolic link, or has several names and is to be written to: each of the names would
// have locks of its own. The path of the directory may contain symbolic links.
//
// Files that processes share, by a lock, a map or as SQLite's log, must belong to
// this user or to the owner of cache.db. Others are [driver.ErrPermission]: the user who
// made such a file could read what is written to it. If users other than this one and
// root can write to the directory, the Logger is told when the store is opened.
//
// New files have the owner, the group and the rights to read and write of
// cache.db, as far as this process may give them; so root does not lock the
// owner out. A new cache.db is for its user only (0600), and belongs to the owner
// of the directory if root makes it. In a directory with the set-group-ID bit
// to which its group may write (2770) it is for the group too (0660), which may
// then share the store, if nobody else can write to the directory. To share a
// store that exists: chgrp -R it, chmod -R g+rwX, and chmod g+s its folders.
// Windows has none of these owners and rights: files inherit those of the
// directory.
//
// Several files of the directory are mapped into memory. If another program cuts
// cache.db-near2 or cache.db-watch short while they are open, the store is slower
// until it is opened again, and tells its Logger. If it cuts cache.db-shm short,
// which is SQLite's, the kernel ends every process that has the store open, with
// SIGBUS: leave that file alone.
//
// A process that has a store open should not open cache.db or cache.db-shm by other
// means, such as a copy or a file server, unless it runs on Linux: on other
// Unix systems SQLite's locks vanish when the process closes any descriptor of
// these files, and two writers are possible. Use Backup.
package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Store is a handle of an opened directory. All handles that one process has
// of a directory share its connections, which are opened with the options of
// the first; Timeout belongs to the handle, a read-only handle has connections
// of its own, and another Synchronous or JournalMode is an error.
type Store struct {
	core    *core
	timeout time.Duration
	gate    gate
}

var _ driver.Store = (*Store)(nil)

// Open opens the store in the directory dir and creates both if they do not
// exist. A directory that holds other files but no store is refused with
// [driver.ErrNotStore], since a check would take those files for left-overs.
// Any number of processes may open a directory at the same time.
func Open(ctx context.Context, dir string, o *Options) (*Store, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrInvalid, err)
	}
	if dir == "" {
		return nil, fmt.Errorf("no directory given: %w", driver.ErrNotStore)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := checkLength(dir); err != nil {
		return nil, err
	}
	c, err := acquireCore(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	return &Store{core: c, timeout: opts.Timeout}, nil
}

// Close ends the handle, and with the last handle of the directory everything
// behind it. It waits for calls that are running.
func (s *Store) Close() error {
	if !s.gate.close() {
		return nil
	}
	s.core.watchers.EndWatchesOf(s)
	s.core.sessions.EndWatchesOf(s)
	return releaseCore(s.core)
}

// Dir returns the directory's absolute path.
func (s *Store) Dir() string { return s.core.dir }

// ReadOnly reports whether the store was opened for reading only.
func (s *Store) ReadOnly() bool { return s.core.opts.ReadOnly }

// deadline returns the moment at which a wait that starts now is given up, or
// the zero time.
func (s *Store) deadline() time.Time {
	if s.timeout < 0 {
		return time.Time{}
	}
	return time.Now().Add(s.timeout)
}

// View implements [driver.Store].
func (s *Store) View(ctx context.Context, fn func(driver.Tx) error) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.core.view(ctx, s.timeout, fn)
}

// Update implements [driver.Store]. One transaction writes at a time, whatever it
// touches.
func (s *Store) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, _ ...driver.Collection) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.core.writer.update(ctx, s.deadline(), mode, fn)
}

// Get implements [driver.Store].
func (s *Store) Get(ctx context.Context, c driver.Collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	if err := s.gate.enter(); err != nil {
		return driver.Row{}, false, err
	}
	defer s.gate.leave()
	coll, err := s.core.own(c)
	if err != nil {
		return driver.Row{}, false, err
	}
	return s.core.get(ctx, s.timeout, coll, key, l)
}

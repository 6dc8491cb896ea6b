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
// Whoever may write to the directory can change what the store answers, and keep
// it from working. He can do no more: nothing outside of the directory is read,
// changed or removed, whatever is put there, and nothing waits for a pipe or a
// device. All files but SQLite's own three are reached from an open descriptor
// of the directory, through folders that are no symbolic links, and are regular.
// What is in the place of one and is not that is [driver.ErrNotStore], or for a
// value [driver.ErrCorrupt]; so is a cache.db that is a symbolic link, or that
// has several names and is to be written to: each of the names would have locks of
// its own. The path of the directory may contain symbolic links.
//
// Files that processes share, by a lock, a map or as SQLite's log, must belong to
// this user or to the owner of cache.db. Others are [driver.ErrPermission]: whoever
// made one could read what is written to it. If users other than this one and
// root can write to the directory, the Logger is told when the store is opened.
//
// What is made has the owner, the group and the rights to read and write of
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
	"log/slog"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Options of Open. The zero value of each field is its default.
type Options struct {
	// Timeout bounds each wait for other writers. Defaults to a minute; a
	// negative one waits as long as the context does.
	Timeout time.Duration

	// ReadOnly opens an existing store for reading. Nothing is written to the
	// directory, bookkeeping of reads included.
	ReadOnly bool

	// Synchronous says what a commit waits for. Defaults to SyncNormal.
	Synchronous Synchronous

	// JournalMode is SQLite's journal mode. Defaults to JournalWAL. With any
	// other one readers and writers wait for each other.
	JournalMode JournalMode

	// AutoVacuum says when free pages go back to the file system; it counts
	// when the database is created. Defaults to VacuumFull, at every commit.
	AutoVacuum AutoVacuum

	// CacheSize is the memory, in bytes, that all connections of the store
	// together may use for pages. Up to two thirds more, at most 8 MiB, are for
	// where rows were last. Defaults to DefaultCacheSize; at least 1 MiB is
	// used, and in a 32-bit process at most 256 MiB.
	CacheSize int64

	// MmapSize is how much of the database, in bytes, is read through a
	// memory map. Defaults to none: mapped pages count as resident memory. In a
	// 32-bit process it is at most 64 MiB, since each connection has a map.
	MmapSize int64

	// NearCache is the memory, in bytes, for copies of rows that Get answers
	// from while nobody has changed them. Defaults to DefaultNearCache; a
	// negative one is none. There is none either on Windows, in other journal
	// modes than JournalWAL, if ReadOnly, and in a 32-bit process whose stores
	// have 512 MiB together already.
	NearCache int64

	// MaxWALSize is the size in bytes to which the log is kept, but for what one
	// commit writes: it is copied to the database from an eighth of it, and begins
	// anew from half of it if that takes hardly any time, and in any case at all
	// of it, for which writers wait. While a View stays open the log cannot begin
	// anew, and grows. Defaults to 128 MiB; at least 1 MiB is used.
	MaxWALSize int64

	// AllowNetwork opens a directory on a network file system too, and in a
	// folder that a virtual machine shares with its host, or on Linux on a file
	// system in user space (FUSE) that is not known to be a local one. SQLite's
	// locks are not reliable there: two machines that use the directory at once
	// will corrupt it. Defaults to [driver.ErrNetwork].
	AllowNetwork bool

	// Logger is told what maintenance does. Defaults to none.
	Logger *slog.Logger

	// Ungrouped gives each write a commit of its own. Defaults to grouping
	// those that wait at the same time.
	Ungrouped bool

	// PageSize of a database that is created, in bytes: a power of two from
	// 512 to 65536. Defaults to 4096.
	PageSize int

	// allShared is for tests: no named collection gets tables of its own.
	allShared bool
	// lockFiles is for tests: sessions do without locks on bytes, as on systems
	// that have none.
	lockFiles bool
}

// Synchronous says what a commit waits for.
type Synchronous string

// What survives what: see package cache on durability.
const (
	SyncNormal Synchronous = "normal" // any process may die; a power cut may undo the last commits, and leaves the store whole
	SyncFull   Synchronous = "full"   // the power may be cut after any commit
	SyncOff    Synchronous = "off"    // any process may die; a power cut may corrupt the database
)

// pragma returns SQLite's name for it. Without a log, only with EXTRA the end of
// the rollback journal is on the disk when a commit returns; and with NORMAL a power
// cut in the midst of writing the journal can corrupt the database, since what SQLite
// then rolls back has passed no more than a weak checksum.
func (s Synchronous) pragma(mode JournalMode) string {
	switch {
	case s == SyncFull:
		return "EXTRA"
	case s == SyncNormal && mode != JournalWAL:
		return "FULL"
	}
	return string(s)
}

// JournalMode is one of SQLite's journal modes.
type JournalMode string

// The journal modes that survive the death of a process.
const (
	JournalWAL      JournalMode = "wal"
	JournalDelete   JournalMode = "delete"
	JournalTruncate JournalMode = "truncate"
	JournalPersist  JournalMode = "persist"
)

// AutoVacuum says when free pages go back to the file system.
type AutoVacuum string

// SQLite's modes of auto_vacuum.
const (
	VacuumFull        AutoVacuum = "full"        // with each commit
	VacuumIncremental AutoVacuum = "incremental" // with Compact
	VacuumNone        AutoVacuum = "none"        // with Compact, which then rewrites the database
)

// Defaults of Options, in bytes.
const (
	DefaultCacheSize = 12 << 20
	DefaultNearCache = 64 << 20 >> (3 * narrow) // an eighth in a 32-bit process
)

const (
	defaultTimeout  = time.Minute
	minCacheSize    = 1 << 20
	maxWALSize      = 128 << 20
	minWALSize      = 1 << 20
	defaultPageSize = 4096

	// narrow is 1 in a 32-bit process. What is scarce there are addresses, and
	// SQLite's library panics where it finds none: see maxCacheSize32,
	// maxMmapSize32 and package near, which take fewer than are asked for.
	narrow         = (64 - strconv.IntSize) / 32
	maxCacheSize32 = 256 << 20
	maxMmapSize32  = 64 << 20
)

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Timeout == 0 {
		out.Timeout = defaultTimeout
	}
	if out.Synchronous == "" {
		out.Synchronous = SyncNormal
	}
	if out.JournalMode == "" {
		out.JournalMode = JournalWAL
	}
	if out.AutoVacuum == "" {
		out.AutoVacuum = VacuumFull
	}
	if out.CacheSize == 0 {
		out.CacheSize = DefaultCacheSize
	}
	out.CacheSize = max(out.CacheSize, minCacheSize)
	out.MmapSize = max(out.MmapSize, 0)
	if out.MaxWALSize == 0 {
		out.MaxWALSize = maxWALSize
	}
	out.MaxWALSize = max(out.MaxWALSize, minWALSize)
	if narrow == 1 {
		out.CacheSize = min(out.CacheSize, maxCacheSize32)
		out.MmapSize = min(out.MmapSize, maxMmapSize32)
	}
	if out.NearCache == 0 {
		out.NearCache = DefaultNearCache
	}
	if out.PageSize == 0 {
		out.PageSize = defaultPageSize
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out, out.validate(o)
}

// validate checks o, which has its defaults, and given, which has not.
func (o *Options) validate(given *Options) error {
	switch {
	case given == nil:
	case given.CacheSize < 0:
		return fmt.Errorf("%w: CacheSize is negative; 0 is the default", driver.ErrInvalid)
	case given.MaxWALSize < 0:
		return fmt.Errorf("%w: MaxWALSize is negative; 0 is the default", driver.ErrInvalid)
	}
	switch o.Synchronous {
	case SyncNormal, SyncFull, SyncOff:
	default:
		return fmt.Errorf("%w: Synchronous %q is none of normal, full, off", driver.ErrInvalid, o.Synchronous)
	}
	switch o.JournalMode {
	case JournalWAL, JournalDelete, JournalTruncate, JournalPersist:
	default:
		return fmt.Errorf("%w: JournalMode %q is none of wal, delete, truncate, persist", driver.ErrInvalid, o.JournalMode)
	}
	switch o.AutoVacuum {
	case VacuumFull, VacuumIncremental, VacuumNone:
	default:
		return fmt.Errorf("%w: AutoVacuum %q is none of full, incremental, none", driver.ErrInvalid, o.AutoVacuum)
	}
	if o.PageSize < 512 || o.PageSize > 65536 || o.PageSize&(o.PageSize-1) != 0 {
		return fmt.Errorf("%w: PageSize %d is not a power of two from 512 to 65536", driver.ErrInvalid, o.PageSize)
	}
	return nil
}

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
	s.core.changes.EndWatchesOf(s)
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

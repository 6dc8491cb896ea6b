package sqlite

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
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
	DefaultNearCache = 64 << 20 >> (3 * is32Bit) // an eighth in a 32-bit process
)

const (
	defaultTimeout  = time.Minute
	minCacheSize    = 1 << 20
	maxWALSize      = 128 << 20
	minWALSize      = 1 << 20
	defaultPageSize = 4096

	// is32Bit is 1 in a 32-bit process. What is scarce there are addresses, and
	// SQLite's library panics where it finds none: see maxCacheSize32,
	// maxMmapSize32 and package near, which take fewer than are asked for.
	is32Bit        = (64 - strconv.IntSize) / 32
	maxCacheSize32 = 256 << 20
	maxMmapSize32  = 64 << 20
)

// withDefaults returns o with the defaults of fields that are zero, in their bounds.
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
	if is32Bit == 1 {
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

// syncing says when value files are synced. A row must not be on the disk for
// good before its file is, and the file that it had before has to stay until the
// row that takes its place is there for good.
type syncing int

const (
	// syncNever: with SyncOff a power cut may leave anything.
	syncNever syncing = iota
	// syncFirst: where a commit waits for the disk, its files have been synced
	// before. Then old files go.
	syncFirst
	// syncLater: with SyncNormal commits are in the log, which is synced before it
	// is copied into the database, and their files before that. Table Unsynced
	// lists those of all processes, from the transactions on that made their rows,
	// since a process that copies the log copies the commits of all. Old files go after
	// that.
	//
	// The kernel may write the log to the disk at any time, and files not. After
	// a power cut, transactions in the log may so lack their files: see mendLog.
	syncLater
)

// syncing says when value files are synced with these options.
func (o *Options) syncing() syncing {
	switch {
	case o.Synchronous == SyncOff:
		return syncNever
	case o.Synchronous == SyncNormal && o.JournalMode == JournalWAL:
		return syncLater
	}
	return syncFirst
}

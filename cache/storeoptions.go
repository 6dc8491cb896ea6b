package cache

import (
	"log/slog"
	"math"
	"time"
)

// StoreOptions say how a store is opened. The zero value of each field is its
// default. They are not stored in the directory, but for the number of shards.
type StoreOptions struct {
	// Shards spreads the default collection over so many databases, in the
	// directories 000, 001 and so on, so that as many processes write to it
	// at once. That pays where commits wait for the disk (SyncFull), or on
	// many processors; where processes that write keep all of them busy, one
	// database is as fast or faster. It is the layout of DiskCache's FanoutCache, and
	// Python finds every key that Go wrote and the reverse. Collections of the
	// families cache, deque and index are in directories below, as
	// FanoutCache's methods of those names make them; package shard tells the
	// details.
	//
	// The number, 1000 at most, belongs to the directory: another one later,
	// or none, is ErrInvalid. These are different with shards:
	//
	//   - A size limit is divided among them: each keeps to its part by
	//     itself, and a value larger than that is ErrTooLarge.
	//   - Insertion order goes shard by shard. Key order is exact.
	//   - An operation on one key takes one shard's lock; everything else,
	//     such as Update and queues of the default collection, that of the
	//     first shard and of those that it needs. Other writers wait only for
	//     those.
	//   - If the process dies while a transaction over several shards is
	//     being committed, it may have happened in some of them only.
	//
	// Defaults to none.
	Shards int

	// Timeout bounds how long a write waits for other writers, in this and in
	// other processes; then it fails with ErrTimeout. A negative Timeout
	// waits as long as the context allows. Defaults to 60 seconds.
	Timeout time.Duration

	// ReadOnly opens an existing store without ever writing to it, not even
	// to count reads. Writes fail with ErrReadOnly.
	ReadOnly bool

	// Synchronous says what a commit waits for. Defaults to SyncNormal.
	Synchronous Synchronous

	// JournalMode is SQLite's journal mode. With any but the default, readers
	// and writers wait for each other. Defaults to JournalWAL.
	JournalMode JournalMode

	// AutoVacuum says how a new database gives pages back to the file system.
	// It has no effect on an existing one. Defaults to VacuumFull.
	AutoVacuum AutoVacuum

	// CacheSize is the memory for database pages, in bytes, of all
	// connections of the store together. Where pages are in the operating
	// system's cache, more of it hardly makes a difference. Up to two thirds
	// more, at most 8 MiB, are for where entries were last. Less than 1 MiB is
	// taken for 1 MiB, and a negative one is ErrInvalid; in a 32-bit process
	// more than 256 MiB is taken for 256 MiB. Shards divide it. Defaults to
	// 12 MiB.
	CacheSize int64

	// MmapSize is how much of the database is read through a memory map, in
	// bytes; with Shards, of each of them. Mapped pages count as memory of the
	// process. A negative MmapSize is none. In a 32-bit process it is at most
	// 64 MiB, since each of the store's connections has a map. Defaults to none.
	MmapSize int64

	// NearCache is the memory, in bytes, for copies of entries that Get
	// answers from, in a fraction of a microsecond. It is coherent: a Get
	// never returns what another process, of whatever program, has changed
	// before. The memory is used as entries are read and written, and counts
	// for the process. A negative NearCache is none. There is none either on
	// Windows, in other journal modes than JournalWAL, if ReadOnly, and in a
	// 32-bit process whose stores have 512 MiB together already.
	// Defaults to 64 MiB, in a 32-bit process to 8 MiB.
	NearCache int64

	// MaxValueSize is the size, in bytes, of the largest encoded value that
	// is held in memory. Reading a larger one from its file, such as Get
	// does, and writing one, such as Set does, is ErrTooLarge; SetFrom and
	// OpenValue, which hold no value in memory, write and read it. A negative
	// MaxValueSize is none. Defaults to 1 GiB, and to 256 MiB where
	// addresses have 32 bits.
	MaxValueSize int64

	// MaxWALSize bounds SQLite's log beside the database (cache.db-wal), in
	// bytes; with Shards, that of each of them. It is exceeded only by what one
	// commit writes, and while a View, an iteration or a Backup stays open, in this
	// or another process: the log cannot begin anew then, and grows by what is
	// written. That is no error; the log is cut again when they have ended. From
	// an eighth of MaxWALSize the log is copied to the database in the
	// background, from half of it it begins anew when that keeps nobody waiting,
	// and at all of it the next writer has it begin anew, for which the others
	// wait. So a smaller one costs more syncs of the disk. Each process keeps to
	// its own MaxWALSize when it writes. Less than 1 MiB is taken for 1 MiB, and a
	// negative one is ErrInvalid. Defaults to 128 MiB.
	MaxWALSize int64

	// AllowNetwork opens a directory on a network file system too, and in a
	// folder that a virtual machine shares with its host, or on Linux on a file
	// system in user space (FUSE) that is not known to be a local one. Locks are
	// not reliable there: two machines at once will corrupt it. Defaults to
	// ErrNetwork.
	AllowNetwork bool

	// Logger is told what maintenance does, and what BestEffort and
	// SkipUndecodable swallow. Defaults to none.
	Logger *slog.Logger

	// Now is the clock by which entries expire. Defaults to time.Now.
	Now func() time.Time
}

// Synchronous says what a commit waits for.
type Synchronous string

// What was acknowledged survives the death of any process with all of them.
const (
	SyncNormal Synchronous = "normal" // a power cut may undo the last commits, and leaves the store whole
	SyncFull   Synchronous = "full"   // a power cut undoes nothing; each commit waits for the disk
	SyncOff    Synchronous = "off"    // a power cut may corrupt the database
)

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
	VacuumIncremental AutoVacuum = "incremental" // with Store.Compact
	VacuumNone        AutoVacuum = "none"        // with Store.Compact, which then rewrites the database
)

func (o *StoreOptions) withDefaults() StoreOptions {
	var out StoreOptions
	if o != nil {
		out = *o
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case out.MaxValueSize == 0:
		out.MaxValueSize = min(1<<30, (math.MaxInt>>3)+1)
	case out.MaxValueSize < 0:
		out.MaxValueSize = math.MaxInt - 1
	}
	return out
}

func (o *StoreOptions) validate() error {
	if o.CacheSize < 0 {
		return invalid("StoreOptions.CacheSize is negative; 0 is the default")
	}
	if o.MaxWALSize < 0 {
		return invalid("StoreOptions.MaxWALSize is negative; 0 is the default")
	}
	return nil
}

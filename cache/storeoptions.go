package cache

import (
	"log/slog"
	"math"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// StoreOptions say how a store is opened. The zero value of each field is its
// default. They are not stored in the directory, but for the number of shards.
// Shards, SQLite, Timeout and ReadOnly are for OpenStore; NewStore is given an engine
// that knows its own.
type StoreOptions struct {
	// Shards spreads the default collection over so many databases, in the
	// directories 000, 001 and so on, so that as many processes write to it
	// at once. That pays where commits wait for the disk (sqlite.SyncFull), or on
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

	// SQLite has what OpenStore tells the engine that keeps a store in a directory:
	// what a commit waits for, memory for the database's pages and for copies of
	// entries, the size of the log, network file systems. With Shards, each of them
	// has a log of its own, and the memory is divided among them. Its Timeout,
	// ReadOnly and Logger are those below. Defaults to its defaults.
	SQLite *sqlite.Options

	// Timeout bounds how long a write waits for other writers, in this and in
	// other processes; then it fails with ErrTimeout. A negative Timeout
	// waits as long as the context allows. Defaults to 60 seconds.
	Timeout time.Duration

	// ReadOnly opens an existing store without ever writing to it, not even
	// to count reads. Writes fail with ErrReadOnly.
	ReadOnly bool

	// MaxValueSize is the size, in bytes, of the largest encoded value that
	// is held in memory. Reading a larger one from its file, such as Get
	// does, and writing one, such as Set does, is ErrTooLarge; SetFrom and
	// OpenValue, which hold no value in memory, write and read it. A negative
	// MaxValueSize is none. Defaults to 1 GiB, and to 256 MiB where
	// addresses have 32 bits.
	MaxValueSize int64

	// Logger is told what maintenance does, and what BestEffort and
	// SkipUndecodable swallow. Defaults to none.
	Logger *slog.Logger

	// Now is the clock by which entries expire. Defaults to time.Now.
	Now func() time.Time
}

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

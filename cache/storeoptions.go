package cache

import (
	"context"
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
	// Shards is the number of databases that the default collection is spread over:
	// each key belongs to one of them, and as many processes as there are databases
	// can write at the same time. That pays where commits wait for the disk
	// (sqlite.SyncFull), or with many processors. Where the processes that write keep
	// all processors busy, one database is as fast or faster. Defaults to 0, one
	// database.
	//
	// The databases are in the directories 000, 001 and so on, which is the layout of
	// DiskCache's FanoutCache: Python finds what Go has stored, and Go what Python has.
	// Collections of the families cache, deque and index are in directories below, as
	// FanoutCache's methods of those names make them; package shard tells the details.
	//
	// A directory keeps its number, of 1000 at most: to open it with another one, or
	// without, is ErrInvalid. With shards these things are different:
	//
	//   - A size limit is divided among them: each keeps to its part by
	//     itself, and a value larger than that is ErrTooLarge.
	//   - Insertion order goes shard by shard. Key order is exact.
	//   - An operation on one key keeps the writers of one shard waiting. All
	//     others, such as Update and queues of the default collection, keep those of
	//     the first shard waiting, and of the other shards that they use.
	//   - If the process dies while it commits a transaction over several shards,
	//     some of them may have it and others not.
	Shards int

	// SQLite has what OpenStore tells the engine that keeps a store in a directory:
	// what a commit waits for, memory for the database's pages and for copies of
	// entries, the size of the log, network file systems. The memory (CacheSize,
	// NearCache) is that of the whole store: with Shards each of them has a part of it,
	// but a log of its own. Timeout, ReadOnly and Logger in it do not matter: those
	// below do. Defaults to its defaults.
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

	// Observe is called when an operation on the store has ended, outside of
	// transactions, on the goroutine that has called the method: for traces, histograms
	// of how long operations take, or to log slow ones. It must return soon, and may be
	// called by many goroutines at once. For counts see [Store.Metrics], which needs no
	// Observe. Defaults to none, which costs nothing.
	Observe func(ctx context.Context, o Observation)

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

// Package postgres is an engine that keeps a store in a PostgreSQL database, so that
// programs on several machines share its collections, locks, queues and memos:
//
//	engine, err := postgres.Open(ctx, "postgres://app@db.example.org/app", nil)
//	st := cache.NewStore(engine, nil) // and everything else as with a directory
//
// It needs PostgreSQL 15 or later, and rights to create a schema, or to use one that
// somebody has made for it. The tables of a store are in a schema of their own, and
// several stores may be in one database. Programs that open a store at the same time
// make its tables once.
//
// # Transactions
//
// They are serializable, by locks and not by retries: a Shared or Own transaction
// locks the collections that it uses, an Alone transaction the store. These are
// advisory locks, which the server gives up with the transaction or with the
// connection, however that ends. A View is a snapshot and waits for nobody, and nobody
// waits for it.
//
// # What survives
//
// A transaction in a collection that was opened as durable, or that draws a fence, is
// on the server's disk when Update returns, and with a standby if the administrator has
// configured one to be waited for (synchronous_standby_names): synchronous_commit is
// raised to on, never lowered from what is set. Others may be lost if the server
// crashes within a moment, some 600 ms with its defaults; what is left is then what the
// store was after some commit. The death of a client loses no transaction. What its
// Gets and Views of the last second or so have left, counts of accesses, statistics and
// expiries that they have moved, may be lost.
//
// If the connection breaks while a transaction is being committed, the engine finds out
// on another connection whether it was: it takes a lock that the transaction had, and
// looks. If it cannot within half a minute, as the server is not reached or no standby
// confirms the transaction, or if others have committed so much since that there is no
// trace, that is [driver.ErrUncertain].
//
// # Sessions
//
// A session is a connection that holds an advisory lock. It ends when the server
// notices that the connection is gone: at once if the process dies, after some ten
// seconds if its machine or the network does. The owner asks the server every two
// seconds whether it is there, and takes its session for lost six seconds after it has
// sent the last question that was answered; a process that was stopped does so when it
// runs again. Where the server itself ends a connection (an administrator does, or it
// crashes) others may see a session ended before its owner.
//
// # Restores
//
// After a failover, or where a backup was restored with the server's own means, fences go
// on far behind those of before. Where a snapshot of the server's volume was put back,
// only a process can tell that has written since it was taken, and still runs: stop
// programs that use locks before you do that, and let nobody rely on fences of before.
//
// # Clock
//
// Entries expire by the server's clock: [Store.Now].
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Options configure a [Store]. The zero Options, and nil, mean the defaults.
type Options struct {
	// Schema is the database schema that the store is in, a name of at most 63 bytes.
	// Defaults to "diskcache".
	Schema string

	// DirectURL is how to connect to the server itself, a connection string like that of
	// [Open], where that leads to a pooler. The session, watches and locks on large
	// values have connections of their own, which have to go where the server sees that
	// their process is gone. The pooler must pool sessions. Defaults to the other one.
	DirectURL string

	// Timeout limits each wait for other writers, first in this process, then at the
	// server for each lock, before a call fails with [driver.ErrTimeout]. If negative,
	// only its context limits it. Defaults to a minute.
	Timeout time.Duration

	// ReadOnly opens a store that exists and refuses everything that writes. What a
	// read-only store reads is not counted.
	ReadOnly bool

	// Unlogged has a store that Open creates be for caches only: what is written goes to
	// no log of the server, which is faster, and a crash of the server empties all
	// collections, as does a failover. Durable ones, such as the Persistent ones of
	// package cache and those of locks and queues, are refused in such a store, with
	// [driver.ErrInvalid]. It changes nothing of a store that exists.
	Unlogged bool

	// Conns is the most connections that Gets use at the same time. Others wait
	// meanwhile, and then ask together. Each View and Update that runs has a connection
	// besides, and so have the session and the watches of a store. Defaults to 2.
	Conns int

	// NearCache is the memory, in bytes, for copies of rows that Gets are answered
	// with. Before that the server is asked what has changed in the collection, once
	// for all Gets that wait: a Get returns what was so at some moment since its call.
	// Defaults to 64 MiB; if negative, or with ReadOnly, no copies are kept.
	NearCache int64

	// MaxStale is for how long after such a question Gets may be answered with copies
	// without another one, and so not yet know what other programs have written
	// meanwhile. What this store writes they know. Defaults to 0: each Get asks.
	MaxStale time.Duration

	// Logger is told of what goes wrong in the background. Defaults to none.
	Logger *slog.Logger
}

const (
	defaultSchema  = "diskcache"
	defaultTimeout = time.Minute
	defaultConns   = 2
)

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Schema == "" {
		out.Schema = defaultSchema
	}
	if out.Timeout == 0 {
		out.Timeout = defaultTimeout
	}
	if out.Conns <= 0 {
		out.Conns = defaultConns
	}
	if out.NearCache == 0 {
		out.NearCache = defaultNearCache
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

// Open opens the store in the database that dsn names, a URL or a list of keywords and
// values as for libpq, and creates it if there is none. It fails with [ErrServer] if
// the server is too old or is not what the store needs, which the error says, with
// [driver.ErrInvalid] if dsn or the name of the schema cannot be used, with
// [driver.ErrPermission] if the user may not do what is to be done, and with
// [driver.ErrNewerFormat] if a newer version of this package has made the store.
func Open(ctx context.Context, dsn string, o *Options) (driver.Store, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	return open(ctx, config, o.withDefaults())
}

func parse(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err == nil {
		return config, nil
	}
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) { // pgx leaves passwords out of it
		return nil, fmt.Errorf("%w: %w", driver.ErrInvalid, parse)
	}
	return nil, fmt.Errorf("%w: the connection string cannot be read", driver.ErrInvalid)
}

// New is [Open] with the configuration of a pool. The store makes connections of its
// own, as they have settings and locks of its own: it takes none out of the pool, and
// the pool may be closed before the store.
func New(ctx context.Context, pool *pgxpool.Pool, o *Options) (driver.Store, error) {
	return open(ctx, pool.Config().ConnConfig, o.withDefaults())
}

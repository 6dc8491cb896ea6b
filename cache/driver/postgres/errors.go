package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// ErrServer means that a server cannot keep a store: it is too old, or does not do what
// PostgreSQL does, such as a pooler that gives each transaction another connection.
var ErrServer = errors.New("this server cannot keep a store")

var (
	errEnded   = errors.New("postgres: the transaction has ended")
	errNullKey = errors.New("postgres: the key is Null")
	errForeign = errors.New("postgres: the collection was not opened by this store")
	errPolicy  = errors.New("postgres: unknown eviction policy")
	errBadKind = errors.New("postgres: a value outside of its row is a text or a blob")
	errNoFile  = errors.New("postgres: the value is not finished, discarded, already put or of another store")

	// errOrder has a transaction run again, with the locks that it turned out to need.
	errOrder = errors.New("postgres: the transaction runs again, after others")
)

// SQLSTATEs that mean something to callers.
const (
	lockNotAvailable   = "55P03"
	insufficientRights = "42501"
	diskFull           = "53100"
	tooManyConnections = "53300"
	readOnlyServer     = "25006"
)

// failed returns err as callers know it: the cause of ctx's end, if that has ended, and
// one of driver's errors. The server's messages are kept without their details, which
// may have keys in them.
func failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	plain := fmt.Errorf("postgres: %s (SQLSTATE %s)", pg.Message, pg.Code)
	switch pg.Code {
	case lockNotAvailable:
		return fmt.Errorf("%w: what is written inside of a transaction's function must go through the transaction", driver.ErrTimeout)
	case insufficientRights:
		return fmt.Errorf("%w: %w: have the owner of the schema grant its use, or choose another one", driver.ErrPermission, plain)
	case diskFull:
		return fmt.Errorf("%w: %w", driver.ErrFull, plain)
	case tooManyConnections:
		return fmt.Errorf("%w: raise max_connections of the server, or open fewer stores", plain)
	case readOnlyServer:
		return fmt.Errorf("%w: %w", driver.ErrReadOnly, plain)
	}
	return plain
}

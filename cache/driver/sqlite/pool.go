package sqlite

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// pool keeps the connections for reading. A reader never waits for one: when
// all are in use a further one is opened, so that a View inside of a View
// cannot wait for itself, and is closed afterwards.
type pool struct {
	core    *core
	maxIdle int // idle connections that are kept

	mu     sync.Mutex
	idle   []*conn // last in, first out: the one with the warmest cache
	closed bool
}

func newPool(c *core) *pool {
	return &pool{core: c, maxIdle: min(max(runtime.GOMAXPROCS(0), 2), 8)}
}

// cacheSize returns the bytes that a reader may use for pages. The writer
// has as much.
func (p *pool) cacheSize() int64 { return p.core.opts.CacheSize / int64(p.maxIdle+1) }

// take returns a connection, for use until put, whose waits end with ctx or
// after the patience.
func (p *pool) take(ctx context.Context, patience time.Duration) (*conn, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		cn := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		cn.waitFor(ctx, patience)
		return cn, nil
	}
	p.mu.Unlock()
	flags := sqlite3.ReadWrite // needed for a WAL that has to be recovered
	switch {
	case p.core.immutable:
		flags = sqlite3.Immutable
	case p.core.opts.ReadOnly:
		flags = sqlite3.ReadOnly
	}
	cn, err := p.core.openConn(flags, p.cacheSize())
	if err != nil {
		return nil, err
	}
	cn.waitFor(ctx, patience)
	return cn, nil
}

// put gives a connection back. It must have no transaction open.
func (p *pool) put(cn *conn) {
	cn.waitFor(context.Background(), 0)
	p.mu.Lock()
	keeps := !p.closed && len(p.idle) < p.maxIdle && cn.AutoCommit()
	if keeps {
		p.idle = append(p.idle, cn)
	}
	p.mu.Unlock()
	if !keeps {
		cn.Close()
	}
}

// forget drops the statements of a collection in the connections that are
// idle. Others hold statements that fail, which does no harm.
func (p *pool) forget(c *collection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cn := range p.idle {
		cn.forget(c)
	}
}

// drain closes the idle connections: what they know of the database may be
// about to change in ways that SQLite does not expect of one in use.
func (p *pool) drain() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, cn := range p.idle {
		errs = append(errs, cn.Close())
	}
	p.idle = nil
	return errors.Join(errs...)
}

// close closes the idle connections; those in use are closed by put.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.drain()
}

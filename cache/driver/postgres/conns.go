package postgres

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// conns are a store's connections for reads and transactions. There is no upper bound
// to those in use: whoever has one may need another one before giving it back, as
// a function does that reads in its own View, and would otherwise wait for itself.
// Gets, which need one only, use a few of them.
type conns struct {
	config   *pgx.ConnConfig
	settings string // statements for a new connection

	mu      sync.Mutex
	idle    []*pgx.Conn
	closed  bool
	leaving sync.WaitGroup // connections that are being closed
}

// maxIdle is the most connections that are kept while nobody uses them.
const maxIdle = 8

// dialTimeout bounds the making of a connection whose context has no end.
const dialTimeout = 30 * time.Second

func newConns(config *pgx.ConnConfig, o Options) *conns {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	config.OnNotice = func(c *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			c.CustomData()[warnedKey] = n.Message
		}
	}
	// Those of a pool's owner are for other connections: one would take what listeners
	// wait for, and one could let a statement go on after its context.
	config.OnNotification = nil
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn()}
	}
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if tcp, ok := c.(*net.TCPConn); ok && err == nil {
			watchPath(tcp)
		}
		return c, err
	}
	if !o.ReadOnly {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	// The plans that these leave are those which do not go through all rows. They are the
	// same whatever the arguments: it takes longer to plan for an array than to run.
	// The server gives up a client that is silent for ten seconds, with the locks of its
	// transaction: its machine or the network may be gone.
	settings := `SET search_path = ` + pgx.Identifier{o.Schema}.Sanitize() + `;
SET application_name = 'diskcache';
SET default_transaction_isolation = 'read committed';
SET statement_timeout = 0; SET lock_timeout = 0;
SET idle_session_timeout = 0; SET idle_in_transaction_session_timeout = 0;
SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan;
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');
SET default_transaction_read_only = ` + onOff(o.ReadOnly) + `;
SELECT backend_start::text, pid FROM pg_stat_activity WHERE pid = pg_backend_pid()`
	return &conns{config: config, settings: settings}
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// silence is how long a path to the server may be silent that is being used: what waits
// for an answer then fails.
const silence = 10 * time.Second

// watchPath has the system notice that a path is dead. Where it cannot, what waits for
// an answer waits for as long as the system does by itself.
func watchPath(c *net.TCPConn) {
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3})
	limitSilence(c)
}

// dial makes a connection.
func (p *conns) dial(ctx context.Context) (*pgx.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := pgx.ConnectConfig(limited, p.config)
	if err != nil {
		return nil, failed(ctx, err)
	}
	results, err := c.PgConn().Exec(limited, p.settings).ReadAll()
	if err != nil {
		p.hangUp(c)
		return nil, failed(ctx, err)
	}
	self := results[len(results)-1].Rows[0]
	c.PgConn().CustomData()[startKey], c.PgConn().CustomData()[pidKey] = string(self[0]), string(self[1])
	// A backend that waits for a lock notices the end of its client. Servers on some
	// systems cannot do that.
	_, _ = c.PgConn().Exec(limited, `SET client_connection_check_interval = '1s'`).ReadAll()
	return c, nil
}

// startKey is where a connection keeps when its backend began: with the process id that
// tells it from all others.
const startKey = "diskcache.start"

// pidKey is where a connection keeps that id: a pooler has told the client another one.
const pidKey = "diskcache.pid"

// warnedKey is where a connection keeps the server's last warning. One at a COMMIT means
// that its wait for standbys was cancelled, and is all that tells.
const warnedKey = "diskcache.warned"

// unwarned forgets a connection's last warning.
func unwarned(c *pgx.Conn) { delete(c.PgConn().CustomData(), warnedKey) }

// warned returns an error if the server has warned since.
func warned(c *pgx.Conn) error {
	if said := c.PgConn().CustomData()[warnedKey]; said != nil {
		return fmt.Errorf("postgres: the server warns: %v", said)
	}
	return nil
}

func startOf(c *pgx.Conn) string {
	start, _ := c.PgConn().CustomData()[startKey].(string)
	return start
}

func pidOf(c *pgx.Conn) string {
	pid, _ := c.PgConn().CustomData()[pidKey].(string)
	return pid
}

// get returns a connection, and whether it is a new one. One that is not may have
// been cut since it was last used.
func (p *conns) get(ctx context.Context) (c *pgx.Conn, fresh bool, err error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	closed := p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, false, driver.ErrClosed
	case c != nil:
		return c, false, nil
	}
	c, err = p.dial(ctx)
	return c, true, err
}

// put takes a connection back, unless it is broken or in a transaction.
func (p *conns) put(c *pgx.Conn) {
	if c.IsClosed() || c.PgConn().IsBusy() || c.PgConn().TxStatus() != 'I' {
		p.hangUp(c)
		return
	}
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < maxIdle
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		p.hangUp(c)
	}
}

// drop closes all connections that are not in use, since one of them was cut.
func (p *conns) drop() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		p.hangUp(c)
	}
}

func (p *conns) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop()
	p.leaving.Wait()
}

// hangUpTimeout bounds saying goodbye to the server.
const hangUpTimeout = 5 * time.Second

// hangUp closes a connection. One that is broken, or whose context has ended, is being
// closed already, which may take long where the server does not answer.
func (p *conns) hangUp(c *pgx.Conn) {
	if c.IsClosed() {
		p.leaving.Go(func() { <-c.PgConn().CleanupDone() })
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangUpTimeout)
	defer cancel()
	_ = c.Close(ctx) // the server notices, one way or the other
	<-c.PgConn().CleanupDone()
}

// with calls fn with a connection. fn, which must be one that can be called again, is
// called again with a new connection if the first was cut before.
func (p *conns) with(ctx context.Context, fn func(c *pgx.Conn) error) error {
	for {
		c, fresh, err := p.get(ctx)
		if err != nil {
			return err
		}
		err = fn(c)
		cut := err != nil && c.IsClosed() && ctx.Err() == nil
		p.put(c)
		if cut && !fresh {
			p.drop()
			continue
		}
		if cut {
			return fmt.Errorf("postgres: the connection to the server is lost: %w", err)
		}
		return failed(ctx, err)
	}
}

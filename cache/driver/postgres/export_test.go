package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// LoseSession has the session of a store be lost, if it has one.
func LoseSession(s driver.Store) { s.(*Store).sessions.lose() }

// Committing has fn be called before and after a COMMIT is sent, and patience bound what
// is done about one without an answer.
func Committing(s driver.Store, patience time.Duration, fn func(c *pgx.Conn, sent bool)) {
	s.(*Store).patience, s.(*Store).committing = patience, fn
}

// Backend returns the process that serves a transaction.
func Backend(x driver.Tx) uint32 { return x.(*tx).conn.PgConn().PID() }

// SessionBackend returns the process that serves the session of a store.
func SessionBackend(s driver.Store) uint32 { return s.(*Store).sessions.current.conn.PgConn().PID() }

// ListenerBackends returns the processes that listen for some store.
func ListenerBackends(ctx context.Context, c *pgx.Conn) ([]int32, error) {
	rows, err := c.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE 'SELECT o.c, coalesce(h.seen%'`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int32])
}

// Leading returns when a Shared transaction leads others.
func Leading(s driver.Store) {
	gs := &s.(*Store).groups
	for n := 0; n == 0; time.Sleep(time.Millisecond) {
		gs.mu.Lock()
		n = len(gs.of)
		gs.mu.Unlock()
	}
}

// Waiting returns when n Shared transactions wait for the one that leads them.
func Waiting(s driver.Store, n int) {
	gs := &s.(*Store).groups
	for {
		gs.mu.Lock()
		waiting := 0
		for _, g := range gs.of {
			waiting += len(g.waiting)
		}
		gs.mu.Unlock()
		if waiting >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Viewing returns when n Views have begun and not ended, or wait to begin.
func Viewing(s driver.Store, n int) {
	vs := &s.(*Store).views
	for {
		vs.mu.Lock()
		running := len(vs.running)
		vs.mu.Unlock()
		if running == n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Closing ends what Close ends before it waits for calls that run.
func Closing(s driver.Store) { s.(*Store).close(driver.ErrClosed) }

// Sweep removes some of what nobody can reach any more, if nobody else does. before is
// called before dropped collections are forgotten.
func Sweep(ctx context.Context, s driver.Store, before func()) error {
	_, err := s.(*Store).sweepSome(ctx, before)
	return err
}

// PinBackend returns the process that has the pins of a store.
func PinBackend(s driver.Store) uint32 { return s.(*Store).pins.conn.PgConn().PID() }

// PinLock returns the lock that pins a value.
func PinLock(s driver.Store, value int64) (int32, int32) {
	return s.(*Store).locks + lockValue, pinOf(value)
}

// Redial has a store make new connections.
func Redial(s driver.Store) { s.(*Store).conns.drop() }

// Asking returns when exactly n Gets wait for those that ask the server.
func Asking(s driver.Store, n int) {
	a := &s.(*Store).asks
	for {
		a.mu.Lock()
		waiting, leaders := len(a.waiting), a.leaders
		a.mu.Unlock()
		if waiting == n && leaders > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Trips returns how often Gets have asked the server.
func Trips(s driver.Store) uint64 {
	n := &s.(*Store).near
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trips
}

// Finding has fn be called when a Get has found its row.
func Finding(s driver.Store, fn func()) { s.(*Store).finding = fn }

// AheadOfLog has a store have seen the server's log end somewhere far behind its end.
func AheadOfLog(s driver.Store) { s.(*Store).position.Store(1 << 60) }

// Sleep has the system have slept, until wake is called.
func Sleep(d time.Duration) (wake func()) {
	slept.Store(int64(d))
	return func() { slept.Store(0) }
}

// Setting returns a setting of the server's for the connection of a transaction.
func Setting(ctx context.Context, x driver.Tx, name string) (value string, err error) {
	err = x.(*tx).conn.QueryRow(ctx, `SELECT current_setting($1)`, name).Scan(&value)
	return value, err
}

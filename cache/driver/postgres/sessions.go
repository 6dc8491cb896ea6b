package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

const (
	// pingEvery is how often a session's owner asks whether it is there.
	pingEvery = 2 * time.Second
	// pingValid is for how long an answer counts, since the question.
	pingValid = 6 * time.Second
	// bygone is for how long sessions of before a crash of the server count as alive,
	// which is longer than their owners take them for that.
	bygone = 7 * time.Second
)

// slept is for how long tests have the system sleep.
var slept atomic.Int64

// bootClock is sinceBoot, but in tests.
func bootClock() time.Duration { return sinceBoot() + time.Duration(slept.Load()) }

var started = time.Now()

// sessions are the session of a store, and those that it had before.
type sessions struct {
	turn    chan struct{} // held, by an element in it, while a session begins or ends
	current *session      // nil: none
}

// session is a connection that holds a lock.
type session struct {
	name  string
	n     int32
	conn  *pgx.Conn
	lost  chan struct{}
	stop  context.CancelFunc
	ended chan struct{}      // closed when its goroutine is done, and the connection closed
	valid chan time.Duration // when the last ping was sent that was answered, by sinceBoot
}

func (ss *sessions) init() { ss.turn = make(chan struct{}, 1) }

// Session implements [driver.Store].
func (s *Store) Session(ctx context.Context) (name string, lost <-chan struct{}, err error) {
	if err := s.enter(ctx); err != nil {
		return "", nil, err
	}
	defer s.leave()
	if s.options.ReadOnly {
		return "", nil, driver.ErrReadOnly
	}
	ss := &s.sessions
	select {
	case ss.turn <- struct{}{}:
	case <-ctx.Done():
		return "", nil, context.Cause(ctx)
	}
	defer func() { <-ss.turn }()
	if now := ss.current; now != nil && now.alive() {
		return now.name, now.lost, nil
	}
	begun, err := s.beginSession(ctx)
	if err != nil {
		return "", nil, err
	}
	ss.current = begun
	return begun.name, begun.lost, nil
}

func (s *Store) beginSession(ctx context.Context) (_ *session, err error) {
	c, err := s.direct.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.direct.hangUp(c)
		}
	}()
	if err := s.adopt(ctx, c); err != nil {
		return nil, failed(ctx, err)
	}
	var idle string // after which the server gives up a client that is silent
	if err := c.QueryRow(ctx, `SELECT current_setting('tcp_keepalives_idle')`).Scan(&idle); err != nil {
		return nil, failed(ctx, err)
	}
	if c.PgConn().Conn().RemoteAddr().Network() == "tcp" && idle != "5" {
		return nil, fmt.Errorf("%w: it cannot be told how soon to notice that a client is gone (tcp_keepalives_idle)", ErrServer)
	}
	sn := &session{conn: c, lost: make(chan struct{}), ended: make(chan struct{}), valid: make(chan time.Duration, 1)}
	sent := bootClock()
	var incarnation int64
	var got bool
	if err := c.QueryRow(ctx, `SELECT nextval('session'), (SELECT id FROM incarnation LIMIT 1)`).Scan(&sn.n, &incarnation); err != nil {
		return nil, failed(ctx, err)
	}
	if err := c.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, $2)`, s.locks+lockSession, sn.n).Scan(&got); err != nil {
		return nil, failed(ctx, err)
	}
	if !got {
		return nil, fmt.Errorf("%w: the lock of a new session is taken", ErrServer)
	}
	sn.name = fmt.Sprintf("%d.%d", incarnation, sn.n)
	sn.valid <- sent
	watching, stop := context.WithCancel(context.Background())
	sn.stop = stop
	go sn.watch(watching, s.direct, s.locks)
	return sn, nil
}

// alive reports whether the session is not lost.
func (sn *session) alive() bool {
	select {
	case <-sn.lost:
		return false
	default:
	}
	sent := <-sn.valid
	sn.valid <- sent
	return bootClock()-sent < pingValid
}

// watch waits until the session is to end, or is lost. The server may cut the
// connection, or not answer any more.
func (sn *session) watch(ctx context.Context, conns *conns, locks int32) {
	defer close(sn.ended)
	defer conns.hangUp(sn.conn)
	sent := <-sn.valid
	sn.valid <- sent
	for {
		waiting, cancel := context.WithTimeout(ctx, pingEvery)
		_, err := sn.conn.WaitForNotification(waiting)
		quiet := waiting.Err() != nil
		cancel()
		if ctx.Err() != nil {
			// Others are to see the end when this returns, and not when the server has
			// seen the connection closed.
			end, cancel := context.WithTimeout(context.Background(), hangUpTimeout)
			_, _ = sn.conn.Exec(end, `SELECT pg_advisory_unlock($1, $2)`, locks+lockSession, sn.n)
			cancel()
			return
		}
		if err != nil && !quiet || sn.conn.IsClosed() {
			break
		}
		now := bootClock()
		asking, cancel := context.WithTimeout(ctx, pingValid-(now-sent))
		err = sn.conn.Ping(asking)
		cancel()
		if err != nil && ctx.Err() == nil {
			break
		}
		if err == nil {
			<-sn.valid
			sn.valid <- now
			sent = now
		}
	}
	close(sn.lost)
}

// lose has the session be lost, for tests: its owner is told first.
func (ss *sessions) lose() {
	ss.turn <- struct{}{}
	defer func() { <-ss.turn }()
	if ss.current == nil || !ss.current.alive() {
		return
	}
	close(ss.current.lost)
	ss.current.stop()
	<-ss.current.ended
	ss.current = nil
}

func (ss *sessions) close() {
	ss.turn <- struct{}{}
	defer func() { <-ss.turn }()
	if ss.current != nil {
		ss.current.stop()
		<-ss.current.ended
	}
}

// aliveSQL tells which of the sessions $4, with numbers $3, of incarnations $2, live:
// nobody can have a lock that they hold.
const aliveSQL = `SELECT u.at, CASE
		WHEN i.id IS NULL THEN true
		WHEN i.id <> u.incarnation THEN i.since > clock_timestamp() - $5::interval
		WHEN pg_try_advisory_lock_shared($1, u.n) THEN NOT pg_advisory_unlock_shared($1, u.n)
		ELSE true END
	FROM unnest($2::bigint[], $3::int[], $4::int[]) AS u (incarnation, n, at) LEFT JOIN incarnation i ON true`

// probe reports which of some sessions live, in their order.
func (s *Store) probe(ctx context.Context, c *pgx.Conn, names []string) ([]bool, error) {
	alive := make([]bool, len(names))
	var incarnations []int64
	var ns, at []int32
	for i, name := range names {
		var incarnation int64
		var n int32
		if _, err := fmt.Sscanf(name, "%d.%d", &incarnation, &n); err == nil && fmt.Sprintf("%d.%d", incarnation, n) == name {
			incarnations, ns, at = append(incarnations, incarnation), append(ns, n), append(at, int32(i))
		}
	}
	if len(at) == 0 {
		return alive, nil
	}
	rows, err := c.Query(ctx, aliveSQL, s.locks+lockSession, incarnations, ns, at, bygone)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var i int32
		var lives bool
		if err := rows.Scan(&i, &lives); err != nil {
			return nil, err
		}
		alive[i] = lives
	}
	return alive, rows.Err()
}

// Alive implements [driver.Store].
func (s *Store) Alive(ctx context.Context, session string) (alive bool, err error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	err = s.conns.with(ctx, func(c *pgx.Conn) error {
		all, err := s.probe(ctx, c, []string{session})
		if err == nil {
			alive = all[0]
		}
		return err
	})
	return alive, err
}

// Alive implements [driver.Tx].
func (x *tx) Alive(ctx context.Context, session string) (bool, error) {
	if err := x.usable(ctx); err != nil {
		return false, err
	}
	all, err := x.store.probe(ctx, x.conn, []string{session})
	if err != nil {
		return false, failed(ctx, err)
	}
	return all[0], nil
}

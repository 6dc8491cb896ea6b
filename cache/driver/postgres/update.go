package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Update implements [driver.Store].
func (s *Store) Update(ctx context.Context, mode driver.Mode, fn func(tx driver.Tx) error, touches ...driver.Collection) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	ids := make([]int32, 0, len(touches))
	for _, c := range touches {
		own, err := s.own(c)
		if err != nil {
			return err
		}
		ids = append(ids, own.id)
	}
	run := func(x *tx) error { return fn(x) }
	if mode == driver.Shared {
		return s.shared(ctx, ids, run)
	}
	return s.transact(ctx, mode, ids, run)
}

// job is a transaction that may take several attempts.
type job struct {
	mode   driver.Mode
	alone  bool
	wanted []int32 // collections that are locked first, in ascending order
	wait   func() time.Duration
	turn   *turn
	fn     func(*tx) error
}

// attempts is how often a transaction is tried that finds the collections that it needs
// by and by. Then it runs alone.
const attempts = 3

// errLost means that a transaction was rolled back since its connection was cut.
var errLost = errors.New("postgres: the connection to the server was lost, and the transaction was not committed")

// transact runs fn in a transaction and commits it. With any mode but Alone, fn may run
// again.
func (s *Store) transact(ctx context.Context, mode driver.Mode, ids []int32, fn func(*tx) error) error {
	return s.transactBy(ctx, s.deadline(), mode, ids, fn)
}

// transactBy is transact for a call that waits until deadline for other writers.
func (s *Store) transactBy(ctx context.Context, deadline time.Time, mode driver.Mode, ids []int32, fn func(*tx) error) error {
	if s.options.ReadOnly {
		return driver.ErrReadOnly
	}
	j := &job{mode: mode, alone: mode == driver.Alone, fn: fn, wanted: ordered(ids), wait: func() time.Duration {
		if deadline.IsZero() {
			return 0
		}
		return max(time.Until(deadline), time.Millisecond)
	}}
	for n := 1; ; n++ {
		err := s.turn(ctx, deadline, j)
		again := errors.Is(err, errOrder) || errors.Is(err, errLost) && mode != driver.Alone && n < attempts
		if !again {
			return err
		}
		if n >= attempts {
			j.alone = true
		}
	}
}

// turn runs j once, when it has its turn among the goroutines of this store.
func (s *Store) turn(ctx context.Context, deadline time.Time, j *job) (err error) {
	waiting, stop := s.waiting(ctx)
	j.turn, err = s.turns.lock(waiting, deadline, j.alone, j.wanted)
	stop()
	if err != nil {
		return err
	}
	defer s.turns.unlock(j.turn) // also if fn panics, or ends its goroutine
	return s.attempt(ctx, j)
}

func ordered(ids []int32) []int32 {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}

// attempt runs j's function in a transaction.
func (s *Store) attempt(ctx context.Context, j *job) (err error) {
	x, err := s.begin(ctx, j)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		x.ended = true
		if !done {
			x.rollBack()
		}
		s.conns.put(x.conn)
		x.settle(done)
	}()
	for _, id := range j.wanted {
		if h := x.heads[id]; h != nil && !h.dropped {
			if err := x.write(ctx, h); err != nil {
				return x.fate(ctx, err)
			}
		}
	}
	err = j.fn(x)
	if x.again {
		j.wanted = ordered(append(slices.Clone(j.turn.ids), append(j.wanted, x.missed...)...))
		return errOrder
	}
	if err != nil {
		return x.fate(ctx, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err = x.commit(ctx); err == nil {
		done = true
	}
	return err
}

// fate returns the error of a transaction that is given up: where its connection was
// cut, it may be run again.
func (x *tx) fate(ctx context.Context, err error) error {
	if x.conn.IsClosed() && ctx.Err() == nil {
		x.store.conns.drop()
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

const beginUpdate = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`

// begin begins a transaction with the locks that j wants. What waits for them ends with
// the store.
func (s *Store) begin(ctx context.Context, j *job) (*tx, error) {
	waiting, stop := s.waiting(ctx)
	defer stop()
	for {
		c, fresh, err := s.conns.get(waiting)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		x := &tx{store: s, conn: c, job: j, writable: true, updates: 1, heads: make(map[int32]*head, len(j.wanted))}
		if err = s.adopt(waiting, c); err == nil {
			err = x.lock(waiting)
		}
		if err == nil {
			x.waited = time.Since(began)
			return x, nil
		}
		cut := c.IsClosed() && waiting.Err() == nil
		x.rollBack()
		s.conns.put(c)
		if cut && !fresh {
			s.conns.drop()
			continue
		}
		if cut {
			err = fmt.Errorf("%w: %w", errLost, err)
		}
		return nil, failed(waiting, err)
	}
}

// lock begins the transaction and takes its locks, each with a statement of its own, so
// that what is read behind one sees all that was committed under it.
func (x *tx) lock(ctx context.Context) error {
	s, j := x.store, x.job
	b := &pgx.Batch{}
	b.Queue(beginUpdate)
	b.Queue(`SELECT set_config('lock_timeout', $1, true)`, strconv.FormatInt(j.wait().Milliseconds(), 10))
	if j.alone {
		b.Queue(`SELECT pg_advisory_xact_lock($1, 0)`, s.locks+lockStore)
	} else {
		b.Queue(`SELECT pg_advisory_xact_lock_shared($1, 0)`, s.locks+lockStore)
	}
	for _, id := range j.wanted {
		if !j.alone {
			b.Queue(`SELECT pg_advisory_xact_lock($1, $2)`, s.locks+lockStore, id)
		}
	}
	for _, id := range j.wanted {
		if id == catalog {
			continue
		}
		h := &head{c: id}
		b.Queue(headSQL, id).QueryRow(func(row pgx.Row) error {
			if err := h.scan(row); err != pgx.ErrNoRows {
				return err
			}
			h.dropped = true
			return nil
		})
		x.heads[id] = h
	}
	if err := x.conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	for _, h := range x.heads {
		s.learn(h)
	}
	return nil
}

// rollTimeout bounds a ROLLBACK.
const rollTimeout = 5 * time.Second

func (x *tx) rollBack() {
	if x.conn.IsClosed() || x.conn.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollTimeout)
	defer cancel()
	_, _ = x.conn.Exec(ctx, `ROLLBACK`) // if it fails, the connection is closed
}

// commitTimeout bounds the wait for the answer to a COMMIT, and then the search for what
// became of it.
const commitTimeout = 30 * time.Second

// commit commits the transaction and tells those who watch what it has changed.
func (x *tx) commit(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.store.patience)
	defer cancel()
	s := x.store
	b := &pgx.Batch{}
	taken, err := x.tally(ctx)
	if err != nil {
		return err
	}
	for id, n := range taken {
		b.Queue(`INSERT INTO stat AS t (c, hits, misses) VALUES ($1, $2, $3)
			ON CONFLICT (c) DO UPDATE SET hits = t.hits + excluded.hits, misses = t.misses + excluded.misses`, id, n.Hits, n.Misses)
	}
	durable := x.durable()
	if !durable {
		b.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	}
	var changed []*head
	var told []int32
	for _, h := range x.heads {
		kind, some := x.changes[h.c]
		if !some {
			continue
		}
		changed = append(changed, h)
		h.next(b, kind == visible)
		if kind == visible {
			told = append(told, h.c)
		}
	}
	if x.fenced && (len(changed) == 0 || s.unlogged) {
		b.Queue(emitSQL) // what draws a fence and logs nothing would not be on disk, and the fence drawn again after a crash
	}
	if x.swept {
		defer s.keepValues(ctx)()
	}
	before := b.Len()
	b.Queue(`COMMIT`)
	for _, id := range told {
		b.Queue(`SELECT pg_notify($1, $2) WHERE NOT pg_try_advisory_xact_lock($3, $4)`,
			s.channel(), strconv.Itoa(int(id)), s.locks+lockWatch, id)
	}
	if s.committing != nil {
		s.committing(x.conn, false)
	}
	unwarned(x.conn)
	defer s.near.wrote(changed)
	r := x.conn.SendBatch(ctx, b)
	if s.committing != nil {
		s.committing(x.conn, true)
	}
	for range before {
		if _, err = r.Exec(); err != nil {
			break
		}
	}
	if err == nil {
		var tag pgconn.CommandTag
		if tag, err = r.Exec(); err == nil && tag.String() != "COMMIT" {
			err = errRolledBack
		}
	}
	if err == nil {
		s.near.wrote(changed) // before who is told looks
		unconfirmed := warned(x.conn)
		_ = r.Close() // what is told is not missed for long
		s.signal(told)
		if unconfirmed != nil {
			return fmt.Errorf("%w: not all servers that are to have it have confirmed the transaction: %w", driver.ErrUncertain, unconfirmed)
		}
		return nil
	}
	_ = r.Close()
	var pg *pgconn.PgError
	if err == errRolledBack || errors.As(err, &pg) && pg.SeverityUnlocalized == "ERROR" {
		return failed(ctx, err)
	}
	if len(changed) == 0 && !x.fenced {
		return nil // it has changed nothing
	}
	s.conns.drop()
	var found bool
	var uncertain error
	if len(changed) > 0 {
		found, uncertain = s.resolve(x, changed, durable)
	} else if x.job.mode == driver.Alone { // others draw another fence
		uncertain = err
	}
	switch {
	case uncertain != nil:
		return fmt.Errorf("%w: the connection to the server was lost: %w", driver.ErrUncertain, uncertain)
	case !found:
		return fmt.Errorf("%w: %w", errLost, failed(context.Background(), err))
	}
	s.near.wrote(changed)
	s.signal(told)
	return nil
}

var errRolledBack = errors.New("postgres: the server has rolled the transaction back")

// emitSQL writes to the server's log, so that COMMIT waits until the log is where it has
// to be: on disk, and at the standbys that the administrator wants to have it.
const emitSQL = `SELECT pg_logical_emit_message(true, 'diskcache', '')`

// resolve finds out whether x, whose COMMIT was not answered, was committed. Its backend
// has had x's locks since before, and gives them up when that is decided. So whoever has
// one of them next sees what x has changed, or else never will anybody.
func (s *Store) resolve(x *tx, changed []*head, durable bool) (committed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	for {
		committed, err = s.lookFor(ctx, x, changed, durable)
		if err == nil || errors.Is(err, errPruned) || ctx.Err() != nil {
			return committed, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond): // a server that restarts
		}
	}
}

// errPruned means that others have committed so much since that there is no trace.
var errPruned = errors.New("postgres: the changes of that time are gone")

// tracesSQL tells whether there is one of some changes, and whether one that was
// committed would still be there in some collection: the first change is of who makes
// the collection, and would have been removed only with it.
const tracesSQL = `WITH u AS (SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS u (c, n, mark))
	SELECT EXISTS (SELECT FROM u JOIN change USING (c, n, mark)),
		EXISTS (SELECT FROM u WHERE n = 1 OR EXISTS (SELECT FROM collection o WHERE o.c = u.c)
			AND (SELECT coalesce(max(n), 0) FROM change WHERE change.c = u.c) < u.n + $4)`

func (s *Store) lookFor(ctx context.Context, x *tx, changed []*head, durable bool) (committed bool, err error) {
	c, err := s.direct.dial(ctx)
	if err != nil {
		return false, err
	}
	defer s.direct.hangUp(c)
	// The old backend may wait for an answer that will not come.
	_, err = c.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid::text = $1 AND backend_start::text = $2`,
		pidOf(x.conn), startOf(x.conn))
	if err != nil {
		return false, err
	}
	var ids []int32
	var ns, marks []int64
	for _, h := range changed {
		ids, ns, marks = append(ids, h.c), append(ns, h.n), append(marks, h.mark)
	}
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock_shared($1, 0)`, s.locks+lockStore); err != nil {
			return err
		}
		if own := x.job.turn.ids; !x.job.alone && len(own) > 0 {
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, $2)`, s.locks+lockStore, own[0]); err != nil {
				return err
			}
		}
		var known bool
		if err := tx.QueryRow(ctx, tracesSQL, ids, ns, marks, pruneEvery).Scan(&committed, &known); err != nil {
			return err
		}
		switch {
		case !committed && !known:
			return errPruned
		case committed && durable:
			// It may be on this server only: this COMMIT waits for the others.
			_, err := tx.Exec(ctx, emitSQL)
			unwarned(c)
			return err
		}
		return nil
	})
	if err == nil && committed && durable {
		err = warned(c)
	}
	return committed, err
}

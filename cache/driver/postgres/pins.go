package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// pins keep values from being removed that somebody reads, or has not put yet: shared
// advisory locks on a connection of their own. If that breaks, the locks are gone, and
// who reads gets fs.ErrNotExist once the value is.
type pins struct {
	turn chan struct{} // held, by an element in it, while the connection is used
	conn *pgx.Conn     // nil: none
	held map[int32]int // how often each lock is held
}

// maxPins bounds the locks that a store has at the server, which has room for some
// thousands for everybody.
const maxPins = 1000

func (p *pins) init() {
	p.turn = make(chan struct{}, 1)
	p.held = make(map[int32]int)
}

// pinSQL is pinOf of a value's column id.
const pinSQL = `(id % 2147483647 + 1)::int`

// pinOf returns the number of the lock that pins a value. Values of the same number are
// pinned with each other; 0 is that of who sweeps, and of sweeping.
func pinOf(id int64) int32 { return int32(id%(1<<31-1) + 1) }

func (p *pins) add(ctx context.Context, s *Store, value int64) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.turn }()
	id := pinOf(value)
	if p.held[id] > 0 {
		p.held[id]++
		return nil
	}
	if len(p.held) >= maxPins {
		return errors.New("postgres: too many large values are open or being written: close some, or discard them")
	}
	err := p.pin(ctx, s, id)
	if err != nil && ctx.Err() == nil && p.conn != nil && p.conn.IsClosed() {
		err = p.pin(ctx, s, id) // the connection was cut since it was last used
	}
	if err != nil {
		return failed(ctx, err)
	}
	p.held[id] = 1
	return nil
}

// pin gets a lock, on a new connection if there is none. The caller has the turn.
func (p *pins) pin(ctx context.Context, s *Store, id int32) error {
	if p.conn == nil || p.conn.IsClosed() {
		c, err := s.direct.dial(ctx)
		if err != nil {
			return err
		}
		for other := range p.held { // those of the connection before, as far as they still exist
			if err := pinOn(ctx, c, s, other); err != nil {
				s.direct.hangUp(c)
				return err
			}
		}
		p.conn = c
	}
	return pinOn(ctx, p.conn, s, id)
}

// pinTimeout bounds a statement on the connection that pins.
const pinTimeout = 10 * time.Second

// pinEvery is how often a lock is tried that a sweep has.
const pinEvery = 5 * time.Millisecond

// pinOn gets a lock, unless ctx ends first. No statement ends with ctx: that would close
// the connection, and all that is pinned with it would be no more.
func pinOn(ctx context.Context, c *pgx.Conn, s *Store, id int32) error {
	try := func() (got bool, err error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), pinTimeout)
		defer cancel()
		err = c.QueryRow(limited, `SELECT pg_try_advisory_lock_shared($1, $2)`, s.locks+lockValue, id).Scan(&got)
		return got, err
	}
	for {
		if got, err := try(); err != nil || got {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pinEvery):
		}
	}
}

func (p *pins) remove(s *Store, value int64) {
	id := pinOf(value)
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.held[id] > 1 {
		p.held[id]--
		return
	}
	delete(p.held, id)
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangUpTimeout)
	defer cancel()
	_, _ = p.conn.Exec(ctx, `SELECT pg_advisory_unlock_shared($1, $2)`, s.locks+lockValue, id) // or the connection is closed
}

func (p *pins) close(s *Store) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.conn != nil {
		s.direct.hangUp(p.conn)
		p.conn = nil
	}
}

// sweepLimit is how much is removed in one transaction.
const sweepLimit = 1000

// sweep removes what nobody can reach any more: rows of dropped collections, and values
// that no row has and nobody has pinned. A store looks when it has left some, and after
// it was opened, for what others may have left.
func (s *Store) sweep(ctx context.Context) {
	if s.options.ReadOnly || !s.unswept.Swap(false) {
		return
	}
	for {
		more, err := s.sweepSome(ctx, nil)
		if err != nil {
			s.unswept.Store(true)
			if ctx.Err() == nil {
				s.options.Logger.Warn("what was dropped still takes room", "err", err)
			}
			return
		}
		if !more {
			return
		}
	}
}

// sweepSome removes a part of it. before, if it is not nil, is called before dropped
// collections are forgotten.
func (s *Store) sweepSome(ctx context.Context, before func()) (more bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	err = s.conns.with(ctx, func(c *pgx.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			// One sweeps at a time.
			var turn bool
			err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1, 0)`, s.locks+lockValue).Scan(&turn)
			if err != nil || !turn {
				s.unswept.Store(true)
				return err
			}
			// Only those that are dropped now: each statement sees what is dropped
			// meanwhile, and the last one must not leave entries without a collection.
			rows, err := tx.Query(ctx, `SELECT c FROM collection WHERE dropped`)
			if err != nil {
				return err
			}
			dropped, err := pgx.CollectRows(rows, pgx.RowTo[int32])
			if err != nil {
				return err
			}
			// Their values, with their rows.
			tag, err := tx.Exec(ctx, `WITH gone AS (
					DELETE FROM entry USING (SELECT e.c, e.id FROM unnest($2::int[]) AS o (c) CROSS JOIN LATERAL (SELECT c, id FROM entry WHERE c = o.c LIMIT $1) e LIMIT $1) old
					WHERE entry.c = old.c AND entry.id = old.id RETURNING entry.value
				) UPDATE value SET dead = true WHERE id IN (SELECT value FROM gone WHERE value IS NOT NULL)`, sweepLimit, dropped)
			if err != nil {
				return err
			}
			more = tag.RowsAffected() > 0
			var left bool
			err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM unnest($1::int[]) AS o (c) WHERE EXISTS (SELECT FROM entry WHERE c = o.c))`, dropped).Scan(&left)
			if err != nil {
				return err
			}
			if left {
				more = true
				return nil
			}
			if before != nil {
				before()
			}
			for _, table := range []string{"change", "stat", "collection"} {
				if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE c = ANY($1)`, dropped); err != nil {
					return err
				}
			}
			rows, err = tx.Query(ctx, `SELECT id FROM value WHERE (NOT linked OR dead) AND pg_try_advisory_xact_lock($1, `+pinSQL+`) LIMIT $2`, s.locks+lockValue, sweepLimit/10)
			if err != nil {
				return err
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil || len(ids) == 0 {
				return err
			}
			// Under the locks, as it may have been linked meanwhile.
			rows, err = tx.Query(ctx, `DELETE FROM value WHERE id = ANY($1) AND (NOT linked OR dead) RETURNING id`, ids)
			if err != nil {
				return err
			}
			if ids, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
				return err
			}
			more = more || len(ids) > 0
			_, err = tx.Exec(ctx, `DELETE FROM chunk WHERE value = ANY($1)`, ids)
			return err
		})
	})
	return more, err
}

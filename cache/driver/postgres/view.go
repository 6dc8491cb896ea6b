package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// View implements [driver.Store].
func (s *Store) View(ctx context.Context, fn func(driver.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.read.Store(true)
	if err := s.tryFlush(ctx); err != nil {
		return err
	}
	n, ready := s.views.begin()
	defer s.endView(n)
	if ready != nil {
		select {
		case <-ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	var x *tx
	err := s.snapshot(ctx, func(c *pgx.Conn) { x = &tx{store: s, conn: c, heads: make(map[int32]*head)} })
	if err != nil {
		return err
	}
	defer func() {
		x.ended = true
		x.rollBack()
		s.conns.put(x.conn)
	}()
	return fn(x)
}

// snapshot begins a transaction that reads. The snapshot is that of its first
// statement, not of BEGIN.
func (s *Store) snapshot(ctx context.Context, begun func(c *pgx.Conn)) error {
	for {
		c, fresh, err := s.conns.get(ctx)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
		b.Queue(`SELECT 1`)
		if err = c.SendBatch(ctx, b).Close(); err == nil {
			begun(c)
			return nil
		}
		cut := c.IsClosed() && ctx.Err() == nil
		s.conns.put(c)
		if !cut || fresh {
			return failed(ctx, err)
		}
		s.conns.drop()
	}
}

// Get implements [driver.Store].
func (s *Store) Get(ctx context.Context, c driver.Collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Row{}, false, err
	}
	defer s.leave()
	own, err := s.own(c)
	if err != nil {
		return driver.Row{}, false, err
	}
	s.read.Store(true)
	for {
		flushes := s.marks.flushed(own.id).Load()
		r, found, err := s.find(ctx, own, key, l.Bare)
		if err != nil {
			return driver.Row{}, false, err
		}
		if s.finding != nil {
			s.finding()
		}
		settings := own.Settings()
		if found {
			l.Now, l.Clock = l.Instant(), nil // not with a lock held
			var ok bool
			if found, ok = s.marks.leave(flushes, own.id, &settings, &r, &l, !s.options.ReadOnly); !ok {
				continue
			}
		}
		if settings.Statistics && !l.Quiet && !s.options.ReadOnly {
			s.stats.add(own.id, one(found))
			s.counters.read(own.id, one(found))
		}
		if !found {
			return driver.Row{}, false, nil
		}
		return r.Row, true, nil
	}
}

// find returns the row of a key as it was at some moment since the call, or, with
// MaxStale, a little before: a copy of it, or the server's.
func (s *Store) find(ctx context.Context, c *collection, asked codec.Value, bare bool) (r row, found bool, err error) {
	k := keyOf(asked)
	some, fresh := s.near.has(c.id, k)
	if some && !fresh {
		if err := s.ask(ctx, &question{c: c, check: true}); err != nil {
			return r, false, err
		}
	}
	if some {
		if r, ok := s.near.get(c.id, k, asked, bare); ok {
			return r, true, nil
		}
	}
	s.near.missed()
	q := &question{c: c, key: k, asked: asked, bare: bare}
	if err = s.ask(ctx, q); err != nil {
		return r, false, err // who asks for q may still be writing to it
	}
	return q.row, q.found, nil
}

// reread reads settings that have changed.
func (s *Store) reread(ctx context.Context, c *pgx.Conn, id int32) error {
	h, err := readHead(ctx, c, id)
	if err == nil {
		s.learn(h)
	}
	return err
}

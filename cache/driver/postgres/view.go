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

var fastSQL = [2]string{
	`SELECT ` + columnsOf("e", false) + `, o.dropped, o.xmin FROM collection o LEFT JOIN entry e ON e.c = o.c AND e.k = $2 AND e.h = $3 WHERE o.c = $1`,
	`SELECT ` + columnsOf("e", true) + `, o.dropped, o.xmin FROM collection o LEFT JOIN entry e ON e.c = o.c AND e.k = $2 AND e.h = $3 WHERE o.c = $1`,
}

// Get implements [driver.Store], with one statement.
func (s *Store) Get(ctx context.Context, c driver.Collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Row{}, false, err
	}
	defer s.leave()
	own, err := s.own(c)
	if err != nil {
		return driver.Row{}, false, err
	}
	free, err := s.conns.slot(ctx)
	if err != nil {
		return driver.Row{}, false, err
	}
	defer free()
	s.read.Store(true)
	var r row
	var found bool
	var xmin uint32
	k := keyOf(key)
	err = s.conns.with(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, fastSQL[index(l.Bare)], own.id, k.k, k.h)
		if err != nil {
			return err
		}
		defer rows.Close()
		found = false
		exists := false
		for rows.Next() {
			all := cells(rows.RawValues())
			exists = all[width][0] == 0
			xmin = uint32(all.integer(width + 1))
			if found = !all.missing(); found {
				if r, err = all.row(key); err != nil {
					return err
				}
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if !exists {
			return driver.ErrClosed
		}
		if own.known.Load().xmin != xmin {
			return s.reread(ctx, c, own.id)
		}
		return nil
	})
	if err != nil {
		return driver.Row{}, false, err
	}
	settings := own.Settings()
	if found {
		s.marks.overlay(own.id, &r, nil)
		found = !settings.Over(r.Stored, r.Expire, l.Instant())
	}
	if s.options.ReadOnly {
		return r.Row, found, nil
	}
	if settings.Statistics && !l.Quiet {
		s.stats.add(own.id, one(found))
	}
	if !found {
		return driver.Row{}, false, nil
	}
	if m, some := markOf(&settings, &r, &l); some {
		s.marks.add(own.id, &r, m)
	}
	return r.Row, true, nil
}

// reread reads settings that have changed.
func (s *Store) reread(ctx context.Context, c *pgx.Conn, id int32) error {
	h, err := readHead(ctx, c, id)
	if err == nil {
		s.learn(h)
	}
	return err
}

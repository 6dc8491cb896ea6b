package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Check implements [driver.Checker]. The database itself is the administrator's to
// check, with pg_amcheck for instance. What is looked at here is what only this package
// knows: that a collection has as many rows and as large a volume as its newest change
// says, and that each value outside of its row is there, and no other.
func (s *Store) Check(ctx context.Context, mend bool, report func(driver.Problem)) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if mend && s.options.ReadOnly {
		return driver.ErrReadOnly
	}
	found, err := s.problems(ctx)
	if err != nil {
		return err
	}
	for _, p := range found {
		if mend && (p.Kind == driver.WrongCount || p.Kind == driver.WrongVolume) {
			if err := s.recount(ctx, p.id); err != nil {
				return err
			}
			p.Mended = true
		}
		report(p.Problem)
	}
	return nil
}

// problem is a finding in a collection.
type problem struct {
	driver.Problem
	id int32
}

func (s *Store) problems(ctx context.Context) (found []problem, err error) {
	var c *pgx.Conn
	if err := s.snapshot(ctx, func(conn *pgx.Conn) { c = conn }); err != nil {
		return nil, err
	}
	defer func() {
		_, _ = c.Exec(context.WithoutCancel(ctx), `ROLLBACK`)
		s.conns.put(c)
	}()
	rows, err := c.Query(ctx, `SELECT o.c, o.name, coalesce(h.rows, 0), coalesce(h.volume, 0), coalesce(h.expire, 0), e.rows, e.volume, e.expire
		FROM `+headTables+` CROSS JOIN LATERAL (
			SELECT count(*) AS rows, coalesce(sum(weight), 0)::bigint AS volume, coalesce(min(nullif(expire, 0)), 0) AS expire FROM entry WHERE entry.c = o.c
		) e WHERE NOT o.dropped`)
	if err != nil {
		return nil, failed(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int32
		var name []byte
		var count, volume, counted, summed int64
		var bound, first float64
		if err := rows.Scan(&id, &name, &count, &volume, &bound, &counted, &summed, &first); err != nil {
			return nil, failed(ctx, err)
		}
		add := func(kind driver.ProblemKind, detail string) {
			found = append(found, problem{driver.Problem{Kind: kind, Collection: string(name), Detail: detail}, id})
		}
		if count != counted {
			add(driver.WrongCount, "the newest change has another number of rows")
		}
		if volume != summed {
			add(driver.WrongVolume, "the newest change has another volume")
		}
		if first != 0 && (bound == 0 || bound > first) {
			add(driver.WrongCount, "the newest change has a later expiry than the first")
		}
	}
	if err := rows.Err(); err != nil {
		return nil, failed(ctx, err)
	}
	values := func(kind driver.ProblemKind, sql string) error {
		rows, err := c.Query(ctx, sql)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p problem
			var name []byte
			if err := rows.Scan(&name, &p.Row, &p.Path); err != nil {
				return err
			}
			p.Kind, p.Collection = kind, string(name)
			found = append(found, p)
		}
		return rows.Err()
	}
	const joined = `SELECT o.name, e.id, e.value::text FROM entry e JOIN collection o ON o.c = e.c AND NOT o.dropped LEFT JOIN value v ON v.id = e.value AND v.linked AND NOT v.dead
		WHERE e.value IS NOT NULL AND `
	for _, look := range []struct {
		kind driver.ProblemKind
		sql  string
	}{
		{driver.MissingFile, joined + `v.id IS NULL`},
		{driver.WrongSize, joined + `(v.size <> e.size OR v.size <> (SELECT coalesce(sum(length(content)), 0) FROM chunk WHERE value = v.id))`},
		{driver.UnknownFile, `SELECT ''::bytea, 0::bigint, v.id::text FROM value v WHERE v.linked AND NOT v.dead AND NOT EXISTS (SELECT FROM entry e WHERE e.value = v.id)`},
	} {
		if err := values(look.kind, look.sql); err != nil {
			return nil, failed(ctx, err)
		}
	}
	return found, nil
}

// recount has the newest change of a collection be what its rows are.
func (s *Store) recount(ctx context.Context, id int32) error {
	return s.transact(ctx, driver.Own, []int32{id}, func(x *tx) error {
		h, err := x.head(ctx, id)
		if err != nil {
			return err
		}
		x.moved(h)
		err = x.conn.QueryRow(ctx, `SELECT count(*), coalesce(sum(weight), 0)::bigint, coalesce(min(nullif(expire, 0)), 0) FROM entry WHERE c = $1`,
			id).Scan(&h.rows, &h.volume, &h.expire)
		return failed(ctx, err)
	})
}

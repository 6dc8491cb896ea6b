package postgres

import (
	"context"
	"math/rand/v2"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// adoptedKey is where a connection keeps that its server was looked at.
const adoptedKey = "diskcache.adopted"

// fenceGap is what fences skip when the data is a copy of older data: more than were
// drawn since.
const fenceGap = 1 << 32

const lookSQL = `SELECT m.system, m.timeline, i.system, i.timeline, coalesce((SELECT id FROM incarnation), 0),
	CASE WHEN pg_is_in_recovery() THEN 0 ELSE (pg_current_wal_flush_lsn() - '0/0')::bigint END FROM meta m, (` + identity + `) i (system, timeline)`

// adopt looks, once for each connection that writes, whether its server is the one that
// the store was last written by, and tells the store if not. After a failover or a
// restore fences are skipped. Where a snapshot of the server's volume was put back, that
// shows only in a log that ends before the place that this process has seen. After a
// crash there is another incarnation, by which sessions and copies of before are known,
// and after a restore, for which the first who notices sees to it: the next one might end
// sessions that have begun since.
func (s *Store) adopt(ctx context.Context, c *pgx.Conn) error {
	data := c.PgConn().CustomData()
	if data[adoptedKey] != nil {
		return nil
	}
	var incarnation, position int64
	look := func(q interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	}) (same, behind bool, err error) {
		seen := s.position.Load()
		var system, timeline, nowSystem, nowTimeline string
		err = q.QueryRow(ctx, lookSQL).Scan(&system, &timeline, &nowSystem, &nowTimeline, &incarnation, &position)
		return system == nowSystem && timeline == nowTimeline, position < seen, err
	}
	same, behind, err := look(c)
	if err != nil {
		return err
	}
	if !same || behind || incarnation == 0 {
		err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true)`, strconv.FormatInt(max(s.options.Timeout, 0).Milliseconds(), 10)); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, s.locks+lockStore); err != nil {
				return err
			}
			same, behind, err = look(tx)
			if err == nil && (!same || behind) {
				_, err = tx.Exec(ctx, `SELECT setval('fence', last_value + $1) FROM fence`, int64(fenceGap))
				if err == nil {
					_, err = tx.Exec(ctx, `UPDATE meta SET (system, timeline) = (`+identity+`)`)
				}
			}
			if err == nil && (!same || behind && incarnation == s.incarnation.Load()) {
				_, err = tx.Exec(ctx, `DELETE FROM incarnation`)
				incarnation = 0
			}
			if err == nil && incarnation == 0 {
				incarnation = 1 + rand.Int64N(1<<63-1)
				_, err = tx.Exec(ctx, `INSERT INTO incarnation (id, since) VALUES ($1, clock_timestamp())`, incarnation)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	s.position.Store(position)
	s.incarnation.Store(incarnation)
	data[adoptedKey] = true
	return nil
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// version is that of the tables below. A migration only adds to them, so that programs
// of before go on meanwhile.
const version = 1

// oldest is the oldest server, as server_version_num.
const oldest = 150000

// tables are made once, in the schema of the store.
//
//   - entry: the rows of all collections. A key is k, the beginning of its ordered
//     encoding (codec.AppendOrdered), and rest, what follows; h is a hash of rest, as an
//     index takes no long keys. kk, vk and tk are kinds. rank is what the policy goes by,
//     NULL if nothing is evicted. life is another one after each Put: what was read
//     before one is not noted on the row after it. marked and touched are the changes
//     that have last noted reads and set the expiry.
//   - change: one row for each commit in a collection. The one with the largest n is
//     what the collection is now; seen counts those that watchers are told of, and
//     expire is a lower bound of all expiries; ids are the rows that it has changed or
//     removed, eight bytes each, NULL for any. Nothing is updated, since a long View
//     would keep all versions of that row, and who reads it would go through them.
//   - value, chunk: values outside of their rows. One that is not linked belongs to who
//     writes it, one that is dead to nobody.
//   - incarnation: a row that is not there after a crash of the server.
const tables = `
CREATE TABLE meta (version int NOT NULL, locks int NOT NULL, system text NOT NULL, timeline text NOT NULL);
CREATE UNLOGGED TABLE incarnation (id bigint NOT NULL, since timestamptz NOT NULL);
CREATE SEQUENCE fence MAXVALUE 8796093022207;
CREATE SEQUENCE session AS int;
CREATE SEQUENCE value_id;
CREATE SEQUENCE collection_id AS int MAXVALUE 2147483000;
CREATE TABLE collection (
	c int PRIMARY KEY,
	name bytea NOT NULL,
	key_codec text NOT NULL,
	value_codec text NOT NULL,
	policy text NOT NULL,
	size_limit bigint NOT NULL,
	cull_limit bigint NOT NULL,
	min_file bigint NOT NULL,
	statistics bool NOT NULL,
	tag_index bool NOT NULL,
	dropped bool NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX collection_name ON collection (name) WHERE NOT dropped;
CREATE TABLE entry (
	c int NOT NULL,
	id bigint NOT NULL,
	k bytea NOT NULL,
	h bytea NOT NULL,
	rest bytea NOT NULL,
	kk smallint NOT NULL,
	vk smallint NOT NULL,
	v bytea,
	value bigint,
	size bigint NOT NULL,
	weight bigint NOT NULL,
	stored float8 NOT NULL,
	expire float8 NOT NULL,
	accessed float8 NOT NULL,
	accesses bigint NOT NULL,
	tag bytea,
	tk smallint NOT NULL,
	tagh bigint,
	rank float8,
	life bigint NOT NULL,
	marked bigint NOT NULL,
	touched bigint NOT NULL,
	PRIMARY KEY (c, id)
) WITH (fillfactor = 85);
ALTER TABLE entry ALTER COLUMN v SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX entry_key ON entry (c, k, h);
CREATE INDEX entry_expire ON entry (c, expire, id) WHERE expire <> 0;
CREATE INDEX entry_tag ON entry (c, tagh, id) WHERE tagh IS NOT NULL;
CREATE INDEX entry_rank ON entry (c, rank, id) WHERE rank IS NOT NULL;
CREATE INDEX entry_value ON entry (value) WHERE value IS NOT NULL;
CREATE TABLE change (
	c int NOT NULL,
	n bigint NOT NULL,
	seen bigint NOT NULL,
	mark bigint NOT NULL,
	rows bigint NOT NULL,
	volume bigint NOT NULL,
	expire float8 NOT NULL,
	ids bytea,
	PRIMARY KEY (c, n)
);
CREATE TABLE stat (c int PRIMARY KEY, hits bigint NOT NULL, misses bigint NOT NULL);
CREATE TABLE value (
	id bigint PRIMARY KEY,
	size bigint NOT NULL,
	linked bool NOT NULL,
	dead bool NOT NULL
);
CREATE INDEX value_loose ON value (id) WHERE NOT linked OR dead;
CREATE TABLE chunk (
	value bigint NOT NULL,
	n int NOT NULL,
	content bytea NOT NULL,
	PRIMARY KEY (value, n)
);
ALTER TABLE chunk ALTER COLUMN content SET STORAGE EXTERNAL;
`

// The advisory locks of a store are pairs of numbers. The first is drawn at random for
// each store, and is one of these plus that.
const (
	lockStore   = iota // and a collection, or 0 for the store itself
	lockSession        // and a session
	lockValue          // and a value that somebody reads or writes
	lockWatch          // and a collection that somebody watches
	lockKinds
)

// catalog stands for the list of collections among the locks of collections. It is
// the last of them.
const catalog = 1<<31 - 1

// identity tells a server, and the history of its data, from others: a copy that was
// restored or promoted is another one.
const identity = `SELECT (SELECT system_identifier::text FROM pg_control_system()),
	CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END`

// prepare makes the tables, if there are none, and reads what does not change.
func (s *Store) prepare(ctx context.Context) error {
	return s.conns.with(ctx, func(c *pgx.Conn) error {
		if err := s.examine(ctx, c); err != nil {
			return err
		}
		var exists bool
		err := c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'meta')`, s.options.Schema).Scan(&exists)
		if err != nil {
			return err
		}
		if !exists {
			if s.options.ReadOnly {
				return fmt.Errorf("%w: the schema has no store", driver.ErrNotStore)
			}
			if err := s.create(ctx, c); err != nil {
				return err
			}
		}
		var v int
		if err := c.QueryRow(ctx, `SELECT version, locks, (SELECT relpersistence = 'u' FROM pg_class WHERE oid = 'entry'::regclass) FROM `+
			pgx.Identifier{s.options.Schema, "meta"}.Sanitize()).Scan(&v, &s.locks, &s.unlogged); err != nil {
			return err
		}
		if v > version {
			return fmt.Errorf("%w: update this program", driver.ErrNewerFormat)
		}
		if s.direct == s.conns {
			return nil
		}
		return s.compare(ctx)
	})
}

// compare fails if DirectURL does not lead to the same store.
func (s *Store) compare(ctx context.Context) error {
	c, err := s.direct.dial(ctx)
	if err != nil {
		return err
	}
	defer s.direct.hangUp(c)
	var same bool
	err = c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'meta')`, s.options.Schema).Scan(&same)
	if err == nil && same {
		err = c.QueryRow(ctx, `SELECT locks = $1 FROM meta`, s.locks).Scan(&same)
	}
	if err == nil && !same {
		err = fmt.Errorf("%w: DirectURL leads to another database", ErrServer)
	}
	return err
}

// examine fails if the server is not one that a store can be kept by.
func (s *Store) examine(ctx context.Context, c *pgx.Conn) error {
	// Without prepared statements, which some poolers know nothing of.
	const simple = pgx.QueryExecModeSimpleProtocol
	var have int
	var name string
	if err := c.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, version()`, simple).Scan(&have, &name); err != nil {
		return err
	}
	if have < oldest {
		return fmt.Errorf("%w: it is PostgreSQL %d, and has to be %d or later", ErrServer, have/10000, oldest/10000)
	}
	other, err := s.conns.dial(ctx)
	if err != nil {
		return err
	}
	defer s.conns.hangUp(other)
	// A lock that one connection has is one that the other cannot get, and each
	// statement goes to the same backend, also while another transaction runs.
	one, two := rand.Int32(), rand.Int32()
	var pids [3]int
	pid := func(i int) error { return c.QueryRow(ctx, `SELECT pg_backend_pid()`, simple).Scan(&pids[i]) }
	var got, again bool
	if err := errors.Join(pid(0), c.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, $2)`, simple, one, two).Scan(&got)); err != nil {
		return err
	}
	tx, err := other.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if err := errors.Join(tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1, $2)`, simple, one, two).Scan(&again), pid(1), tx.Rollback(ctx), pid(2)); err != nil {
		return err
	}
	if pids[0] != pids[1] || pids[1] != pids[2] {
		return fmt.Errorf("%w: statements of one connection go to several backends, as through a pooler that pools transactions; connect to the server itself, or pool sessions", ErrServer)
	}
	if !got || again {
		return fmt.Errorf("%w: its advisory locks do not exclude each other; PostgreSQL's do", ErrServer)
	}
	_, err = c.Exec(ctx, `SELECT pg_advisory_unlock($1, $2)`, simple, one, two)
	return err
}

// create makes the schema and the tables, while other programs that want to wait.
func (s *Store) create(ctx context.Context, c *pgx.Conn) error {
	hash := fnv.New32a()
	hash.Write([]byte("diskcache schema " + s.options.Schema))
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(hash.Sum32())); err != nil {
			return err
		}
		var schema, exists bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1), EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'meta')`,
			s.options.Schema).Scan(&schema, &exists)
		if err != nil || exists {
			return err
		}
		if !schema {
			if _, err := tx.Exec(ctx, `CREATE SCHEMA `+pgx.Identifier{s.options.Schema}.Sanitize()); err != nil {
				return err
			}
		}
		sql := tables
		if s.options.Unlogged {
			for _, table := range []string{"entry", "change", "stat", "value", "chunk"} {
				sql = strings.Replace(sql, "CREATE TABLE "+table+" ", "CREATE UNLOGGED TABLE "+table+" ", 1)
			}
		}
		if _, err := tx.Conn().PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return err
		}
		var system, timeline string
		if err := tx.QueryRow(ctx, identity).Scan(&system, &timeline); err != nil {
			return err
		}
		locks := rand.Int32N(1<<31 - 1 - lockKinds)
		_, err = tx.Exec(ctx, `INSERT INTO meta (version, locks, system, timeline) VALUES ($1, $2, $3, $4)`, version, locks, system, timeline)
		return err
	})
}

package postgres

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// asks are the Gets that want something of the server. A few of them, the leaders, go
// and ask, each for itself and for all that wait meanwhile, in one round trip.
type asks struct {
	mu      sync.Mutex
	leaders int
	waiting []*question
}

// question is what a Get asks: for a row, or whether copies are valid.
type question struct {
	c     *collection
	key   key
	asked codec.Value // the key
	bare  bool
	check bool // whether the copies of the collection are valid

	row   row // the answer
	found bool
	err   error

	again bool      // there is no answer, as the leader's context has ended
	leads bool      // it was made a leader
	told  chan bool // to lead, or that there is an answer; nil in one that has not waited
}

// askSize is the most questions of a round trip.
const askSize = 64

// ask has q answered.
func (s *Store) ask(ctx context.Context, q *question) error {
	a := &s.asks
	for {
		q.err, q.again = nil, false
		a.mu.Lock()
		if a.leaders < s.options.Conns {
			a.leaders++
			a.mu.Unlock()
			runtime.Gosched() // those who are about to ask come along
			return s.leadAsks(ctx, q)
		}
		if q.told == nil {
			q.told = make(chan bool, 1)
		}
		a.waiting = append(a.waiting, q)
		a.mu.Unlock()
		select {
		case lead := <-q.told:
			if lead {
				return s.leadAsks(ctx, q)
			}
			if !q.again {
				return q.err
			}
		case <-ctx.Done():
			a.mu.Lock()
			a.waiting = slices.DeleteFunc(a.waiting, func(w *question) bool { return w == q })
			leads := q.leads
			a.mu.Unlock()
			if leads {
				a.handOver()
			}
			return context.Cause(ctx)
		}
	}
}

// leadAsks asks for q, and for those who wait.
func (s *Store) leadAsks(ctx context.Context, q *question) error {
	a := &s.asks
	a.mu.Lock()
	n := min(len(a.waiting), askSize-1)
	batch := append(make([]*question, 0, 1+n), q)
	batch = append(batch, a.waiting[:n]...)
	a.waiting = slices.Delete(a.waiting, 0, n)
	a.mu.Unlock()
	err := s.trip(ctx, batch)
	a.handOver()
	for _, other := range batch[1:] {
		other.again = err != nil && ctx.Err() != nil
		if err != nil {
			other.err = err
		}
		other.told <- false
	}
	if err == nil {
		err = q.err
	}
	return err
}

// handOver has the next of those who wait lead, if there is one.
func (a *asks) handOver() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		a.leaders--
		return
	}
	next := a.waiting[0]
	a.waiting = slices.Delete(a.waiting, 0, 1)
	next.leads = true
	next.told <- true
}

// part is the questions of a round trip about one collection.
type part struct {
	c     *collection
	base  stamp       // the version that copies are known to be of
	check bool        // there are questions whether copies are valid
	rows  []*question // questions for rows
	seen  bool        // the collection exists
	xmin  uint32
}

// trip has all questions of a batch answered, in one round trip.
func (s *Store) trip(ctx context.Context, batch []*question) error {
	parts := make([]part, 0, 1)
	for _, q := range batch {
		i := slices.IndexFunc(parts, func(p part) bool { return p.c.id == q.c.id })
		if i < 0 {
			i = len(parts)
			parts = append(parts, part{c: q.c})
		}
		if q.check {
			parts[i].check = true
		} else {
			parts[i].rows = append(parts[i].rows, q)
		}
	}
	return s.conns.with(ctx, func(c *pgx.Conn) error {
		at := s.near.depart(parts)
		if err := s.travel(ctx, c, at, parts); err != nil {
			return err
		}
		for i := range parts {
			p := &parts[i]
			if p.seen && p.c.known.Load().xmin != p.xmin {
				if err := s.reread(ctx, c, p.c.id); err != nil {
					return err
				}
			}
		}
		for _, q := range batch {
			i := slices.IndexFunc(parts, func(p part) bool { return p.c.id == q.c.id })
			if !parts[i].seen {
				q.err = driver.ErrClosed
			}
		}
		return nil
	})
}

// travel sends what is to be asked about parts and reads the answers.
func (s *Store) travel(ctx context.Context, c *pgx.Conn, at departure, parts []part) error {
	if p := &parts[0]; len(parts) == 1 && p.check != (len(p.rows) > 0) {
		sql, args := p.rowsQuery(s.near.on())
		if p.check {
			sql, args = checkSQL, []any{p.c.id, p.base.n}
		}
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		if p.check {
			return s.checked(rows, at, p)
		}
		return s.found(rows, at, p)
	}
	b := &pgx.Batch{}
	for i := range parts {
		p := &parts[i]
		if p.check {
			b.Queue(checkSQL, p.c.id, p.base.n).Query(func(rows pgx.Rows) error { return s.checked(rows, at, p) })
		}
		if len(p.rows) > 0 {
			sql, args := p.rowsQuery(s.near.on())
			b.Queue(sql, args...).Query(func(rows pgx.Rows) error { return s.found(rows, at, p) })
		}
	}
	return c.SendBatch(ctx, b).Close()
}

// oneSQL reads a row, and manySQL several ones with the place of each question. Both
// have the collection and what versionSQL says behind the columns of a row.
var (
	oneSQL  [2][2]string // by bare, and by whether the version is wanted
	manySQL [2]string
)

// versionSQL is the incarnation, and the newest change, of the same moment as the row.
const versionSQL = `(SELECT id FROM incarnation), (SELECT max(n) FROM change WHERE change.c = $1)`

func init() {
	for i, version := range []string{`NULL::bigint, NULL::bigint`, versionSQL} {
		for bare := range 2 {
			oneSQL[bare][i] = `SELECT ` + columnsOf("e", bare == 1) + `, o.dropped, o.xmin, ` + version +
				` FROM collection o LEFT JOIN entry e ON e.c = $1 AND e.k = $2 AND e.h = $3 WHERE o.c = $1`
		}
		all := columnsOf("e", true)
		all = all[:len(all)-len("NULL::bytea")] + `CASE WHEN u.bare THEN NULL ELSE e.v END`
		// With LIMIT each row is looked up by itself, whatever the planner takes the table for.
		manySQL[i] = `SELECT ` + all + `, o.dropped, o.xmin, ` + version + `, u.at
			FROM collection o CROSS JOIN unnest($2::bytea[], $3::bytea[], $4::bool[]) WITH ORDINALITY AS u (k, h, bare, at)
			LEFT JOIN LATERAL (SELECT ` + strings.Join(columns[:], ", ") + `, v FROM entry WHERE c = $1 AND k = u.k AND h = u.h LIMIT 1) e ON true WHERE o.c = $1`
	}
}

// rowsQuery returns the statement that answers the questions for rows.
func (p *part) rowsQuery(version bool) (sql string, args []any) {
	switch len(p.rows) {
	case 0:
		return "", nil
	case 1:
		q := p.rows[0]
		return oneSQL[index(q.bare)][index(version)], []any{p.c.id, q.key.k, q.key.h}
	}
	ks, hs, bares := make([][]byte, len(p.rows)), make([][]byte, len(p.rows)), make([]bool, len(p.rows))
	for i, q := range p.rows {
		ks[i], hs[i], bares[i] = q.key.k, q.key.h, q.bare
	}
	return manySQL[index(version)], []any{p.c.id, ks, hs, bares}
}

// found reads the answers to the questions for rows.
func (s *Store) found(rows pgx.Rows, at departure, p *part) error {
	defer rows.Close()
	for _, q := range p.rows {
		q.found, q.err = false, nil
	}
	for rows.Next() {
		all := cells(rows.RawValues())
		more := all[width:]
		if more[0][0] != 0 { // dropped
			continue
		}
		p.seen, p.xmin = true, uint32(more.integer(1))
		if all.missing() {
			continue
		}
		q := p.rows[0]
		if len(p.rows) > 1 {
			q = p.rows[more.integer(4)-1]
		}
		if q.row, q.err = all.row(q.asked); q.err != nil {
			continue
		}
		q.found = true
		if !q.bare && more[2] != nil && more[3] != nil {
			s.near.keep(at, q, stamp{more.integer(2), more.integer(3)})
		}
	}
	return rows.Err()
}

// checkSQL reads what has changed in a collection since a version, the newest first, and
// that version's own change: where nothing is as new, a crash or a restore has taken it.
const checkSQL = `SELECT o.dropped, o.xmin, (SELECT id FROM incarnation), h.n, h.ids
	FROM collection o LEFT JOIN LATERAL (SELECT n, CASE WHEN n > $2 THEN ids END AS ids FROM change WHERE change.c = $1 AND n >= $2 ORDER BY n DESC LIMIT 64) h ON true WHERE o.c = $1`

// checked reads what checkSQL answers, and drops the copies that are not valid.
func (s *Store) checked(rows pgx.Rows, at departure, p *part) error {
	defer rows.Close()
	var now stamp
	var changes []change
	for rows.Next() {
		c := cells(rows.RawValues())
		if c[0][0] != 0 {
			continue
		}
		p.seen, p.xmin = true, uint32(c.integer(1))
		if c[2] != nil {
			now.incarnation = c.integer(2)
		}
		if c[3] == nil {
			continue
		}
		n := c.integer(3)
		now.n = max(now.n, n)
		if n > p.base.n {
			changes = append(changes, changeOf(n, c[4]))
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	s.near.arrive(at, p.c.id, p.base, now, changes)
	return nil
}

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// tx is a running transaction, on a connection of its own.
type tx struct {
	store    *Store
	conn     *pgx.Conn
	job      *job // nil in a View
	writable bool
	ended    bool

	heads   map[int32]*head
	changes map[int32]kind
	counts  map[int32]driver.Stats // of Gets
	counted bool                   // the commit writes no counts
	tallied func(committed bool)   // called at the end, if not nil
	taken   []*file                // put by this transaction
	fenced  bool                   // a fence was drawn
	swept   bool                   // it leaves something to be removed

	updates          int           // that are committed with it
	waited           time.Duration // for its locks
	expired, evicted int64         // rows that it has removed

	dirty  int     // grows with each change, and each count
	again  bool    // it has to run again, with missed locked from the start
	missed []int32 // collections
}

var _ driver.Tx = (*tx)(nil)

// kind is how a collection was changed.
type kind int

const (
	hidden  kind = iota // nobody watches for it
	visible             // whoever watches is told
)

// moved notes a change that nobody watches for.
func (x *tx) moved(h *head) {
	x.dirty++
	if x.changes == nil {
		x.changes = make(map[int32]kind)
	}
	x.changes[h.c] = max(x.changes[h.c], hidden)
}

// changed notes a change.
func (x *tx) changed(h *head) {
	x.moved(h)
	x.changes[h.c] = visible
}

// durable reports whether the commit has to be on the server's disk.
func (x *tx) durable() bool {
	if x.fenced {
		return true
	}
	x.store.mu.Lock()
	defer x.store.mu.Unlock()
	for id := range x.changes {
		if c := x.store.collections[id]; c == nil || c.durable.Load() {
			return true
		}
	}
	return false
}

// settle is called when the transaction is over.
func (x *tx) settle(committed bool) {
	if !x.writable {
		return
	}
	x.store.marks.settle(x, committed, x.store.views.now())
	if x.tallied != nil {
		x.tallied(committed)
	}
	if !committed {
		return
	}
	x.store.counters.committed(x)
	for _, f := range x.taken {
		f.committed.Store(true)
	}
	if x.swept {
		x.store.unswept.Store(true)
	}
}

// usable fails if the transaction cannot be used with ctx.
func (x *tx) usable(ctx context.Context) error {
	switch {
	case x.ended:
		return errEnded
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case x.again:
		return errOrder
	}
	return nil
}

// use returns the head of c, which is locked from now on if the transaction writes.
func (x *tx) use(ctx context.Context, c driver.Collection) (*head, error) {
	if err := x.usable(ctx); err != nil {
		return nil, err
	}
	own, err := x.store.own(c)
	if err != nil {
		return nil, err
	}
	return x.head(ctx, own.id)
}

// change is use for what writes.
func (x *tx) change(ctx context.Context, c driver.Collection) (*head, error) {
	if !x.writable && !x.ended {
		return nil, driver.ErrReadOnly
	}
	return x.use(ctx, c)
}

func (x *tx) head(ctx context.Context, id int32) (*head, error) {
	h := x.heads[id]
	if h == nil {
		if x.writable && !x.job.alone {
			if err := x.lockMore(ctx, id); err != nil {
				return nil, err
			}
		}
		var err error
		if h, err = readHead(ctx, x.conn, id); err != nil {
			return nil, failed(ctx, err)
		}
		x.store.learn(h)
		x.heads[id] = h
		if x.writable && !h.dropped {
			if err := x.write(ctx, h); err != nil {
				return nil, err
			}
		}
	}
	if h.dropped {
		return nil, driver.ErrClosed
	}
	return h, nil
}

// lockMore locks a collection that comes after others, if nobody has it. Who waited for
// it might wait for somebody who waits for this transaction. The same is done where a
// fence was drawn already, which would not be the higher one of two transactions if
// another one had the collection meanwhile.
func (x *tx) lockMore(ctx context.Context, id int32) error {
	got := !x.fenced && x.store.turns.add(x.job.turn, id)
	if got {
		err := x.conn.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1, $2)`, x.store.locks+lockStore, id).Scan(&got)
		if err != nil {
			return failed(ctx, err)
		}
	}
	if !got {
		x.again, x.missed = true, append(x.missed, id)
		return errOrder
	}
	return nil
}

// leave notes that a Get found r, or nothing if it is nil.
func (x *tx) leave(ctx context.Context, h *head, r *row, l *driver.Lookup) error {
	if x.store.options.ReadOnly {
		return nil
	}
	if h.settings.Statistics && !l.Quiet {
		n := one(r != nil)
		if x.writable {
			x.dirty++
			if x.counts == nil {
				x.counts = make(map[int32]driver.Stats)
			}
			sum := x.counts[h.c]
			x.counts[h.c] = driver.Stats{Hits: sum.Hits + n.Hits, Misses: sum.Misses + n.Misses}
		} else {
			x.store.stats.add(h.c, n)
			x.store.counters.read(h.c, n)
		}
	}
	if r == nil {
		return nil
	}
	m, some := markOf(&h.settings, r, l)
	if !some {
		return nil
	}
	if !x.writable {
		x.store.marks.add(h.c, r, m)
		return nil
	}
	return x.note(ctx, h, r, m)
}

// one is a hit or a miss.
func one(hit bool) driver.Stats {
	if hit {
		return driver.Stats{Hits: 1}
	}
	return driver.Stats{Misses: 1}
}

// Get implements [driver.Tx].
func (x *tx) Get(ctx context.Context, c driver.Collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	rows, err := x.GetMany(ctx, c, []codec.Value{key}, l)
	if len(rows) == 0 {
		return driver.Row{}, false, err
	}
	return rows[0], true, err
}

var (
	getSQL = [2]string{
		`SELECT ` + columnsOf("entry", false) + ` FROM entry WHERE c = $1 AND k = $2 AND h = $3`,
		`SELECT ` + columnsOf("entry", true) + ` FROM entry WHERE c = $1 AND k = $2 AND h = $3`,
	}
	getManySQL = [2]string{
		`SELECT ` + columnsOf("entry", false) + ` FROM unnest($2::bytea[], $3::bytea[]) AS u (k, h) JOIN entry ON entry.c = $1 AND entry.k = u.k AND entry.h = u.h`,
		`SELECT ` + columnsOf("entry", true) + ` FROM unnest($2::bytea[], $3::bytea[]) AS u (k, h) JOIN entry ON entry.c = $1 AND entry.k = u.k AND entry.h = u.h`,
	}
)

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// GetMany implements [driver.Tx].
func (x *tx) GetMany(ctx context.Context, c driver.Collection, keys []codec.Value, l driver.Lookup) ([]driver.Row, error) {
	h, err := x.use(ctx, c)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	found, err := x.rowsOf(ctx, h, keys, l.Bare)
	if err != nil {
		return nil, failed(ctx, err)
	}
	out := make([]driver.Row, 0, len(keys))
	for _, key := range keys {
		r := found[string(codec.AppendOrdered(nil, key))]
		if r != nil {
			x.store.marks.overlay(h.c, r)
			if h.settings.Over(r.Stored, r.Expire, l.Instant()) {
				r = nil
			}
		}
		if err := x.leave(ctx, h, r, &l); err != nil {
			return nil, err
		}
		if r != nil {
			one := r.Row
			one.Key = key.Clone()
			if len(keys) > 1 {
				one.Value, one.Tag = one.Value.Clone(), one.Tag.Clone()
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// rowsOf reads the rows of keys, by their ordered encodings.
func (x *tx) rowsOf(ctx context.Context, h *head, keys []codec.Value, bare bool) (map[string]*row, error) {
	var rows pgx.Rows
	var err error
	if len(keys) == 1 {
		k := keyOf(keys[0])
		rows, err = x.conn.Query(ctx, getSQL[index(bare)], h.c, k.k, k.h)
	} else {
		ks, hs := make([][]byte, 0, len(keys)), make([][]byte, 0, len(keys))
		seen := make(map[string]bool, len(keys))
		for _, key := range keys {
			k := keyOf(key)
			if whole := string(k.k) + string(k.h); !seen[whole] {
				seen[whole] = true
				ks, hs = append(ks, k.k), append(hs, k.h)
			}
		}
		rows, err = x.conn.Query(ctx, getManySQL[index(bare)], h.c, ks, hs)
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[string]*row, len(keys))
	for rows.Next() {
		c := cells(rows.RawValues())
		r, err := c.row(codec.Value{})
		if err != nil {
			return nil, err
		}
		found[string(c[1])+string(c[2])] = &r
	}
	return found, rows.Err()
}

// note writes the mark of a read inside of the transaction.
func (x *tx) note(ctx context.Context, h *head, r *row, m mark) error {
	x.moved(h)
	h.touched.add(r.ID)
	h.expires(m.slide)
	_, err := x.conn.Exec(ctx, `UPDATE entry SET
			accesses = accesses + $3,
			accessed = greatest(accessed, $4),
			expire = CASE WHEN $5::float8 <> 0 AND expire <> 0 THEN $5 ELSE expire END,
			touched = CASE WHEN $5::float8 <> 0 AND expire <> 0 THEN $7 ELSE touched END,
			rank = CASE $6::int WHEN 2 THEN greatest(accessed, $4) WHEN 3 THEN accesses + $3 ELSE rank END
		WHERE c = $1 AND id = $2`, h.c, r.ID, m.accesses, float64(m.accessed), float64(m.slide), policyNumber(h.settings.Policy), h.n+1)
	return failed(ctx, err)
}

// Count implements [driver.Tx].
func (x *tx) Count(ctx context.Context, c driver.Collection) (int64, error) {
	h, err := x.use(ctx, c)
	if err != nil {
		return 0, err
	}
	return h.rows, nil
}

// Fence implements [driver.Tx].
func (x *tx) Fence(ctx context.Context) (n int64, err error) {
	if !x.writable && !x.ended {
		return 0, driver.ErrReadOnly
	}
	if err := x.usable(ctx); err != nil {
		return 0, err
	}
	x.fenced = true
	x.dirty++
	err = x.conn.QueryRow(ctx, `SELECT nextval('fence')`).Scan(&n)
	return n, failed(ctx, err)
}

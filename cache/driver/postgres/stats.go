package postgres

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// counts are what Gets of this store have found, and is not written yet.
type counts struct {
	mu      sync.Mutex
	pending map[int32]driver.Stats
	// turns are those of collections whose counts are being written, or the written ones
	// read, so that none is seen twice or not at all. They are closed at the end.
	turns map[int32]chan struct{}
}

func (cs *counts) add(c int32, more driver.Stats) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.pending == nil {
		cs.pending = make(map[int32]driver.Stats)
	}
	sum := cs.pending[c]
	sum.Hits += more.Hits
	sum.Misses += more.Misses
	cs.pending[c] = sum
}

func (cs *counts) of(c int32) driver.Stats {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.pending[c]
}

// wrote is told that some of the counts are written.
func (cs *counts) wrote(c int32, n driver.Stats) {
	cs.add(c, driver.Stats{Hits: -n.Hits, Misses: -n.Misses})
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.pending[c] == (driver.Stats{}) {
		delete(cs.pending, c)
	}
}

// forget drops the counts of a collection that is gone.
func (cs *counts) forget(c int32) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.pending, c)
}

func (cs *counts) collections() (ids []int32) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for id := range cs.pending {
		ids = append(ids, id)
	}
	return ids
}

// enter waits for the turn of a collection. Who has the collection's lock may wait for
// it: nobody who has it waits for a lock.
func (cs *counts) enter(ctx context.Context, c int32) error {
	for {
		cs.mu.Lock()
		turn := cs.turns[c]
		if turn == nil {
			if cs.turns == nil {
				cs.turns = make(map[int32]chan struct{})
			}
			cs.turns[c] = make(chan struct{})
		}
		cs.mu.Unlock()
		if turn == nil {
			return nil
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (cs *counts) leave(c int32) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	close(cs.turns[c])
	delete(cs.turns, c)
}

// Stats implements [driver.Store]. What other processes have counted within the last
// second may be missing.
func (s *Store) Stats(ctx context.Context, c driver.Collection, reset bool) (out driver.Stats, err error) {
	if err := s.enter(ctx); err != nil {
		return out, err
	}
	defer s.leave()
	own, err := s.own(c)
	if err != nil {
		return out, err
	}
	if reset {
		return s.resetStats(ctx, own)
	}
	if err := s.stats.enter(ctx, own.id); err != nil {
		return out, err
	}
	defer s.stats.leave(own.id)
	err = s.conns.with(ctx, func(c *pgx.Conn) error {
		var dropped bool
		err := c.QueryRow(ctx, `SELECT o.dropped, coalesce(t.hits, 0), coalesce(t.misses, 0) FROM collection o LEFT JOIN stat t ON t.c = o.c WHERE o.c = $1`,
			own.id).Scan(&dropped, &out.Hits, &out.Misses)
		if err == pgx.ErrNoRows || dropped {
			return driver.ErrClosed
		}
		return err
	})
	if err != nil {
		return driver.Stats{}, err
	}
	more := s.stats.of(own.id)
	return driver.Stats{Hits: out.Hits + more.Hits, Misses: out.Misses + more.Misses}, nil
}

func (s *Store) resetStats(ctx context.Context, own *collection) (out driver.Stats, err error) {
	if s.options.ReadOnly {
		return out, driver.ErrReadOnly
	}
	var taken driver.Stats
	err = s.transact(ctx, driver.Own, []int32{own.id}, func(x *tx) error {
		h, err := x.head(ctx, own.id)
		if err != nil {
			return err
		}
		x.counted = true
		x.moved(h)
		if err := s.stats.enter(ctx, h.c); err != nil {
			return err
		}
		x.tallied = func(committed bool) {
			if committed {
				s.stats.wrote(h.c, taken)
			}
			s.stats.leave(h.c)
		}
		taken, out = s.stats.of(h.c), driver.Stats{}
		err = x.conn.QueryRow(ctx, `DELETE FROM stat WHERE c = $1 RETURNING hits, misses`, h.c).Scan(&out.Hits, &out.Misses)
		if err == pgx.ErrNoRows {
			err = nil
		}
		return failed(ctx, err)
	})
	if err != nil {
		return driver.Stats{}, err
	}
	return driver.Stats{Hits: out.Hits + taken.Hits, Misses: out.Misses + taken.Misses}, nil
}

// tally has the commit of x write what this store has counted in the collections that x
// has locked. It has their turns until tallied is called.
func (x *tx) tally(ctx context.Context) (taken map[int32]driver.Stats, err error) {
	s := x.store
	if x.counted {
		return nil, nil
	}
	var ids []int32
	for id, h := range x.heads {
		n, pending := x.counts[id], s.stats.of(id)
		if !h.dropped && (n != driver.Stats{} || pending != driver.Stats{}) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	taken = make(map[int32]driver.Stats)
	pending := make(map[int32]driver.Stats)
	x.tallied = func(committed bool) {
		for id, p := range pending {
			if committed {
				s.stats.wrote(id, p)
			}
			s.stats.leave(id)
		}
	}
	for _, id := range ids { // in any order: who else takes several has other collections
		if err := s.stats.enter(ctx, id); err != nil {
			return nil, err
		}
		n, p := x.counts[id], s.stats.of(id)
		pending[id] = p
		if sum := (driver.Stats{Hits: n.Hits + p.Hits, Misses: n.Misses + p.Misses}); sum != (driver.Stats{}) {
			taken[id] = sum
			x.moved(x.heads[id])
		}
	}
	return taken, nil
}

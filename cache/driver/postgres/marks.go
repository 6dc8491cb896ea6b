package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// marks are what reads leave behind on rows. They are gathered in memory, since a read
// must not wait for a writer, and written by the next transaction of this store that
// locks the collection, or within a second or so.
type marks struct {
	mu      sync.Mutex
	pending map[int32]map[life]mark
	writing map[*tx]map[int32]map[life]mark // taken by transactions that run
}

// life is the time between two Puts of a row.
type life struct{ id, life int64 }

// mark is what reads left on one row.
type mark struct {
	accesses int64
	accessed driver.Instant
	slide    driver.Instant // 0: none
}

func (m *mark) add(later mark) {
	m.accesses += later.accesses
	m.accessed = max(m.accessed, later.accessed)
	if later.slide != 0 {
		m.slide = later.slide
	}
}

// on returns r as it is with the mark.
func (m *mark) on(r *row) {
	r.Accesses += m.accesses
	r.Accessed = max(r.Accessed, m.accessed)
	if m.slide != 0 && r.Expire != 0 {
		r.Expire = m.slide
	}
}

// markOf returns what a read leaves on the row that it found.
func markOf(s *driver.Settings, r *row, l *driver.Lookup) (m mark, some bool) {
	if !l.Quiet && s.Policy.CountsAccesses() {
		m.accesses, m.accessed = 1, l.Instant()
	}
	if r.Expire != 0 {
		m.slide = l.Slide
	}
	return m, m.accesses != 0 || m.slide != 0
}

func (ms *marks) add(c int32, r *row, m mark) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.put(c, life{r.ID, r.life}, m)
}

// put adds a mark. The caller has mu.
func (ms *marks) put(c int32, at life, m mark) {
	if ms.pending == nil {
		ms.pending = make(map[int32]map[life]mark)
	}
	if ms.pending[c] == nil {
		ms.pending[c] = make(map[life]mark)
	}
	sum := ms.pending[c][at]
	sum.add(m)
	ms.pending[c][at] = sum
}

// overlay adds to a row that was read what is not written yet. x, if it is not nil, is
// the transaction that has read it: it sees what it has written.
func (ms *marks) overlay(c int32, r *row, x *tx) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	at := life{r.ID, r.life}
	for writer, taken := range ms.writing {
		if m, ok := taken[c][at]; ok && writer != x {
			m.on(r)
		}
	}
	if m, ok := ms.pending[c][at]; ok {
		m.on(r)
	}
}

// slides reports whether there are marks that change an expiry.
func (ms *marks) slides() bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, of := range ms.pending {
		for _, m := range of {
			if m.slide != 0 {
				return true
			}
		}
	}
	return false
}

// collections returns those with marks.
func (ms *marks) collections() (ids []int32) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for id := range ms.pending {
		ids = append(ids, id)
	}
	return ids
}

// forget drops the marks of a collection that is gone.
func (ms *marks) forget(c int32) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	delete(ms.pending, c)
}

// take returns the marks of a collection, which x is to write.
func (ms *marks) take(x *tx, c int32) map[life]mark {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	taken := ms.pending[c]
	if len(taken) == 0 {
		return nil
	}
	delete(ms.pending, c)
	if ms.writing == nil {
		ms.writing = make(map[*tx]map[int32]map[life]mark)
	}
	if ms.writing[x] == nil {
		ms.writing[x] = make(map[int32]map[life]mark)
	}
	if before := ms.writing[x][c]; before != nil {
		for at, m := range taken {
			sum := before[at]
			sum.add(m)
			before[at] = sum
		}
	} else {
		ms.writing[x][c] = taken
	}
	return taken
}

// settle is told how x ended: what it has taken is written, or not yet.
func (ms *marks) settle(x *tx, committed bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	taken := ms.writing[x]
	delete(ms.writing, x)
	if committed {
		return
	}
	for c, of := range taken {
		for at, m := range of {
			later := ms.pending[c][at]
			delete(ms.pending[c], at)
			ms.put(c, at, m)
			if later != (mark{}) {
				ms.put(c, at, later)
			}
		}
	}
}

// write writes the marks of a collection that this store's reads have left up to now.
func (x *tx) write(ctx context.Context, h *head) error {
	taken := x.store.marks.take(x, h.c)
	if len(taken) == 0 {
		return nil
	}
	x.moved(h) // so that it is known whether they were written
	var ids, lives, accesses []int64
	var accessed, slides []float64
	for at, m := range taken {
		ids, lives = append(ids, at.id), append(lives, at.life)
		accesses, accessed, slides = append(accesses, m.accesses), append(accessed, float64(m.accessed)), append(slides, float64(m.slide))
		h.expires(m.slide)
		h.touched.add(at.id)
	}
	_, err := x.conn.Exec(ctx, `UPDATE entry SET
			accesses = entry.accesses + u.accesses,
			accessed = greatest(entry.accessed, u.accessed),
			expire = CASE WHEN u.slide <> 0 AND entry.expire <> 0 THEN u.slide ELSE entry.expire END,
			rank = CASE $7::int WHEN 2 THEN greatest(entry.accessed, u.accessed) WHEN 3 THEN entry.accesses + u.accesses ELSE rank END
		FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::float8[], $6::float8[]) AS u (id, life, accesses, accessed, slide)
		WHERE entry.c = $1 AND entry.id = u.id AND entry.life = u.life`,
		h.c, ids, lives, accesses, accessed, slides, policyNumber(h.settings.Policy))
	return failed(ctx, err)
}

// atOnce is the wait for a lock of who does not want to.
func atOnce() time.Duration { return time.Millisecond }

// tryFlush writes the marks that change which rows a Scan selects, if no writer is in
// the way.
func (s *Store) tryFlush(ctx context.Context) error {
	if s.options.ReadOnly || !s.marks.slides() {
		return nil
	}
	for _, id := range s.marks.collections() {
		turn, ok := s.turns.try(false, []int32{id})
		if !ok {
			continue
		}
		err := s.attempt(ctx, &job{mode: driver.Own, turn: turn, wanted: []int32{id}, wait: atOnce, fn: func(*tx) error { return nil }})
		s.turns.unlock(turn)
		if err != nil && !errors.Is(err, driver.ErrTimeout) {
			return err
		}
	}
	return nil
}

// flushAll writes down all that reads have left behind.
func (s *Store) flushAll(ctx context.Context) error {
	if s.options.ReadOnly {
		return nil
	}
	for _, id := range append(s.marks.collections(), s.stats.collections()...) {
		err := s.transact(ctx, driver.Own, []int32{id}, func(x *tx) error {
			if x.heads[id].dropped {
				s.marks.forget(id)
				s.stats.forget(id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// marks are what reads leave behind on rows. They are gathered in memory, since a read
// must not wait for a writer, and written by the next transaction of this store that
// locks the collection, or within a second or so.
type marks struct {
	mu      sync.Mutex
	pending map[int32]map[life]mark
	writing map[*tx]map[int32]*taken // by transactions that run
	written map[int32][]*taken       // that are on their rows, for Views that began before
	flushes [64]atomic.Uint64        // change when marks of a collection are written; some share one
}

// taken are the marks that a transaction writes in a collection. It is to be change n.
type taken struct {
	n     int64
	of    map[life]mark
	views uint64 // those before may not see it
}

// life is the time between two Puts of a row.
type life struct{ id, life int64 }

// mark is what reads left on one row.
type mark struct {
	accesses int64
	accessed driver.Instant
	slide    driver.Instant // 0: none
	touched  int64          // the change that had set the expiry that slides
	marked   int64          // the change that had last noted reads, of whatever store
}

func (m *mark) add(later mark) {
	m.accesses += later.accesses
	m.accessed = max(m.accessed, later.accessed)
	if later.slide != 0 && later.touched >= m.touched {
		m.slide, m.touched, m.marked = later.slide, later.touched, later.marked
	}
}

// on has r be as it is with the mark. Another store may have noted later reads since: then
// the later expiry counts.
func (m mark) on(r *row) {
	r.Accesses += m.accesses
	r.Accessed = max(r.Accessed, m.accessed)
	if m.slide != 0 && r.Expire != 0 && m.touched == r.touched {
		if m.marked != r.marked {
			m.slide = max(m.slide, r.Expire)
		}
		r.Expire = m.slide
	}
}

// markOf returns what a read leaves on the row that it found.
func markOf(s *driver.Settings, r *row, l *driver.Lookup) (m mark, some bool) {
	if !l.Quiet && s.Policy.CountsAccesses() {
		m.accesses, m.accessed = 1, l.Instant()
	}
	if r.Expire != 0 {
		m.slide, m.touched, m.marked = l.Slide, r.touched, r.marked
	}
	return m, m.accesses != 0 || m.slide != 0
}

// flushed returns what changes when marks of a collection are written.
func (ms *marks) flushed(c int32) *atomic.Uint64 {
	return &ms.flushes[uint32(c)%uint32(len(ms.flushes))]
}

func (ms *marks) add(c int32, r *row, m mark) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.put(c, life{r.ID, r.life}, m)
}

// leave completes the row that a Get has found since flushes was as it is given, if the
// row's time is not over, and adds what the Get leaves on it. It reports false if marks
// were written meanwhile, so that the Get may have seen the row without them, and has to
// look again.
func (ms *marks) leave(flushes uint64, c int32, s *driver.Settings, r *row, l *driver.Lookup, add bool) (found, ok bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.flushed(c).Load() != flushes {
		return false, false
	}
	ms.complete(c, r)
	if s.Over(r.Stored, r.Expire, l.Instant()) {
		return false, true
	}
	if m, some := markOf(s, r, l); some && add {
		ms.put(c, life{r.ID, r.life}, m)
	}
	return true, true
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

// overlay adds to a row that was read what it has not got yet.
func (ms *marks) overlay(c int32, r *row) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.complete(c, r)
}

// complete is overlay for who has mu.
func (ms *marks) complete(c int32, r *row) {
	at := life{r.ID, r.life}
	apply := func(t *taken) {
		if m, ok := t.of[at]; ok && r.marked < t.n {
			m.on(r)
			r.marked = t.n
		}
	}
	for _, t := range ms.written[c] {
		apply(t)
	}
	for _, of := range ms.writing {
		if t := of[c]; t != nil {
			apply(t)
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
func (ms *marks) take(x *tx, h *head) map[life]mark {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	of := ms.pending[h.c]
	if len(of) == 0 {
		return nil
	}
	delete(ms.pending, h.c)
	if ms.writing == nil {
		ms.writing = make(map[*tx]map[int32]*taken)
	}
	if ms.writing[x] == nil {
		ms.writing[x] = make(map[int32]*taken)
	}
	before := ms.writing[x][h.c]
	if before == nil {
		ms.writing[x][h.c] = &taken{n: h.n + 1, of: maps.Clone(of)}
		return of
	}
	for at, m := range of {
		sum := before.of[at]
		sum.add(m)
		before.of[at] = sum
	}
	return of
}

// settle is told how x ended: what it has taken is written, or not yet. now is that of
// the Views.
func (ms *marks) settle(x *tx, committed bool, now uint64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	all := ms.writing[x]
	delete(ms.writing, x)
	for c, t := range all {
		if committed {
			ms.flushed(c).Add(1)
		}
		switch {
		case !committed:
			for at, m := range t.of {
				later := ms.pending[c][at]
				delete(ms.pending[c], at)
				ms.put(c, at, m)
				if later != (mark{}) {
					ms.put(c, at, later)
				}
			}
		case now != 0:
			if ms.written == nil {
				ms.written = make(map[int32][]*taken)
			}
			t.views = now
			ms.written[c] = append(ms.written[c], t)
		}
	}
}

// forgetWritten drops what no View needs any more.
func (ms *marks) forgetWritten(vs *views) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for c, all := range ms.written {
		if all = slices.DeleteFunc(all, func(t *taken) bool { return vs.over(t.views) }); len(all) == 0 {
			delete(ms.written, c)
		} else {
			ms.written[c] = all
		}
	}
}

// write writes the marks of a collection that this store's reads have left up to now.
func (x *tx) write(ctx context.Context, h *head) error {
	of := x.store.marks.take(x, h)
	if len(of) == 0 {
		return nil
	}
	x.moved(h) // so that it is known whether they were written
	var ids, lives, accesses, touched, marked []int64
	var accessed, slides []float64
	for at, m := range of {
		ids, lives = append(ids, at.id), append(lives, at.life)
		accesses, accessed = append(accesses, m.accesses), append(accessed, float64(m.accessed))
		slides, touched, marked = append(slides, float64(m.slide)), append(touched, m.touched), append(marked, m.marked)
		h.expires(m.slide)
		h.touched.add(at.id)
	}
	_, err := x.conn.Exec(ctx, `UPDATE entry SET
			marked = $9,
			accesses = entry.accesses + u.accesses,
			accessed = greatest(entry.accessed, u.accessed),
			expire = CASE WHEN u.slide <> 0 AND entry.expire <> 0 AND entry.touched = u.touched
				THEN CASE WHEN entry.marked = u.marked THEN u.slide ELSE greatest(entry.expire, u.slide) END ELSE entry.expire END,
			rank = CASE $7::int WHEN 2 THEN greatest(entry.accessed, u.accessed) WHEN 3 THEN entry.accesses + u.accesses ELSE rank END
		FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::float8[], $6::float8[], $8::bigint[], $10::bigint[]) AS u (id, life, accesses, accessed, slide, touched, marked)
		WHERE entry.c = $1 AND entry.id = u.id AND entry.life = u.life`,
		h.c, ids, lives, accesses, accessed, slides, policyNumber(h.settings.Policy), touched, h.n+1, marked)
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

// flushWait is how long the keeper waits for the lock of a collection: who has it for
// longer must not keep it from all others.
const flushWait = 100 * time.Millisecond

// flushAll writes down all that reads have left behind. For each collection it waits
// until a deadline of its own; zero: without end.
func (s *Store) flushAll(ctx context.Context, deadline func() time.Time) (errs []error) {
	if s.options.ReadOnly {
		return nil
	}
	for _, id := range ordered(append(s.marks.collections(), s.stats.collections()...)) {
		errs = append(errs, s.transactBy(ctx, deadline(), driver.Own, []int32{id}, func(x *tx) error {
			if x.heads[id].dropped {
				s.marks.forget(id)
				s.stats.forget(id)
			}
			return nil
		}))
	}
	return errs
}

// flushSoon is flushAll for what can be written at once. The rest is written when its
// collection is locked next.
func (s *Store) flushSoon(ctx context.Context) error {
	errs := s.flushAll(ctx, func() time.Time { return time.Now().Add(flushWait) })
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, driver.ErrTimeout) })...)
}

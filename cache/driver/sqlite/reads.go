package sqlite

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// maxReads bounds the rows whose reads are remembered; half of it has them
// written at once. Only where nothing can be written for long is the bound
// reached: then reads of further rows are still counted in the statistics, but
// do not move their rows up in the order of eviction.
const maxReads = 1 << 17

// reads gathers what reading is to change in the database: accesses of rows,
// for the policies that go by them, sliding expiries, hits and misses. So a
// read writes nothing. The maintainer writes it all within a second, and
// whoever wants to know exactly has it written before.
type reads struct {
	hits, misses atomic.Int64

	pending atomic.Int64 // len(rows) + len(inflight): 0 lets readers pass without the lock
	slides  atomic.Bool  // some of rows slide
	mu      sync.Mutex
	rows    map[int64]*read
	// settled has slides that were written lately, for readers whose snapshot
	// is older.
	settled map[int64]*read
	// inflight has what a transaction is writing, until it has committed.
	inflight                     map[int64]*read
	inflightHits, inflightMisses int64
}

// read is what happened to a row. It is about the row as it was stored at
// that time: overwriting resets accesses, and a number of a deleted row may
// be given to another.
type read struct {
	stored driver.Instant
	last   driver.Instant
	count  int64
	slide  driver.Instant // if not 0, the expiry to be
	base   driver.Instant // and the one in the database that it is to replace: not another, which somebody has set since
	hash   uint64         // of the row's key
}

// noted is a read that a transaction has made and that counts once that is
// committed.
type noted struct {
	c      *collection
	hash   uint64 // of the key
	id     int64  // of the row
	stored driver.Instant
	expire driver.Instant // in the database
	ok     bool           // it was found
	l      driver.Lookup
}

// note remembers one read.
func (r *reads) note(n *noted) {
	c, ok, l := n.c, n.ok, n.l
	m := c.core.maintainer
	if m == nil { // read-only
		return
	}
	s := c.settings.Load()
	if s.Statistics && !l.Quiet {
		if ok {
			r.hits.Add(1)
		} else {
			r.misses.Add(1)
		}
		m.poke()
	}
	slides := l.Slide != 0 && n.expire != 0
	counts := s.Policy.CountsAccesses() && !l.Quiet
	if !ok || !slides && !counts {
		return
	}
	r.mu.Lock()
	e := r.rows[n.id]
	if e == nil || e.stored != n.stored {
		if len(r.rows) >= maxReads && !slides {
			r.mu.Unlock()
			return
		}
		e = r.add(n.id, n.stored, n.hash)
	}
	if counts {
		e.last = max(e.last, l.Instant())
		e.count++
	}
	if slides {
		e.slide, e.base = l.Slide, n.expire
		r.slides.Store(true)
	}
	many := len(r.rows) >= maxReads/2
	r.mu.Unlock()
	m.remind(many)
}

// access is overlay and note in one, for a read outside of transactions that
// only counts as an access of the row that was found. It reports whether the
// time of that is not over. Under the policies that count, this is every Get.
func (r *reads) access(row *driver.Row, hash uint64, s *driver.Settings, now driver.Instant, m *maintainer) (ok bool) {
	r.mu.Lock()
	e := r.overlaid(row, false)
	if s.Over(row.Stored, row.Expire, now) {
		r.mu.Unlock()
		return false
	}
	if e == nil && len(r.rows) < maxReads {
		e = r.add(row.ID, row.Stored, hash)
	}
	if e != nil {
		e.last = max(e.last, now)
		e.count++
	}
	many := len(r.rows) >= maxReads/2
	r.mu.Unlock()
	m.remind(many)
	return true
}

// add makes an entry for a row that has none, or one of an earlier life. The
// caller holds r.mu.
func (r *reads) add(id int64, stored driver.Instant, hash uint64) *read {
	if r.rows == nil {
		r.rows = make(map[int64]*read)
	}
	e := &read{stored: stored, hash: hash}
	r.rows[id] = e
	r.count()
	return e
}

// count keeps pending up to date.
func (r *reads) count() {
	r.pending.Store(int64(len(r.rows) + len(r.inflight) + len(r.settled)))
}

// overlay adds to a row what has been gathered about it. The transaction that
// is writing sees what is in flight in the row itself.
func (r *reads) overlay(row *driver.Row, writing bool) {
	if r.pending.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.overlaid(row, writing)
}

// overlaid is overlay with r.mu held. It returns what has been gathered about
// the row since the last flush, or nil.
func (r *reads) overlaid(row *driver.Row, writing bool) (own *read) {
	if e, ok := r.settled[row.ID]; ok && !writing && e.stored == row.Stored && e.base == row.Expire {
		row.Expire = e.slide
	}
	base := row.Expire
	for i, m := range [2]map[int64]*read{r.inflight, r.rows} {
		e, ok := m[row.ID]
		if !ok || e.stored != row.Stored || writing && i == 0 {
			continue
		}
		row.Accesses += e.count
		row.Accessed = max(row.Accessed, e.last)
		if e.slide != 0 && e.base == base {
			row.Expire = e.slide
		}
		if i == 1 {
			own = e
		}
	}
	return own
}

// empty reports whether there is nothing to write.
func (r *reads) empty() bool {
	return r.pending.Load() == 0 && r.hits.Load() == 0 && r.misses.Load() == 0
}

// flushReads writes what has been gathered about c.
func (t *tx) flushReads(c *collection) error {
	if err := t.flushNoted(c, 0); err != nil {
		return err
	}
	r := &c.reads
	if r.empty() {
		return nil
	}
	t.flushing(c)
	r.mu.Lock()
	rows := r.rows
	r.rows = nil
	r.slides.Store(false)
	if r.inflight == nil {
		r.inflight = rows
	} else {
		mergeReads(r.inflight, rows)
	}
	hits, misses := r.hits.Swap(0), r.misses.Swap(0)
	r.inflightHits += hits
	r.inflightMisses += misses
	r.mu.Unlock()

	for id, e := range rows {
		if err := t.writeRead(c, id, e); err != nil {
			return err
		}
	}
	return t.count(c, hits, misses)
}

// flushNoted writes the reads of this transaction, of one row or, if id is 0,
// of all.
func (t *tx) flushNoted(c *collection, id int64) error {
	left := t.noted[:0]
	s := c.Settings()
	for _, n := range t.noted {
		if n.c != c || id != 0 && n.id != id {
			left = append(left, n)
			continue
		}
		if s.Statistics && !n.l.Quiet {
			hits := int64(0)
			if n.ok {
				hits = 1
			}
			if err := t.count(c, hits, 1-hits); err != nil {
				return err
			}
		}
		if !n.ok {
			continue
		}
		e := &read{stored: n.stored, hash: n.hash}
		if n.expire != 0 {
			e.slide, e.base = n.l.Slide, n.expire
		}
		if s.Policy.CountsAccesses() && !n.l.Quiet {
			e.last, e.count = n.l.Instant(), 1
		}
		if err := t.writeRead(c, n.id, e); err != nil {
			return err
		}
	}
	t.noted = left
	return nil
}

// hasNoted reports whether this transaction has read a row before.
func (t *tx) hasNoted(c *collection, id int64) bool {
	for i := range t.noted {
		if n := &t.noted[i]; n.c == c && n.ok && n.id == id {
			return true
		}
	}
	return false
}

// count adds to the statistics.
func (t *tx) count(c *collection, hits, misses int64) error {
	for _, n := range []struct {
		key string
		add int64
	}{{"hits", hits}, {"misses", misses}} {
		if n.add == 0 {
			continue
		}
		s, err := t.conn.about(c, "UPDATE {S} SET value = value + ?2 WHERE {in}key = ?1")
		if err != nil {
			return err
		}
		s.BindText(1, n.key)
		s.BindInt(2, n.add)
		if err := s.Run(); err != nil {
			return err
		}
	}
	return nil
}

// flushRow writes what has been gathered about one row.
func (t *tx) flushRow(c *collection, id int64) error {
	if err := t.flushNoted(c, id); err != nil {
		return err
	}
	r := &c.reads
	r.mu.Lock()
	e, ok := r.rows[id]
	if ok {
		delete(r.rows, id)
		if r.inflight == nil {
			r.inflight = make(map[int64]*read)
		}
		mergeReads(r.inflight, map[int64]*read{id: e})
	}
	r.mu.Unlock()
	if !ok {
		return nil
	}
	t.flushing(c)
	return t.writeRead(c, id, e)
}

// flushing notes that reads of c are being written.
func (t *tx) flushing(c *collection) {
	for _, f := range t.flushed {
		if f == c {
			return
		}
	}
	t.flushed = append(t.flushed, c)
}

func (t *tx) writeRead(c *collection, id int64, e *read) error {
	t.changedHash(e.hash)
	if e.count > 0 {
		s, err := t.conn.stmt(c, table.Access)
		if err != nil {
			return err
		}
		s.BindInt(1, id)
		s.BindReal(2, float64(e.stored))
		s.BindReal(3, float64(e.last))
		s.BindInt(4, e.count)
		if err := s.Run(); err != nil {
			return err
		}
	}
	if e.slide != 0 {
		s, err := t.conn.stmt(c, table.Slide)
		if err != nil {
			return err
		}
		s.BindInt(1, id)
		s.BindReal(2, float64(e.stored))
		s.BindReal(3, float64(e.slide))
		s.BindReal(4, float64(e.base))
		c.nextExpiryKnown = false
		return s.Run()
	}
	return nil
}

// flushed drops what has been committed, but for slides: those who read in an
// older snapshot, in a View or just now, need them. viewed says that there are
// Views which may need older ones too.
func (r *reads) flushed(viewed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !viewed {
		r.settled = nil
	}
	for id, e := range r.inflight {
		if e.slide == 0 {
			continue
		}
		if r.settled == nil {
			r.settled = make(map[int64]*read)
		}
		if old, ok := r.settled[id]; ok && old.stored == e.stored && old.slide == e.base {
			e.base = old.base // of the oldest snapshot
		}
		r.settled[id] = e
	}
	r.inflight = nil
	r.inflightHits, r.inflightMisses = 0, 0
	r.count()
}

// unflushed takes back what was not committed.
func (r *reads) unflushed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows == nil {
		r.rows = r.inflight
	} else {
		newer := r.rows
		r.rows = r.inflight
		if r.rows == nil {
			r.rows = newer
		} else {
			mergeReads(r.rows, newer)
		}
	}
	r.inflight = nil
	for _, e := range r.rows {
		if e.slide != 0 {
			r.slides.Store(true)
			break
		}
	}
	r.hits.Add(r.inflightHits)
	r.misses.Add(r.inflightMisses)
	r.inflightHits, r.inflightMisses = 0, 0
	r.count()
}

// mergeReads adds newer reads to older ones. Neither changes the other.
func mergeReads(into, newer map[int64]*read) {
	for id, n := range newer {
		sum := *n
		if o := into[id]; o != nil && o.stored == n.stored {
			sum.count += o.count
			sum.last = max(sum.last, o.last)
			if sum.slide == 0 {
				sum.slide, sum.base = o.slide, o.base
			}
		}
		into[id] = &sum
	}
}

// Stats implements [driver.Store].
func (s *Store) Stats(ctx context.Context, h driver.Collection, reset bool) (out driver.Stats, err error) {
	c, err := s.core.own(h)
	if err != nil {
		return out, err
	}
	read := func(t *tx) (err error) {
		if out.Hits, err = t.conn.counterOrZero(c, "hits"); err != nil {
			return err
		}
		out.Misses, err = t.conn.counterOrZero(c, "misses")
		return err
	}
	if s.ReadOnly() {
		if reset {
			return out, driver.ErrReadOnly
		}
		return out, s.View(ctx, func(t driver.Tx) error { return read(t.(*tx)) })
	}
	err = s.Update(ctx, driver.Shared, func(dt driver.Tx) error {
		t := dt.(*tx)
		if _, err := t.begin(ctx, c, true); err != nil {
			return err
		}
		if err := t.flushReads(c); err != nil {
			return t.fail(err)
		}
		if err := read(t); err != nil {
			return t.fail(err)
		}
		if !reset {
			return nil
		}
		for _, key := range []string{"hits", "misses"} {
			if err := t.conn.replaceSetting(c, setting{key, codec.IntegerValue(0)}); err != nil {
				return t.fail(err)
			}
		}
		return nil
	})
	return out, err
}

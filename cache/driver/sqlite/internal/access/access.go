// Package access gathers what reading changes: accesses of rows, for the policies that
// go by them, sliding expiries, hits and misses. So a read writes nothing. It is
// written within a second, or before anybody wants to know exactly.
//
// [Reads] are those of one collection: what is gathered, what a transaction is writing
// until it has committed, and what was written lately, for readers of an older
// snapshot. [Schedule] says when to write.
//
// The package knows no SQL, no transactions and no settings but those that it is given,
// and writes nothing itself. Lock order: Reads.mu is taken last.
package access

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// maxRows bounds the rows whose reads are remembered; half of it has them
// written at once. Only where nothing can be written for long is the bound
// reached: then reads of further rows are still counted in the statistics, but
// do not move their rows up in the order of eviction.
const maxRows = 1 << 17

// Reads are the gathered reads of a collection. The zero value has none.
type Reads struct {
	hits, misses atomic.Int64

	pending atomic.Int64 // rows in the three maps: 0 lets readers pass without the lock
	slides  atomic.Bool  // some of rows slide
	mu      sync.Mutex
	rows    map[int64]*Change
	// settled has slides that were written lately, for readers whose snapshot
	// is older.
	settled map[int64]*Change
	// writing has what a transaction is writing, until it has committed.
	writing                    map[int64]*Change
	writingHits, writingMisses int64
	writtenHits, writtenMisses int64 // what was written, all in all
}

// Change is what reading is to change in a row. It is about the row as it was stored at
// that time: overwriting resets accesses, and a number of a deleted row may be given to
// another.
type Change struct {
	Stored driver.Instant
	Last   driver.Instant // time of the last access
	Count  int64          // accesses
	Slide  driver.Instant // if not 0, the expiry to be
	Base   driver.Instant // and the one in the database that it is to replace: not another, which somebody has set since
	Hash   uint64         // of the row's key
}

// Read is one read, of a row or of a key that has none.
type Read struct {
	Hash   uint64 // of the key
	ID     int64  // of the row
	Stored driver.Instant
	Expire driver.Instant // in the database
	Found  bool
	Lookup driver.Lookup
}

// Counts reports whether a read counts as a hit or a miss.
func (n *Read) Counts(s *driver.Settings) bool { return s.Statistics && !n.Lookup.Quiet }

// Change returns what the read alone changes in its row, which was found.
func (n *Read) Change(s *driver.Settings) Change {
	e := Change{Stored: n.Stored, Hash: n.Hash}
	if n.Expire != 0 {
		e.Slide, e.Base = n.Lookup.Slide, n.Expire
	}
	if s.Policy.CountsAccesses() && !n.Lookup.Quiet {
		e.Last, e.Count = n.Lookup.Instant(), 1
	}
	return e
}

// Note gathers one read. It reports whether there is something to write now, and
// whether that is so much that it has to be written at once.
func (r *Reads) Note(n *Read, s *driver.Settings) (noted, many bool) {
	if n.Counts(s) {
		if n.Found {
			r.hits.Add(1)
		} else {
			r.misses.Add(1)
		}
		noted = true
	}
	slides := n.Lookup.Slide != 0 && n.Expire != 0
	counts := s.Policy.CountsAccesses() && !n.Lookup.Quiet
	if !n.Found || !slides && !counts {
		return noted, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.rows[n.ID]
	if e == nil || e.Stored != n.Stored {
		if len(r.rows) >= maxRows && !slides {
			return noted, false
		}
		e = r.add(n.ID, n.Stored, n.Hash)
	}
	if counts {
		e.Last = max(e.Last, n.Lookup.Instant())
		e.Count++
	}
	if slides {
		e.Slide, e.Base = n.Lookup.Slide, n.Expire
		r.slides.Store(true)
	}
	return true, r.many()
}

// Access is Overlay and Note in one, for a read outside of transactions that only
// counts as an access of the row that was found. It reports whether the time of that is
// not over, and if so, whether there is so much to write that it has to be written at
// once. Under the policies that count, this is every Get.
func (r *Reads) Access(row *driver.Row, hash uint64, s *driver.Settings, now driver.Instant) (ok, many bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.overlay(row, false)
	if s.Over(row.Stored, row.Expire, now) {
		return false, false
	}
	if e == nil && len(r.rows) < maxRows {
		e = r.add(row.ID, row.Stored, hash)
	}
	if e != nil {
		e.Last = max(e.Last, now)
		e.Count++
	}
	return true, r.many()
}

// many reports whether what is gathered has to be written at once. The caller holds
// r.mu.
func (r *Reads) many() bool { return len(r.rows) >= maxRows/2 }

// add makes an entry for a row that has none, or one of an earlier life. The
// caller holds r.mu.
func (r *Reads) add(id int64, stored driver.Instant, hash uint64) *Change {
	if r.rows == nil {
		r.rows = make(map[int64]*Change)
	}
	e := &Change{Stored: stored, Hash: hash}
	r.rows[id] = e
	r.count()
	return e
}

// count keeps pending up to date.
func (r *Reads) count() {
	r.pending.Store(int64(len(r.rows) + len(r.writing) + len(r.settled)))
}

// Overlay adds to a row what has been gathered about it. The transaction that
// is writing sees what it writes in the row itself.
func (r *Reads) Overlay(row *driver.Row, writing bool) {
	if r.pending.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.overlay(row, writing)
}

// overlay is Overlay with r.mu held. It returns what has been gathered about the row
// and is not being written, or nil.
func (r *Reads) overlay(row *driver.Row, writing bool) (own *Change) {
	if e, ok := r.settled[row.ID]; ok && !writing && e.Stored == row.Stored && e.Base == row.Expire {
		row.Expire = e.Slide
	}
	base := row.Expire
	for i, m := range [2]map[int64]*Change{r.writing, r.rows} {
		e, ok := m[row.ID]
		if !ok || e.Stored != row.Stored || writing && i == 0 {
			continue
		}
		row.Accesses += e.Count
		row.Accessed = max(row.Accessed, e.Last)
		if e.Slide != 0 && e.Base == base {
			row.Expire = e.Slide
		}
		if i == 1 {
			own = e
		}
	}
	return own
}

// Empty reports whether there is nothing to write.
func (r *Reads) Empty() bool {
	return r.pending.Load() == 0 && r.hits.Load() == 0 && r.misses.Load() == 0
}

// Pending reports whether there may be something about a row, written or not.
func (r *Reads) Pending() bool { return r.pending.Load() != 0 }

// Slides reports whether there are expiries to write.
func (r *Reads) Slides() bool { return r.slides.Load() }

// Take returns what has been gathered, for a transaction that writes it. Written or
// Undone comes later.
func (r *Reads) Take() (rows map[int64]*Change, hits, misses int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows = r.rows
	r.rows = nil
	r.slides.Store(false)
	if r.writing == nil {
		r.writing = rows
	} else {
		merge(r.writing, rows)
	}
	hits, misses = r.hits.Swap(0), r.misses.Swap(0)
	r.writingHits += hits
	r.writingMisses += misses
	return rows, hits, misses
}

// TakeRow is Take for one row. It returns nil if nothing has been gathered about it.
func (r *Reads) TakeRow(id int64) *Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.rows[id]
	if e == nil {
		return nil
	}
	delete(r.rows, id)
	if r.writing == nil {
		r.writing = make(map[int64]*Change)
	}
	merge(r.writing, map[int64]*Change{id: e})
	return e
}

// Written drops what a transaction has taken and committed, but for slides: readers
// with an older snapshot, of a View or of a Get that just runs, need them. viewed says that
// there are Views, which may need older slides too.
func (r *Reads) Written(viewed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !viewed {
		r.settled = nil
	}
	for id, e := range r.writing {
		if e.Slide == 0 {
			continue
		}
		if r.settled == nil {
			r.settled = make(map[int64]*Change)
		}
		if old, ok := r.settled[id]; ok && old.Stored == e.Stored && old.Slide == e.Base {
			e.Base = old.Base // of the oldest snapshot
		}
		r.settled[id] = e
	}
	r.writing = nil
	r.writtenHits += r.writingHits
	r.writtenMisses += r.writingMisses
	r.writingHits, r.writingMisses = 0, 0
	r.count()
}

// Counted is told of hits and misses that were not gathered, and are written.
func (r *Reads) Counted(hits, misses int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writtenHits += hits
	r.writtenMisses += misses
}

// Totals returns all hits and misses, written or not.
func (r *Reads) Totals() (hits, misses int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.writtenHits + r.writingHits + r.hits.Load(), r.writtenMisses + r.writingMisses + r.misses.Load()
}

// Undone takes back what a transaction has taken and not committed.
func (r *Reads) Undone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.writing != nil {
		merge(r.writing, r.rows)
		r.rows = r.writing
	}
	r.writing = nil
	for e := range maps.Values(r.rows) {
		if e.Slide != 0 {
			r.slides.Store(true)
			break
		}
	}
	r.hits.Add(r.writingHits)
	r.misses.Add(r.writingMisses)
	r.writingHits, r.writingMisses = 0, 0
	r.count()
}

// merge adds newer changes to older ones. Neither changes the other.
func merge(into, newer map[int64]*Change) {
	for id, n := range newer {
		sum := *n
		if o := into[id]; o != nil && o.Stored == n.Stored {
			sum.Count += o.Count
			sum.Last = max(sum.Last, o.Last)
			if sum.Slide == 0 {
				sum.Slide, sum.Base = o.Slide, o.Base
			}
		}
		into[id] = &sum
	}
}

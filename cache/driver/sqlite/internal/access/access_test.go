package access

import (
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

var (
	lru   = &driver.Settings{Policy: driver.LeastRecentlyUsed}
	stats = &driver.Settings{Policy: driver.LeastRecentlyStored, Statistics: true}
	plain = &driver.Settings{Policy: driver.LeastRecentlyStored}
)

// database is what the reads of a collection are written to.
type database struct {
	Reads
	t            *testing.T
	rows         map[int64]driver.Row
	hits, misses int64
}

func newDatabase(t *testing.T, ids ...int64) *database {
	d := &database{t: t, rows: make(map[int64]driver.Row)}
	for _, id := range ids {
		d.rows[id] = driver.Row{ID: id, Stored: 100, Accessed: 100, Expire: 1000}
	}
	return d
}

// write returns what the rows are after a change, as the engine's SQL has it.
func write(rows map[int64]driver.Row, id int64, e *Change) {
	r := rows[id]
	if r.Stored != e.Stored {
		return
	}
	if e.Count > 0 {
		r.Accesses += e.Count
		r.Accessed = max(r.Accessed, e.Last)
	}
	if e.Slide != 0 && r.Expire == e.Base {
		r.Expire = e.Slide
	}
	rows[id] = r
}

// flush writes what is gathered, and commits that or not.
func (d *database) flush(commit, viewed bool) {
	rows := maps.Clone(d.rows)
	changes, hits, misses := d.Take()
	for id, e := range changes {
		write(rows, id, e)
	}
	if !commit {
		d.Undone()
		return
	}
	d.rows = rows
	d.hits += hits
	d.misses += misses
	d.Written(viewed)
}

// read reads a row now, as others see it.
func (d *database) read(id int64) driver.Row {
	r := d.rows[id]
	d.Overlay(&r, false)
	return r
}

// get reads a row and has it count.
func (d *database) get(id int64, l driver.Lookup, s *driver.Settings) (noted, many bool) {
	r := d.rows[id]
	base := r.Expire
	d.Overlay(&r, false)
	return d.Note(&Read{ID: id, Hash: uint64(id), Stored: r.Stored, Expire: base, Found: id != 0, Lookup: l}, s)
}

func (d *database) is(id int64, accesses int64, accessed, expire driver.Instant) {
	d.t.Helper()
	if r := d.read(id); r.Accesses != accesses || r.Accessed != accessed || r.Expire != expire {
		d.t.Errorf("row %d: %d accesses, the last at %v, expires at %v; want %d, %v, %v", id, r.Accesses, r.Accessed, r.Expire, accesses, accessed, expire)
	}
}

// A read is seen from when it is noted, whether it is written, not yet, or not after
// all.
func TestRead(t *testing.T) {
	d := newDatabase(t, 1, 2)
	if !d.Empty() || d.Pending() || d.Slides() {
		t.Error("there is something before anything is read")
	}
	now := func(at driver.Instant) driver.Lookup { return driver.Lookup{Now: at} }
	d.get(1, now(200), lru)
	d.get(1, now(150), lru)
	d.is(1, 2, 200, 1000)
	d.is(2, 0, 100, 1000)
	d.flush(false, false)
	d.is(1, 2, 200, 1000)
	d.get(2, driver.Lookup{Now: 300, Slide: 2000}, lru)
	d.is(2, 1, 300, 2000)
	if !d.Slides() || !d.Pending() {
		t.Error("nothing slides")
	}
	changes, _, _ := d.Take()
	if len(changes) != 2 || changes[2].Hash != 2 {
		t.Errorf("taken: %v", changes)
	}
	d.get(1, now(400), lru) // meanwhile
	d.is(1, 3, 400, 1000)
	writing := d.rows[1]
	if d.Overlay(&writing, true); writing.Accesses != 1 {
		t.Errorf("the writer sees %d accesses twice", writing.Accesses-1)
	}
	d.Undone()
	d.is(1, 3, 400, 1000)
	d.is(2, 1, 300, 2000)
	if !d.Slides() {
		t.Error("a slide that was not written is forgotten")
	}
	old := d.rows[2]
	d.flush(true, true)
	d.is(1, 3, 400, 1000)
	d.is(2, 1, 300, 2000)
	if !d.Empty() && !d.Pending() || d.Slides() {
		t.Error("something is left to write")
	}
	if d.Overlay(&old, false); old.Expire != 2000 {
		t.Error("a reader in an older snapshot takes a row for expired:", old.Expire)
	}
	// The oldest snapshot sees the last of several.
	d.get(2, driver.Lookup{Now: 500, Slide: 3000}, lru)
	d.flush(true, true)
	old = driver.Row{ID: 2, Stored: 100, Expire: 1000}
	if d.Overlay(&old, false); old.Expire != 3000 {
		t.Error("a reader in the oldest snapshot takes a row for expired:", old.Expire)
	}
	d.flush(true, false)
	if !d.Empty() {
		t.Error("something is kept for views that there are not")
	}

	// What was overwritten, or moved by somebody else, is another row.
	d.get(1, driver.Lookup{Now: 600, Slide: 4000}, lru)
	d.rows[1] = driver.Row{ID: 1, Stored: 601, Accessed: 601, Expire: 700}
	d.is(1, 0, 601, 700)
	d.get(1, now(602), lru)
	d.is(1, 1, 602, 700)
	d.flush(true, false)
	d.is(1, 1, 602, 700)
	d.get(1, driver.Lookup{Now: 610, Slide: 5000}, plain)
	r := d.rows[1]
	r.Expire = 800
	d.rows[1] = r
	d.is(1, 1, 602, 800)
	d.flush(true, false)
	d.is(1, 1, 602, 800)
}

// What counts is said by the settings, and by the lookup.
func TestCounts(t *testing.T) {
	d := newDatabase(t, 1)
	quiet := driver.Lookup{Now: 200, Quiet: true}
	for _, s := range []*driver.Settings{lru, stats, plain} {
		if noted, _ := d.get(1, quiet, s); noted {
			t.Error("a quiet read is noted")
		}
	}
	if noted, _ := d.get(1, driver.Lookup{Now: 200}, plain); noted || !d.Empty() {
		t.Error("a read is noted that counts for nothing")
	}
	if noted, _ := d.get(0, driver.Lookup{Now: 200}, lru); noted || !d.Empty() {
		t.Error("an access of a row that is not there is noted")
	}
	for range 3 {
		if noted, many := d.get(1, driver.Lookup{Now: 200}, stats); !noted || many {
			t.Error("a hit is not noted")
		}
		d.get(0, driver.Lookup{Now: 200}, stats)
		d.flush(false, false)
	}
	if d.Empty() {
		t.Error("hits that were not written are forgotten")
	}
	d.flush(true, false)
	if d.hits != 3 || d.misses != 3 || !d.Empty() {
		t.Errorf("%d hits and %d misses", d.hits, d.misses)
	}
	n := &Read{Stored: 100, Expire: 1000, Hash: 5, Found: true, Lookup: driver.Lookup{Now: 200, Slide: 300}}
	if e := n.Change(lru); e != (Change{Stored: 100, Last: 200, Count: 1, Slide: 300, Base: 1000, Hash: 5}) {
		t.Errorf("%+v", e)
	}
	n.Expire = 0
	if e := n.Change(plain); e != (Change{Stored: 100, Hash: 5}) {
		t.Errorf("%+v", e)
	}
}

// Access is as Overlay and Note.
func TestAccess(t *testing.T) {
	d := newDatabase(t, 1)
	for i := range 3 {
		r := d.rows[1]
		at := driver.Instant(200 + i)
		if ok, many := d.Access(&r, 1, lru, at); !ok || many || r.Accesses != int64(i) {
			t.Errorf("access %d: %v, %v, %d accesses before", i, ok, many, r.Accesses)
		}
	}
	r := d.rows[1]
	if ok, _ := d.Access(&r, 1, lru, 1000); ok {
		t.Error("a row counts that has expired")
	}
	d.is(1, 3, 202, 1000)
	d.get(1, driver.Lookup{Now: 300, Slide: 2000}, lru)
	r = d.rows[1]
	if ok, _ := d.Access(&r, 1, lru, 1500); !ok || r.Expire != 2000 {
		t.Error("a row has expired whose expiry has moved:", r.Expire)
	}
}

// One row is taken alone.
func TestTakeRow(t *testing.T) {
	d := newDatabase(t, 1, 2)
	for id := range d.rows {
		d.get(id, driver.Lookup{Now: 200}, lru)
	}
	if e := d.TakeRow(1); e == nil || e.Count != 1 {
		t.Fatalf("taken: %+v", e)
	}
	if e := d.TakeRow(1); e != nil {
		t.Errorf("taken twice: %+v", e)
	}
	d.is(1, 1, 200, 1000)
	d.get(1, driver.Lookup{Now: 300}, lru)
	if e := d.TakeRow(1); e == nil || e.Count != 1 {
		t.Fatalf("taken: %+v", e)
	}
	d.is(1, 2, 300, 1000)
	d.Undone()
	d.is(1, 2, 300, 1000)
	d.flush(true, false)
	d.is(1, 2, 300, 1000)
	d.is(2, 1, 200, 1000)
}

// Rows beyond the bound are not remembered, but for slides; from half of it on,
// everything is to be written.
func TestBound(t *testing.T) {
	d := newDatabase(t)
	for id := range int64(maxRows) {
		_, many := d.Note(&Read{ID: id + 1, Found: true, Lookup: driver.Lookup{Now: 200}}, lru)
		if many != (id+1 >= maxRows/2) {
			t.Fatalf("row %d: %v", id, many)
		}
	}
	more := driver.Row{ID: maxRows + 1, Stored: 100, Expire: 1000}
	if ok, many := d.Access(&more, 0, lru, 200); !ok || !many {
		t.Error("a read beyond the bound:", ok, many)
	}
	if noted, _ := d.Note(&Read{ID: more.ID, Stored: 100, Found: true, Lookup: driver.Lookup{Now: 200}}, lru); noted || len(d.Reads.rows) != maxRows {
		t.Error("there are more rows than may be:", len(d.Reads.rows))
	}
	d.Note(&Read{ID: more.ID, Stored: 100, Expire: 1000, Found: true, Lookup: driver.Lookup{Now: 200, Slide: 2000}}, lru)
	if d.Overlay(&more, false); more.Expire != 2000 {
		t.Error("a slide is lost at the bound")
	}
}

func same(a, b driver.Row) bool {
	return a.Stored == b.Stored && a.Accessed == b.Accessed && a.Accesses == b.Accesses && a.Expire == b.Expire
}

// Whatever comes in whatever order, the rows with what is gathered are as if each read
// had been written at once.
func TestHistory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		d := newDatabase(t, 1, 2, 3)
		want := maps.Clone(d.rows)
		now := driver.Instant(200)
		for range 60 {
			now++
			id := 1 + rng.Int64N(3)
			switch rng.IntN(8) {
			case 0:
				d.flush(true, rng.IntN(2) == 0)
			case 1:
				d.flush(false, false)
			case 2: // a write to the row writes what is gathered about it
				e := d.TakeRow(id)
				if rng.IntN(2) == 0 {
					d.Undone()
					break
				}
				if e != nil {
					write(d.rows, id, e)
				}
				d.Written(false)
				for _, rows := range []map[int64]driver.Row{d.rows, want} {
					r := rows[id]
					r.Accesses, r.Accessed, r.Stored, r.Expire = 0, now, now, 1000+now
					rows[id] = r
				}
			default:
				l := driver.Lookup{Now: now}
				if rng.IntN(3) == 0 {
					l.Slide = 1000 + now
				}
				d.get(id, l, lru)
				r := want[id]
				r.Accesses++
				r.Accessed = now
				if l.Slide != 0 {
					r.Expire = l.Slide
				}
				want[id] = r
			}
			for id := range want {
				if got := d.read(id); !same(got, want[id]) {
					t.Fatalf("row %d is %+v, want %+v", id, got, want[id])
				}
			}
		}
		d.flush(true, false)
		if !maps.EqualFunc(d.rows, want, same) {
			t.Fatalf("written is %+v, want %+v", d.rows, want)
		}
	}
}

// What is gathered is written a second after the first, or at once.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSchedule()
		defer s.Stop()
		wait := func() (urgent bool) {
			select {
			case <-s.Due():
			case <-s.Urgent():
				urgent = true
			}
			s.Begin()
			return urgent
		}
		idle := func() {
			t.Helper()
			select {
			case <-s.Due():
				t.Error("due though there is nothing")
			case <-s.Urgent():
				t.Error("urgent though there is nothing")
			case <-time.After(time.Hour):
			}
		}
		idle()
		began := time.Now()
		for range 9 {
			s.Soon()
			time.Sleep(writeAfter / 10)
		}
		if wait() || time.Since(began) != writeAfter {
			t.Error("written after", time.Since(began))
		}
		idle()
		began = time.Now()
		for range 3 {
			s.Now()
		}
		if !wait() || time.Since(began) != 0 {
			t.Error("not at once, but after", time.Since(began))
		}
		s.Soon()
		if wait() || time.Since(began) != writeAfter {
			t.Error("what came after that is written after", time.Since(began))
		}
		idle()
	})
}

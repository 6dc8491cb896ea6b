package near

import (
	"errors"
	"math"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

const (
	numParts = 16
	// indexCost is what an entry takes in the index, about: a hash and a
	// position, in a map that is between half and seven eighths full.
	indexCost = 32
	// maxSpared bounds the entries that one Put moves on instead of dropping
	// them.
	maxSpared = 8
)

// Rows is a bounded set of entries. It is divided into parts, each with a lock
// and a ring of memory that entries are written to one after the other. Where
// a new one needs the room, the oldest goes, but if it was used since it was
// written it is written once more: first in, first out with a second chance
// (Corbato, "A Paging Experiment with the Multics System", 1968). The
// memory is not the garbage collector's, which would let twice of it be used.
type Rows struct {
	mem   []byte
	parts [numParts]part
}

// part is a part of Rows. mu guards the rest.
type part struct {
	mu    sync.Mutex
	index map[uint64]uint32 // hash to position in the ring
	ring  []byte
	start int // of the oldest entry
	used  int // bytes from start on, around the end, that hold entries or are skipped
	max   int // bytes of entries and index

	hits, misses int64
}

// NewRows returns an empty set that takes up to max bytes, at most 16 GiB or
// what the system has addresses for.
func NewRows(max int64) (*Rows, error) {
	size := int(min(max, 1<<34, math.MaxInt)) / numParts &^ 7
	if size < headSize {
		return nil, errors.New("too small for a single row")
	}
	mem, err := mapAnonymous(size * numParts)
	if err != nil {
		return nil, err
	}
	r := &Rows{mem: mem}
	for i := range r.parts {
		r.parts[i] = part{index: make(map[uint64]uint32), ring: mem[i*size:][:size:size], max: size}
	}
	return r, nil
}

// Close gives the memory back. Nobody may use r any more.
func (r *Rows) Close() error { return unmapAnonymous(r.mem) }

// The low bits of a hash choose the slot of a Table, the high ones the part.
func (r *Rows) part(hash uint64) *part { return &r.parts[hash>>(64-4)] }

// Answer is what Get knows.
type Answer int

// What Get knows.
const (
	Unknown Answer = iota // ask the database
	Absent                // there is no row
	Found
)

// Get looks a key up and fills in row. Only an entry with the stamp s counts.
func (r *Rows) Get(hash uint64, s Stamp, collection int64, key codec.Value, bare bool, row *driver.Row) Answer {
	p := r.part(hash)
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.index[hash]
	if !ok {
		p.misses++
		return Unknown
	}
	e := p.at(int(at))
	if e.stamp() != s || !e.is(collection, key) {
		p.misses++
		return Unknown
	}
	p.hits++
	e[atFlags] |= flagUsed
	if e[atFlags]&flagAbsent != 0 {
		return Absent
	}
	e.row(row, key, bare)
	return Found
}

// Put keeps an entry, made by Append, under a stamp.
func (r *Rows) Put(b []byte, s Stamp) {
	e := entry(b)
	e.setStamp(s)
	p := r.part(e.u64(atHash))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(e.u64(atHash))
	p.add(e)
}

// Forget drops what is known about the key with a hash.
func (r *Rows) Forget(hash uint64) {
	p := r.part(hash)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(hash)
}

// Stats adds up what was asked, how it was answered, and the bytes in use.
func (r *Rows) Stats() (hits, misses, bytes int64) {
	for i := range r.parts {
		p := &r.parts[i]
		p.mu.Lock()
		hits += p.hits
		misses += p.misses
		bytes += int64(p.used + len(p.index)*indexCost)
		p.mu.Unlock()
	}
	return hits, misses, bytes
}

// at returns the entry at a position.
func (p *part) at(i int) entry {
	e := entry(p.ring[i:])
	return e[:e.u32(atLength)]
}

func (p *part) forget(hash uint64) {
	if at, ok := p.index[hash]; ok {
		p.at(int(at))[atFlags] |= flagDead
		delete(p.index, hash)
	}
}

// add writes e behind the newest entry.
func (p *part) add(e entry) {
	if len(e)+indexCost > p.max/2 {
		return
	}
	for spared := 0; ; {
		if p.used == 0 {
			p.start = 0
		}
		end := (p.start + p.used) % len(p.ring)
		skip := 0
		if end+len(e) > len(p.ring) { // it does not fit before the end of the ring
			skip = len(p.ring) - end
		}
		if p.used+skip+len(e)+(len(p.index)+1)*indexCost <= p.max {
			p.write(end, skip, e)
			return
		}
		old := p.take()
		if old != nil && old[atFlags]&flagUsed != 0 && spared < maxSpared {
			spared++
			old[atFlags] &^= flagUsed
			p.move(old)
		}
	}
}

// write puts e at the end of what is in use, which has room for it, or, after
// skip bytes, at the beginning of the ring.
func (p *part) write(end, skip int, e entry) {
	if skip > 0 {
		if skip >= headSize {
			gap := entry(p.ring[end:])
			clear(gap[:headSize])
			gap.set32(atLength, uint32(skip))
			gap[atFlags] = flagDead
		}
		p.used += skip
		end = 0
	}
	p.index[e.u64(atHash)] = uint32(end) // before e, which may overlap its new place, changes
	p.used += copy(p.ring[end:], e)
}

// take removes the oldest entry and returns it, where it lies, or nil if it
// was dead.
func (p *part) take() entry {
	if len(p.ring)-p.start < headSize { // too small even for the head of a gap
		p.used -= len(p.ring) - p.start
		p.start = 0
		return nil
	}
	e := p.at(p.start)
	p.start = (p.start + len(e)) % len(p.ring)
	p.used -= len(e)
	if e[atFlags]&flagDead != 0 {
		return nil
	}
	delete(p.index, e.u64(atHash))
	return e
}

// move writes an entry that was just taken behind the newest one. There is
// room for it, if only just: what it is copied to may overlap it.
func (p *part) move(e entry) {
	end := (p.start + p.used) % len(p.ring)
	skip := 0
	if end+len(e) > len(p.ring) {
		skip = len(p.ring) - end
	}
	if p.used+skip+len(e) > len(p.ring) {
		return
	}
	p.write(end, skip, e)
}

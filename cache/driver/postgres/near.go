package postgres

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// near are copies of rows in memory. Each change of a collection says which rows it has
// changed, by their IDs, so that who asks what has changed since some version knows
// which of the copies of that version are those of the newest.
type near struct {
	limit    int64 // bytes; 0: no copies are kept
	maxStale time.Duration

	mu           sync.Mutex
	of           map[int32]*copies
	trips        uint64
	first, last  *copied // the one that was used last, and the one that was not for the longest
	bytes        int64
	hits, misses int64
}

// copies are those of rows of one collection.
type copies struct {
	stamp           // each copy that is not newer is the row of this version
	trip  uint64    // the latest that has said so
	asked time.Time // when it began; zero: this store has written since
	wrote time.Time // when this store has last written
	keys  map[string]*copied
	ids   map[int64]*copied
}

// stamp is a state of a collection: the number of its newest change. A server that
// crashes may forget some, whose numbers come again in another incarnation.
type stamp struct {
	incarnation int64 // 0: none is known
	n           int64
}

// change is what a change says of rows.
type change struct {
	n   int64
	ids []int64
	all bool // it may have changed any row
}

// copied is a copy of a row, as of a version of its collection. It belongs to nobody
// else, and is not changed.
type copied struct {
	row
	c            int32
	key          string
	n            int64
	newer, older *copied // by use
}

const (
	defaultNearCache = 64 << 20
	// maxCopy is the largest copy, and copyCost what one takes beside key, value and tag.
	maxCopy  = 64 << 10
	copyCost = 400
)

func (cp *copied) size() int64 {
	return copyCost + int64(len(cp.key)+cp.Value.Len()+cp.Tag.Len())
}

func (n *near) on() bool { return n.limit > 0 }

// departure is the beginning of a round trip: what it finds was so at some later time.
type departure struct {
	trip uint64
	time time.Time
}

// depart begins a round trip, and notes the versions from which on changes are asked for.
func (n *near) depart(parts []part) (at departure) {
	if !n.on() {
		return at
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trips++
	for i := range parts {
		parts[i].base = stamp{}
		if cs := n.of[parts[i].c.id]; cs != nil {
			parts[i].base = cs.stamp
		}
	}
	return departure{n.trips, time.Now()}
}

// arrive is told what a round trip has found: the version of a collection, and changes
// after base up to it, the newest first. Those that are missing may have changed any row.
func (n *near) arrive(at departure, c int32, base, now stamp, changes []change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	cs := n.of[c]
	if cs == nil || at.trip < cs.trip {
		return // a round trip that began later was here before: copies are as new as that found them
	}
	// The numbers have to be of one history, and go on from that of the copies.
	if now.incarnation == 0 || now.incarnation != cs.incarnation || now.n < base.n ||
		base.n > 0 && base.incarnation != cs.incarnation || base.n > cs.n {
		n.dropBefore(cs, 1<<63-1)
		cs.stamp = now
		changes = nil
	}
	for i := len(changes) - 1; i >= 0; i-- {
		ch := &changes[i]
		switch {
		case ch.n <= cs.n:
			continue
		case ch.n > cs.n+1: // some are missing
			n.dropBefore(cs, ch.n-1)
		}
		if ch.all {
			n.dropBefore(cs, ch.n)
		}
		for _, id := range ch.ids {
			if cp := cs.ids[id]; cp != nil && cp.n < ch.n {
				n.drop(cs, cp)
			}
		}
		cs.n = ch.n
	}
	cs.trip = at.trip
	if at.time.After(cs.wrote) {
		cs.asked = at.time
	}
}

// wrote is told that this store has changed collections, or may have.
func (n *near) wrote(heads []*head) {
	if n.maxStale <= 0 || !n.on() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range heads {
		if cs := n.of[h.c]; cs != nil {
			cs.asked, cs.wrote = time.Time{}, time.Now()
		}
	}
}

// has reports whether there is a copy of the row of a key, and whether it needs no check.
func (n *near) has(c int32, k key) (some, fresh bool) {
	if !n.on() || len(k.rest) > 0 {
		return false, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	cs := n.of[c]
	if cs == nil || cs.keys[string(k.k)] == nil {
		return false, false
	}
	return true, n.maxStale > 0 && !cs.asked.IsZero() && time.Since(cs.asked) < n.maxStale
}

// get returns the row of a key, if there is a copy of it. The caller has made a check
// since its call began, or needs none.
func (n *near) get(c int32, k key, asked codec.Value, bare bool) (r row, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	cs := n.of[c]
	if cs == nil {
		return r, false
	}
	cp := cs.keys[string(k.k)]
	if cp == nil {
		return r, false
	}
	n.hits++
	if n.first != cp {
		n.unhook(cp)
		n.hook(cp)
	}
	r = cp.row
	r.Key, r.Tag = asked.Clone(), r.Tag.Clone()
	if r.Value = r.Value.Clone(); bare {
		r.Value = codec.Value{}
	}
	return r, true
}

// missed notes a Get that was not answered by a copy.
func (n *near) missed() {
	if !n.on() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.misses++
}

// keep keeps a copy of the row that q was answered with by a round trip, of a version.
func (n *near) keep(at departure, q *question, of stamp) {
	if q.row.value != 0 || len(q.key.rest) > 0 {
		return
	}
	cp := &copied{row: q.row, c: q.c.id, key: string(q.key.k), n: of.n}
	size := cp.size()
	if size > maxCopy || size > n.limit {
		return
	}
	cp.Key, cp.Value, cp.Tag = codec.Value{}, cp.Value.Clone(), cp.Tag.Clone()
	n.mu.Lock()
	defer n.mu.Unlock()
	cs := n.of[cp.c]
	if cs == nil {
		cs = &copies{stamp: of, trip: at.trip, keys: make(map[string]*copied), ids: make(map[int64]*copied)}
		if n.of == nil {
			n.of = make(map[int32]*copies)
		}
		n.of[cp.c] = cs
	}
	if cs.incarnation != of.incarnation && len(cs.keys) == 0 && at.trip > cs.trip {
		cs.stamp, cs.trip = of, at.trip // without copies nobody asks
	}
	if cs.incarnation != of.incarnation || of.n < cs.n {
		return // what has changed since is forgotten
	}
	// The ID may be that of a row of another key that was removed.
	for _, other := range []*copied{cs.keys[cp.key], cs.ids[cp.ID]} {
		switch {
		case other == nil:
		case other.n > cp.n:
			return
		default:
			n.drop(cs, other)
		}
	}
	for n.last != nil && n.bytes+size > n.limit {
		n.drop(n.of[n.last.c], n.last)
	}
	cs.keys[cp.key], cs.ids[cp.ID] = cp, cp
	n.bytes += size
	n.hook(cp)
}

// dropBefore drops the copies that are older than a version. The caller has mu.
func (n *near) dropBefore(cs *copies, before int64) {
	for _, cp := range cs.keys {
		if cp.n < before {
			n.drop(cs, cp)
		}
	}
}

// drop drops a copy, if it is there. The caller has mu.
func (n *near) drop(cs *copies, cp *copied) {
	if cs.keys[cp.key] != cp {
		return
	}
	delete(cs.keys, cp.key)
	delete(cs.ids, cp.ID)
	n.bytes -= cp.size()
	n.unhook(cp)
}

// hook has a copy be the one that was used last.
func (n *near) hook(cp *copied) {
	cp.newer, cp.older = nil, n.first
	if n.first != nil {
		n.first.newer = cp
	} else {
		n.last = cp
	}
	n.first = cp
}

func (n *near) unhook(cp *copied) {
	if cp.newer != nil {
		cp.newer.older = cp.older
	} else {
		n.first = cp.older
	}
	if cp.older != nil {
		cp.older.newer = cp.newer
	} else {
		n.last = cp.newer
	}
}

func (n *near) stats() driver.NearStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return driver.NearStats{Hits: n.hits, Misses: n.misses, Bytes: n.bytes}
}

// maxTouched is the most rows that a change names.
const maxTouched = 128

// touched are the rows that a transaction changes in a collection.
type touched struct {
	ids []int64
	all bool // any may be
}

// add notes a row that is there before the transaction: nobody has copies of others.
func (t *touched) add(ids ...int64) {
	if t.all = t.all || len(t.ids)+len(ids) > maxTouched; !t.all {
		t.ids = append(t.ids, ids...)
	}
}

// column returns what a change says: NULL for any row.
func (t *touched) column() []byte {
	if t.all {
		return nil
	}
	b := make([]byte, 0, 8*len(t.ids))
	for _, id := range t.ids {
		b = binary.BigEndian.AppendUint64(b, uint64(id))
	}
	return b
}

// changeOf is a change as it was read.
func changeOf(n int64, column []byte) change {
	ch := change{n: n, all: column == nil}
	for ; len(column) >= 8; column = column[8:] {
		ch.ids = append(ch.ids, int64(binary.BigEndian.Uint64(column)))
	}
	return ch
}

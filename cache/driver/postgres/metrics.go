package postgres

import (
	"slices"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// counters are what a store has done since it was opened.
type counters struct {
	mu               sync.Mutex
	commits, waits   histogram
	expired, evicted int64
	reads            map[int32]driver.Stats
}

// histogram counts values, by bounds that it does not have.
type histogram struct {
	counts [16]int64
	sum    float64
}

func (h *histogram) add(bounds []float64, v float64) {
	at, _ := slices.BinarySearch(bounds, v)
	h.counts[at]++
	h.sum += v
}

func (h *histogram) snapshot(bounds []float64) driver.Histogram {
	return driver.Histogram{Bounds: bounds, Counts: slices.Clone(h.counts[:len(bounds)+1]), Sum: h.sum}
}

// The bounds of commits are powers of 2, up to groupSize, those of waits powers of 4
// microseconds, up to a minute or so.
var (
	commitBounds = powers(7, 1, 2)
	waitBounds   = powers(13, 4e-6, 4)
)

func powers(n int, first, factor float64) (out []float64) {
	for v := first; len(out) < n; v *= factor {
		out = append(out, v)
	}
	return out
}

// committed counts a transaction.
func (cs *counters) committed(x *tx) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.commits.add(commitBounds, float64(x.updates))
	cs.waits.add(waitBounds, x.waited.Seconds())
	cs.expired += x.expired
	cs.evicted += x.evicted
	for c, n := range x.counts {
		cs.add(c, n)
	}
}

// read counts a Get outside of an Update.
func (cs *counters) read(c int32, n driver.Stats) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.add(c, n)
}

// add counts Gets. The caller has mu.
func (cs *counters) add(c int32, n driver.Stats) {
	if cs.reads == nil {
		cs.reads = make(map[int32]driver.Stats)
	}
	sum := cs.reads[c]
	cs.reads[c] = driver.Stats{Hits: sum.Hits + n.Hits, Misses: sum.Misses + n.Misses}
}

// Metrics implements [driver.Metered]. The waits for locks are those at the server, with
// the round trip in which a transaction begins.
func (s *Store) Metrics() (m driver.Metrics) {
	m.Near = s.near.stats()
	m.Watches = s.watches.count()
	cs := &s.counters
	cs.mu.Lock()
	defer cs.mu.Unlock()
	m.Commits, m.LockWaits = cs.commits.snapshot(commitBounds), cs.waits.snapshot(waitBounds)
	m.Expired, m.Evicted = cs.expired, cs.evicted
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range cs.reads {
		if c := s.collections[id]; c != nil {
			if m.Collections == nil {
				m.Collections = make(map[string]driver.Stats)
			}
			sum := m.Collections[c.name] // of one that was dropped and made again
			m.Collections[c.name] = driver.Stats{Hits: sum.Hits + n.Hits, Misses: sum.Misses + n.Misses}
		}
	}
	return m
}

package sqlite

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// counters are what a core has done since it was opened. The leader of the writer adds
// to most of them; anybody reads.
type counters struct {
	groups histogram // of the numbers of requests in a commit
	waits  histogram // of nanoseconds

	expired, evicted atomic.Int64

	checkpoints    atomic.Int64
	checkpointTime atomic.Int64 // nanoseconds
}

// histogram counts values in up to 16 buckets.
type histogram struct {
	counts [16]atomic.Int64
	sum    atomic.Int64
}

func (h *histogram) add(bucket int, value int64) {
	h.counts[min(bucket, len(h.counts)-1)].Add(1)
	h.sum.Add(value)
}

// snapshot returns what was counted: the values up to each of bounds, and those above.
// Values were counted in that unit.
func (h *histogram) snapshot(bounds []float64, unit float64) driver.Histogram {
	out := driver.Histogram{Bounds: bounds, Counts: make([]int64, len(bounds)+1), Sum: float64(h.sum.Load()) * unit}
	for i := range h.counts {
		out.Counts[min(i, len(bounds))] += h.counts[i].Load()
	}
	return out
}

// committed counts a commit that n requests shared.
func (c *counters) committed(n int) {
	c.groups.add(bits.Len(uint(n-1)), int64(n))
}

// groupBounds are those of committed: powers of 2, up to group.MaxSize.
var groupBounds = bounds(8, 1, 2)

// waited counts the wait of a transaction that has begun.
func (c *counters) waited(d time.Duration) {
	micros := uint64(max(d-1, 0) / time.Microsecond)
	c.waits.add(max(bits.Len64(micros)-1, 0)/2, int64(d))
}

// waitBounds are those of waited: powers of 4 microseconds, up to a minute or so.
var waitBounds = bounds(13, 4e-6, 4)

func bounds(n int, first, factor float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = first
		first *= factor
	}
	return out
}

// checkpointed counts a checkpoint.
func (c *counters) checkpointed(began time.Time) {
	c.checkpoints.Add(1)
	c.checkpointTime.Add(int64(time.Since(began)))
}

// Metrics implements [driver.Metered]. Handles that share a core share its counts.
func (s *Store) Metrics() (m driver.Metrics) {
	if s.gate.enter() != nil {
		return m
	}
	defer s.gate.leave()
	c := s.core
	m.Near = c.near.stats()
	m.Commits = c.counters.groups.snapshot(groupBounds, 1)
	m.LockWaits = c.counters.waits.snapshot(waitBounds, 1e-9)
	m.Expired, m.Evicted = c.counters.expired.Load(), c.counters.evicted.Load()
	m.Log.Checkpoints = c.counters.checkpoints.Load()
	m.Log.CheckpointTime = time.Duration(c.counters.checkpointTime.Load()).Seconds()
	if c.wal != nil {
		m.Log.Bytes = c.wal.Bytes()
	}
	m.Watches = int64(c.watchers.Watches())
	for _, coll := range c.opened() {
		hits, misses := coll.reads.Totals()
		if hits+misses == 0 {
			continue
		}
		if m.Collections == nil {
			m.Collections = make(map[string]driver.Stats)
		}
		m.Collections[coll.name] = driver.Stats{Hits: hits, Misses: misses}
	}
	return m
}

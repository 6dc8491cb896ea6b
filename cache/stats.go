package cache

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Stats counts reads, and writes that BestEffort gave up.
type Stats struct {
	Hits   int64 // by all processes since the last reset, while statistics were on
	Misses int64 // likewise

	Dropped int64 // writes dropped through this handle since it was opened

	Near NearStats
}

// NearStats is about the near cache, see [sqlite.Options.NearCache]: of the
// store, in this process, since it was opened. A reset leaves it alone. Its
// fields are
//
//	Hits   int64 // Gets that were answered from memory, misses included
//	Misses int64 // Gets for which there was no copy, or not a valid one
//	Bytes  int64 // of memory in use
type NearStats = driver.NearStats

// Stats returns the counts, exactly: those of Get, GetEntry, GetMany, GetOrSet
// and OpenValue, and in an Update if it was committed. Other methods do not
// count. The counts are off unless Options.Statistics or EnableStats turn them
// on; then reads are gathered in memory and written with other writes.
func (c *Cache[K, V]) Stats(ctx context.Context) (Stats, error) {
	return c.stats(ctx, "Stats", false)
}

// ResetStats returns the counts and starts again from 0. No count in between
// is lost.
func (c *Cache[K, V]) ResetStats(ctx context.Context) (Stats, error) {
	return c.stats(ctx, "ResetStats", true)
}

func (h *handle) stats(ctx context.Context, op string, reset bool) (Stats, error) {
	out := Stats{Dropped: h.shared.dropped.Load()}
	err := h.unbound(ctx)
	if err == nil {
		s, serr := h.st.engine.Stats(ctx, h.dc, reset)
		out.Hits, out.Misses, err = s.Hits, s.Misses, serr
		if e, ok := h.st.engine.(driver.NearCached); ok {
			out.Near = e.Near()
		}
	}
	return out, h.fail(ctx, op, err)
}

// EnableStats turns counting on or off, for all processes.
func (c *Cache[K, V]) EnableStats(ctx context.Context, on bool) error {
	_, err := c.configure(ctx, func(s *Settings) { s.Statistics = on })
	return c.fail(ctx, "EnableStats", err)
}

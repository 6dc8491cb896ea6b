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

	// Near is about the near cache of the store, all collections included, in this
	// process, since the store was opened: see [sqlite.Options.NearCache]. Its Hits
	// are Gets that were answered from memory, those that found nothing included;
	// its Misses Gets for which there was no valid copy; and its Bytes the memory in
	// use. A reset leaves it alone.
	Near driver.NearStats
}

// Stats returns the counts, exactly: those of Get, GetEntry, GetMany, GetOrSet
// and OpenValue, and in an Update if it was committed. Other methods do not
// count. The counts are off unless Options.Statistics or [Cache.Configure] turns
// them on; then reads are gathered in memory and written with other writes.
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

package cache

import "context"

// Stats counts reads, and writes that BestEffort gave up.
type Stats struct {
	Hits   int64 // by all processes since the last reset, while statistics were on
	Misses int64 // likewise

	Dropped int64 // writes dropped through this handle since it was opened
}

// Stats returns the counts, exactly: those of Get, GetEntry, GetMany, GetOrSet
// and OpenValue, and in an Update if it was committed. Other methods do not
// count. The counts are off unless Options.Statistics or [Cache.Configure] turns
// them on; then reads are gathered in memory and written with other writes. What this
// process alone has counted is in [Store.Metrics].
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
	}
	return out, h.fail(ctx, op, err)
}

package memo

import (
	"context"
	"sync/atomic"
)

// Stats counts what a Memo has done, and what is remembered.
type Stats struct {
	// Of this Memo in this process, since New. Hits and Misses are all calls of
	// Call, also those that failed.
	Hits      int64 // calls that returned what was remembered, be it a result or an error
	Misses    int64 // all other calls
	Coalesced int64 // misses that another call had begun to compute, in any process
	Computed  int64 // calls of the function: by Call, by Refresh and in the background
	Refreshed int64 // calls of the function in the background, while the old result was valid
	Failed    int64 // calls of the function that returned an error or panicked
	Stale     int64 // failed calls of the function where an old result did: see Options.StaleIfError
	Reported  int64 // errors that no caller got: see Options.OnError

	// Of the store, by all processes.
	Results int64 // results, also those whose time is over and that are still there
	Errors  int64 // errors, likewise: see Options.CacheError
}

// counts has those of Stats that are of this process.
type counts struct {
	hits, misses, coalesced, computed, refreshed, failed, stale, reported atomic.Int64
}

// Stats returns what was counted. It costs the same however much is remembered. What
// is of this process, it returns with an error too.
func (m *Memo[A, R]) Stats(ctx context.Context) (Stats, error) {
	c := &m.counts
	s := Stats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Coalesced: c.coalesced.Load(), Computed: c.computed.Load(),
		Refreshed: c.refreshed.Load(), Failed: c.failed.Load(), Stale: c.stale.Load(), Reported: c.reported.Load(),
	}
	n, err := m.kept.results.Len(ctx)
	s.Results = n
	if err == nil && m.kept.errors != nil {
		s.Errors, err = m.kept.errors.Len(ctx)
	}
	return s, m.fail("Stats", err)
}

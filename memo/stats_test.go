package memo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-diskcache/diskcache/cache/driver/memory"
	"github.com/go-diskcache/diskcache/memo"
)

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var data memory.Data
		st, other := openMemory(t, &data), openMemory(t, &data)
		failed := errors.New("failed")
		c := counted{takes: time.Second}
		o := &memo.Options[string, int64]{
			TTL: time.Hour, RefreshAfter: time.Minute, StaleIfError: time.Hour,
			CacheError: func(error) time.Duration { return time.Hour },
		}
		m, theirs := newMemo(t, st, c.call, o), newMemo(t, other, c.call, o)
		want, wantTheirs := memo.Stats{}, memo.Stats{}
		check := func() {
			t.Helper()
			synctest.Wait()
			for m, want := range map[*memo.Memo[string, int64]]memo.Stats{m: want, theirs: wantTheirs} {
				s, err := m.Stats(t.Context())
				ok(t, err)
				if d := cmp.Diff(want, s); d != "" {
					t.Errorf("Stats (-want +got):\n%s", d)
				}
			}
		}
		call := func(m *memo.Memo[string, int64], arg string) { _, _ = m.Call(t.Context(), arg) }
		check()

		// Three callers of one process and two of another one wait for one computation.
		for range 3 {
			go call(m, "a")
		}
		synctest.Wait()
		for range 2 {
			go call(theirs, "a")
		}
		time.Sleep(2 * time.Second)
		want = memo.Stats{Misses: 3, Coalesced: 2, Computed: 1, Results: 1}
		wantTheirs = memo.Stats{Misses: 2, Coalesced: 2, Results: 1}
		check()

		call(m, "a")
		want.Hits++
		check()

		time.Sleep(time.Minute)
		call(m, "a") // and computes in the background
		time.Sleep(2 * time.Second)
		want.Hits, want.Computed, want.Refreshed = want.Hits+1, want.Computed+1, 1
		check()

		c.failWith(failed)
		call(m, "b")
		call(m, "b")
		want.Hits, want.Misses, want.Computed, want.Failed = want.Hits+1, want.Misses+1, want.Computed+1, 1
		want.Errors, wantTheirs.Errors = 1, 1
		check()

		time.Sleep(time.Hour)
		call(m, "a") // the old result, as the function fails
		want.Misses, want.Computed, want.Failed, want.Stale, want.Reported = want.Misses+1, want.Computed+1, 2, 1, 1
		check()

		_, err := m.Refresh(t.Context(), "c")
		is(t, err, failed)
		want.Computed, want.Failed, want.Errors = want.Computed+1, 3, 2
		wantTheirs.Errors = 2
		s, err := m.Stats(t.Context())
		ok(t, err)
		equal(t, s.Failed, want.Failed)
		equal(t, s.Misses, want.Misses)

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		s, err = m.Stats(ended)
		is(t, err, context.Canceled)
		equal(t, s.Failed, want.Failed)
	})
}

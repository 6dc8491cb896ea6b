package cache_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// A write that is not bound to the transaction in whose function it is made waits
// for itself. Its ErrTimeout says what is wrong, and the transaction goes on.
func TestUnboundWrite(t *testing.T) {
	onEngines(t, func(t *testing.T, e *env) {
		st := e.reopen(20*time.Millisecond, false)
		c := open[string, int](t, st, "", nil)
		ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
			ok(t, c.In(tx).Set(t.Context(), "bound", 1))
			err := c.Set(t.Context(), "k", 2)
			is(t, err, cache.ErrTimeout)
			if !strings.Contains(err.Error(), "must go through the transaction") {
				t.Errorf("it does not say what is wrong: %v", err)
			}
			is(t, c.Set(tx.Context(), "k", 2), cache.ErrInTx)
			return nil
		}))
		v, found, err := c.Get(t.Context(), "bound")
		ok(t, err)
		equal(t, v, 1)
		equal(t, found, true)
		ok(t, c.Set(t.Context(), "k", 3))
	})
}

// Long before that the Logger is told, once for each transaction, whoever waits.
func TestUnboundWriteIsTold(t *testing.T) {
	var log logged
	st := must(cache.OpenStore(t.Context(), t.TempDir(), &cache.StoreOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}))(t)
	defer st.Close()
	c := open[int, int](t, st, "", nil)
	told := func() int { return strings.Count(log.String(), "a write waits for a transaction of this process") }
	for n := range 2 {
		var all sync.WaitGroup
		ok(t, st.Update(t.Context(), func(tx *cache.Tx) error {
			for k := range 3 {
				all.Go(func() { ok(t, c.Set(t.Context(), k, n)) })
			}
			for deadline := time.Now().Add(time.Minute); told() <= n && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			return nil
		}))
		all.Wait()
		equal(t, told(), n+1)
	}
}

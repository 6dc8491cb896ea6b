package sync

import (
	"context"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// The row of a lock stays when nobody holds it or waits for it, since to change a row
// is cheaper than to insert one. A transaction that inserts a row looks at sweepRows
// others, and deletes those that were not used for sweepAfter. So there are never many
// more rows than are in use.
const (
	sweepAfter = time.Minute
	sweepRows  = 4
)

func (m *manager) sweep(ctx context.Context, tx *cache.Tx, rows *cache.Cache[string, lease], now time.Time) error {
	m.mu.Lock()
	swept := m.swept
	m.mu.Unlock()
	n := 0
	var unused []string
	for e, err := range rows.Sorted().After(swept).Limit(sweepRows).All(ctx) {
		if err != nil {
			return err
		}
		n++
		swept = e.Key
		// The row of a semaphore has its size.
		if e.Value.idle() && now.Sub(e.Stored) > sweepAfter && strings.HasPrefix(e.Key, lockPrefix) {
			unused = append(unused, e.Key)
		}
	}
	if n < sweepRows {
		swept = ""
	}
	tx.AfterCommit(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.swept = swept
	})
	_, err := rows.DeleteMany(ctx, unused...)
	return err
}

package sync

import (
	"context"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// A row stays when nobody holds or waits any more, as it is cheaper to change
// than to make. Rows that were not used for sweepAfter are removed little by
// little: whoever makes a new one looks at sweepRows others. So there are
// never many more rows than are used.
const (
	sweepAfter = time.Minute
	sweepRows  = 4
)

func (s *space) sweep(ctx context.Context, rows *cache.Cache[string, lease], now time.Time) error {
	n := 0
	var unused []string
	for e, err := range rows.Ascend(ctx, cache.After(s.swept), cache.Limit[string](sweepRows)) {
		if err != nil {
			return err
		}
		n++
		s.swept = e.Key
		// A semaphore has to remember its size.
		if e.Value.idle() && now.Sub(e.Stored) > sweepAfter && strings.HasPrefix(e.Key, lockPrefix) {
			unused = append(unused, e.Key)
		}
	}
	if n < sweepRows {
		s.swept = ""
	}
	_, err := rows.DeleteMany(ctx, unused...)
	return err
}

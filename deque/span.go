package deque

import (
	"context"
	"fmt"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// Items have the keys of DiskCache's queues: integers between these, from the
// middle outwards.
const (
	keyFirst  = 0
	keyLast   = 999_999_999_999_999
	keyMiddle = 500_000_000_000_000
)

// span returns the range of the items in c, from the front or from the back.
func span[V any](c *cache.Cache[int64, V], back bool) cache.Range[int64, V] {
	r := c.Sorted().After(keyFirst).Before(keyLast)
	if back {
		return r.Desc()
	}
	return r
}

// end returns the key at one end, skipping some.
func (d *Deque[T]) endKey(ctx context.Context, back bool, skip int64) (int64, bool, error) {
	for k, err := range span(d.raw, back).Skip(skip).Limit(1).Keys(ctx) {
		return k, err == nil, err
	}
	return 0, false, nil
}

var errUsedUp = fmt.Errorf("%w: no key is left at this end of the deque", cache.ErrOverflow)

// free returns the keys for n more items beyond one end: the first of them,
// and the step from each to the next. Keys of items that have expired are
// used again.
func (d *Deque[T]) freeKeys(ctx context.Context, back bool, n int64) (key, step int64, err error) {
	k, ok, err := d.endKey(ctx, back, 0)
	if err != nil {
		return 0, 0, err
	}
	step = -1
	if back {
		step = 1
	}
	if !ok {
		k = keyMiddle - step
	}
	if back && keyLast-k <= n || !back && k-keyFirst <= n {
		return 0, 0, errUsedUp
	}
	return k + step, step, nil
}

type rawEntry = cache.Entry[int64, codec.Value]

// keep returns the options that write an entry as it was: with its expiry, and with
// its tag, which is the number of claims so far.
func keep(e rawEntry) []cache.Option {
	return written(e.Expiry, e.Tag.Value)
}

func written(expiry time.Time, attempts codec.Value) (opts []cache.Option) {
	if !expiry.IsZero() {
		opts = append(opts, cache.ExpireAt(expiry))
	}
	if !attempts.IsNull() {
		opts = append(opts, cache.TagValue{Value: attempts})
	}
	return opts
}

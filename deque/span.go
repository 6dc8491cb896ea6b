package deque

import (
	"context"
	"fmt"
	"iter"
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

// span returns the range of all items, narrowed.
func span(more ...cache.Range[int64]) []cache.Range[int64] {
	return append([]cache.Range[int64]{cache.After[int64](keyFirst), cache.Before[int64](keyLast)}, more...)
}

// keys iterates over the keys of live items from one end.
func (d *Deque[T]) keys(ctx context.Context, back bool, more ...cache.Range[int64]) iter.Seq2[int64, error] {
	if back {
		return d.raw.DescendKeys(ctx, span(more...)...)
	}
	return d.raw.AscendKeys(ctx, span(more...)...)
}

// entries iterates over live items, not decoded, from one end.
func (d *Deque[T]) entries(ctx context.Context, back bool, more ...cache.Range[int64]) iter.Seq2[rawEntry, error] {
	if back {
		return d.raw.Descend(ctx, span(more...)...)
	}
	return d.raw.Ascend(ctx, span(more...)...)
}

// end returns the key at one end, skipping some.
func (d *Deque[T]) end(ctx context.Context, back bool, skip int64) (int64, bool, error) {
	for k, err := range d.keys(ctx, back, cache.Skip[int64](skip), cache.Limit[int64](1)) {
		return k, err == nil, err
	}
	return 0, false, nil
}

var errUsedUp = fmt.Errorf("%w: no key is left at this end of the deque", cache.ErrOverflow)

// free returns the keys for n more items beyond one end: the first of them,
// and the step from each to the next. Keys of items that have expired are
// used again.
func (d *Deque[T]) free(ctx context.Context, back bool, n int64) (key, step int64, err error) {
	k, ok, err := d.end(ctx, back, 0)
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

// keep returns the options that write an entry as it was: with its expiry,
// and its tag, which counts the attempts at it.
func keep(e rawEntry) []cache.Option {
	return written(e.Expiry, e.Tag)
}

func written(expiry time.Time, attempts codec.Value) (opts []cache.Option) {
	if !expiry.IsZero() {
		opts = append(opts, cache.ExpireAt(expiry))
	}
	if !attempts.IsNull() {
		opts = append(opts, cache.Tag(attempts))
	}
	return opts
}

package cache

import (
	"context"
	"iter"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Tagged iterates over the entries with a tag, in insertion order:
//
//	for e, err := range c.Tagged(ctx, cache.Tag("img")) {
//
// With a tag index it is quick; without one every entry is looked at. See All.
func (c *Cache[K, V]) Tagged(ctx context.Context, tag TagValue) iter.Seq2[Entry[K, V], error] {
	if err := tag.some(); err != nil {
		return failed[Entry[K, V]](c.fail(ctx, "Tagged", err))
	}
	return c.entries(ctx, "Tagged", driver.Scan{Tag: tag.Value}, 0)
}

// Evict removes all entries with a tag and returns how many there were,
// expired ones included. It works in small transactions, like Clear.
func (c *Cache[K, V]) Evict(ctx context.Context, tag TagValue) (int, error) {
	if err := tag.some(); err != nil {
		return 0, c.fail(ctx, "Evict", err)
	}
	n, err := c.sweep(ctx, func(tx driver.Tx, limit int) ([]driver.Row, error) {
		return tx.Remove(ctx, c.dc, driver.Filter{Tag: tag.Value}, limit)
	}, c.tellExpired)
	return n, c.fail(ctx, "Evict", err)
}

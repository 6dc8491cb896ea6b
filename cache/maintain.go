package cache

import (
	"context"
	"errors"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// sweepRows is the number of rows that maintenance removes in a transaction:
// some milliseconds of work, between which other writers have their turn.
const sweepRows = 256

// Len returns the number of entries, including expired ones that have not
// been removed yet.
func (c *Cache[K, V]) Len(ctx context.Context) (n int64, err error) {
	err = c.view(ctx, func(tx driver.Tx) (err error) {
		n, err = tx.Count(ctx, c.dc)
		return err
	})
	return n, c.fail(ctx, "Len", err)
}

// Expire removes all entries that have expired and returns how many. Nothing
// depends on calling it, but writes remove only a few at a time. It works in
// small transactions, between which others write; with an error it returns
// how many it had removed. Bound to a transaction, all is a part of that.
func (c *Cache[K, V]) Expire(ctx context.Context) (int, error) {
	now := c.st.instant()
	n, err := c.sweep(ctx, func(tx driver.Tx, limit int) ([]driver.Row, error) {
		return tx.Remove(ctx, c.dc, driver.Filter{Expired: now}, limit)
	}, c.tellAt(now))
	c.logSwept(ctx, "expire", n, err)
	return n, c.fail(ctx, "Expire", err)
}

// Cull removes entries that have expired, then by the collection's policy
// until its volume is within its limit, and returns how many. It works in
// small transactions, like Expire.
func (c *Cache[K, V]) Cull(ctx context.Context) (int, error) {
	now := c.st.instant()
	n, err := c.sweep(ctx, func(tx driver.Tx, limit int) ([]driver.Row, error) {
		return tx.Cull(ctx, c.dc, now, limit, codec.Value{})
	}, c.tellAt(now))
	c.logSwept(ctx, "cull", n, err)
	return n, c.fail(ctx, "Cull", err)
}

// Clear removes all entries and returns how many there were. It works in
// small transactions, like Expire: what others write meanwhile may stay.
func (c *Cache[K, V]) Clear(ctx context.Context) (int, error) {
	n, err := c.sweep(ctx, func(tx driver.Tx, limit int) ([]driver.Row, error) {
		return tx.Remove(ctx, c.dc, driver.Filter{}, limit)
	}, c.tellExpired)
	c.logSwept(ctx, "clear", n, err)
	return n, c.fail(ctx, "Clear", err)
}

// tellAt returns what sweep calls for rows that OnEvict is to be told of.
func (h *handle) tellAt(now driver.Instant) func([]driver.Row) {
	return func(rows []driver.Row) { h.notify(rows, now) }
}

// tellExpired is what sweep calls for rows that were removed whatever their time,
// and of which OnEvict is to be told of those that had expired.
func (h *handle) tellExpired(rows []driver.Row) {
	if h.shared.evicted == nil {
		return
	}
	now := h.st.instant()
	h.notify(slices.DeleteFunc(rows, func(r driver.Row) bool { return !h.over(&r, now) }), now)
}

// sweep calls remove, which removes up to limit rows, in one transaction after the
// other until it finds less. On a full disk there may be no room for a transaction of
// many rows, and still for a smaller one.
func (h *handle) sweep(ctx context.Context, remove func(tx driver.Tx, limit int) ([]driver.Row, error), removed func([]driver.Row)) (n int, err error) {
	for limit := sweepRows; ; {
		var rows []driver.Row
		err := h.update(ctx, driver.Alone, func(tx driver.Tx) (err error) {
			rows, err = remove(tx, limit)
			return err
		})
		if errors.Is(err, ErrFull) && h.tx == nil && limit > 1 {
			limit /= 4
			continue
		}
		if err != nil {
			return n, err
		}
		n += len(rows)
		full := len(rows) == limit
		removed(rows)
		if !full {
			return n, nil
		}
		if err := ended(ctx); err != nil {
			return n, err
		}
	}
}

func (h *handle) logSwept(ctx context.Context, what string, n int, err error) {
	switch {
	case err != nil:
		h.st.log.WarnContext(ctx, what+" failed", "collection", h.dc.Name(), "removed", n, "err", err)
	case n > 0:
		h.st.log.InfoContext(ctx, what, "collection", h.dc.Name(), "removed", n)
	}
}

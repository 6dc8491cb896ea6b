package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Cull implements [driver.Tx].
func (x *tx) Cull(ctx context.Context, c driver.Collection, now driver.Instant, limit int, keep codec.Value) ([]driver.Row, error) {
	h, err := x.change(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := x.write(ctx, h); err != nil {
		return nil, err
	}
	return x.cull(ctx, h, now, limit, keep)
}

var (
	expiredSQL = `DELETE FROM entry WHERE c = $1 AND id IN (
			SELECT id FROM entry WHERE c = $1 AND expire <> 0 AND expire <= $2 AND NOT (k = $3 AND h = $4) ORDER BY expire, id LIMIT $5
		) RETURNING ` + columnsOf("entry", true)

	// Of the first by rank, as many as bring the volume down by $2.
	evictSQL = `DELETE FROM entry WHERE c = $1 AND id IN (
			SELECT id FROM (
				SELECT id, sum(weight) OVER (ORDER BY rank, id) - weight AS before FROM (
					SELECT id, rank, weight FROM entry WHERE c = $1 AND rank IS NOT NULL AND NOT (k = $3 AND h = $4) ORDER BY rank, id LIMIT $5
				) first
			) sums WHERE before < $2
		) RETURNING ` + columnsOf("entry", true)
)

// cull makes room in a collection whose marks are written, if there is anything to do.
func (x *tx) cull(ctx context.Context, h *head, now driver.Instant, limit int, keep codec.Value) (out []driver.Row, err error) {
	spared := key{none, none, none}
	if !keep.IsNull() {
		spared = keyOf(keep)
	}
	if limit <= 0 {
		return nil, nil
	}
	if h.expire != 0 && h.expire <= now {
		rows, err := x.conn.Query(ctx, expiredSQL, h.c, float64(now), spared.k, spared.h, limit)
		if err != nil {
			return nil, failed(ctx, err)
		}
		gone, err := x.removed(ctx, h, rows)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(gone, func(a, b row) int { return cmp.Or(cmp.Compare(a.Expire, b.Expire), cmp.Compare(a.ID, b.ID)) })
		x.expired += int64(len(gone))
		out = public(gone)
		if len(gone) < limit {
			// The bound can be raised to the next expiry.
			var next float64
			err := x.conn.QueryRow(ctx, `SELECT coalesce((SELECT expire FROM entry WHERE c = $1 AND expire <> 0 ORDER BY expire, id LIMIT 1), 0)`, h.c).Scan(&next)
			if err != nil {
				return nil, failed(ctx, err)
			}
			if h.expire != driver.Instant(next) {
				h.expire = driver.Instant(next)
				x.moved(h)
			}
		}
	}
	left := limit - len(out)
	if left <= 0 || h.volume <= h.settings.SizeLimit || h.settings.Policy == driver.NoEviction {
		return out, nil
	}
	if err := x.write(ctx, h); err != nil {
		return nil, err
	}
	rows, err := x.conn.Query(ctx, evictSQL, h.c, h.volume-h.settings.SizeLimit, spared.k, spared.h, left)
	if err != nil {
		return nil, failed(ctx, err)
	}
	gone, err := x.removed(ctx, h, rows)
	if err != nil {
		return nil, err
	}
	x.evicted += int64(len(gone))
	slices.SortFunc(gone, func(a, b row) int { return cmp.Or(rankOrder(h.settings.Policy, &a, &b), cmp.Compare(a.ID, b.ID)) })
	return append(out, public(gone)...), nil
}

func rankOrder(p driver.Policy, a, b *row) int {
	switch p {
	case driver.LeastRecentlyStored:
		return cmp.Compare(a.Stored, b.Stored)
	case driver.LeastRecentlyUsed:
		return cmp.Compare(a.Accessed, b.Accessed)
	}
	return cmp.Compare(a.Accesses, b.Accesses)
}

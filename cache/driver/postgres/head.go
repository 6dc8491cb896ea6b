package postgres

import (
	"context"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// head is what a collection is at some moment: its settings, and its newest change.
type head struct {
	c        int32
	xmin     uint32 // of the row of the catalog
	dropped  bool
	settings driver.Settings

	n, seen, mark int64
	rows, volume  int64
	expire        driver.Instant // no row expires before it; 0: none does

	touched touched // by the transaction that has the head
}

// headColumns are those of scanHead, of tables o and h of headTables.
const headColumns = `o.dropped, o.xmin, o.policy, o.size_limit, o.cull_limit, o.min_file, o.statistics, o.tag_index,
	coalesce(h.n, 0), coalesce(h.seen, 0), coalesce(h.mark, 0), coalesce(h.rows, 0), coalesce(h.volume, 0), coalesce(h.expire, 0)`

const headTables = `collection o LEFT JOIN LATERAL (SELECT * FROM (SELECT n, seen, mark, rows, volume, expire FROM change WHERE change.c = o.c ORDER BY n DESC LIMIT 1) newest) h ON true`

const headSQL = `SELECT ` + headColumns + ` FROM ` + headTables + ` WHERE o.c = $1`

// scan reads headColumns, and before them what first points at.
func (h *head) scan(row pgx.Row, first ...any) error {
	return row.Scan(append(first, &h.dropped, &h.xmin, &h.settings.Policy, &h.settings.SizeLimit, &h.settings.CullLimit, &h.settings.MinFileSize,
		&h.settings.Statistics, &h.settings.TagIndex, &h.n, &h.seen, &h.mark, &h.rows, &h.volume, &h.expire)...)
}

// readHead returns the head of a collection as c's transaction sees it.
func readHead(ctx context.Context, c *pgx.Conn, id int32) (*head, error) {
	h := &head{c: id}
	err := h.scan(c.QueryRow(ctx, headSQL, id))
	if err == pgx.ErrNoRows { // long gone
		h.dropped, err = true, nil
	}
	return h, err
}

// expires notes that a row expires at an instant.
func (h *head) expires(at driver.Instant) {
	if at != 0 && (h.expire == 0 || at < h.expire) {
		h.expire = at
	}
}

// next adds to b the change that a commit leaves. seen says that watchers are told.
func (h *head) next(b *pgx.Batch, seen bool) {
	h.n++
	if seen {
		h.seen++
	}
	h.mark = rand.Int64()
	b.Queue(`INSERT INTO change (c, n, seen, mark, rows, volume, expire, ids) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		h.c, h.n, h.seen, h.mark, h.rows, h.volume, float64(h.expire), h.touched.column())
	if h.n%pruneEvery == 0 {
		b.Queue(`DELETE FROM change WHERE c = $1 AND n < $2`, h.c, h.n-pruneEvery)
	}
}

// pruneEvery is after how many changes those that are older than that are removed.
const pruneEvery = 256

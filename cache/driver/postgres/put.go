package postgres

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// putSQL stores a row and returns its ID and the row that it replaces, as that was.
// Nobody else changes rows of the collection meanwhile.
var putSQL = `WITH old AS (
		SELECT * FROM entry WHERE c = $1 AND k = $2 AND h = $3
	), new AS (
		INSERT INTO entry AS e (c, id, k, h, rest, kk, vk, v, value, size, weight, stored, expire, accessed, accesses, tag, tk, tagh, rank, life, marked, touched)
		VALUES ($1, (SELECT coalesce(max(id), 0) + 1 FROM entry WHERE c = $1), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11, 0, $13, $14, $15, $16, $17, 0, 0)
		ON CONFLICT (c, k, h) DO UPDATE SET vk = excluded.vk, v = excluded.v, value = excluded.value, size = excluded.size, weight = excluded.weight,
			stored = excluded.stored, expire = excluded.expire, accessed = excluded.accessed, accesses = 0,
			tag = excluded.tag, tk = excluded.tk, tagh = excluded.tagh, rank = excluded.rank, life = excluded.life, marked = 0, touched = 0
		RETURNING 1
	)
	SELECT ` + columnsOf("old", true) + ` FROM new LEFT JOIN old ON true`

// keepSQL changes the value and the store time of a row whose time is not over.
var keepSQL = `UPDATE entry e SET vk = $4, v = $5, value = $6, size = $7, weight = e.weight - e.size + $7, stored = $8,
		rank = CASE WHEN $9::int = 1 THEN $8 ELSE e.rank END
	FROM (SELECT * FROM entry WHERE c = $1 AND k = $2 AND h = $3) old
	WHERE e.c = old.c AND e.id = old.id AND NOT ` + overSQL("old", "$8", "$10", "$11") + `
	RETURNING ` + columnsOf("old", true)

// overSQL is [driver.Settings.Over] at the instant now, which is not 0: ahead is that
// plus MaxAhead, and evicts says whether the policy evicts.
func overSQL(table, now, ahead, evicts string) string {
	return `(` + table + `.expire <> 0 AND (` + table + `.expire <= ` + now + `::float8 OR ` + evicts + `::bool AND ` + table + `.stored > ` + ahead + `::float8))`
}

// Put implements [driver.Tx].
func (x *tx) Put(ctx context.Context, c driver.Collection, p driver.Put) (gone []driver.Row, err error) {
	h, err := x.change(ctx, c)
	if err != nil {
		return nil, err
	}
	if p.Key.IsNull() {
		return nil, errNullKey
	}
	x.dirty++
	value, kind, length := encodeValue(p.Value), p.Value.Kind(), size(p.Value)
	var outside any // the column value
	if p.File != nil {
		f, err := x.link(ctx, p.File)
		if err != nil {
			return nil, err
		}
		value, kind, length, outside = nil, f.kind, f.Size(), f.id
	}
	old, err := x.replace(ctx, h, &p, value, kind, length, outside)
	if err != nil {
		return nil, err
	}
	if old != nil && p.Expired && h.settings.Over(old.Stored, old.Expire, p.Now) {
		one := old.Row
		one.Key = p.Key.Clone()
		gone = append(gone, one)
	}
	x.changed(h)
	room := p.Room(&h.settings)
	if room <= 0 {
		return gone, nil
	}
	culled, err := x.cull(ctx, h, p.Now, room, p.Key)
	return append(gone, culled...), err
}

// replace writes a row and returns the one that it replaces, or nil.
func (x *tx) replace(ctx context.Context, h *head, p *driver.Put, value []byte, kind codec.Kind, length int64, outside any) (*row, error) {
	k := keyOf(p.Key)
	if p.Keep {
		rows, err := x.conn.Query(ctx, keepSQL, h.c, k.k, k.h, int16(kind), value, outside, length, float64(p.Now),
			policyNumber(h.settings.Policy), float64(p.Now+driver.MaxAhead), h.settings.Policy != driver.NoEviction)
		if err != nil {
			return nil, failed(ctx, err)
		}
		old, err := collect(rows, nil)
		if err != nil {
			return nil, failed(ctx, err)
		}
		if len(old) > 0 {
			h.touched.add(old[0].ID)
			h.volume += length - old[0].Size
			return &old[0], x.unlink(ctx, old)
		}
	}
	rows, err := x.conn.Query(ctx, putSQL, h.putArgs(p, k, value, kind, length, outside)...)
	if err != nil {
		return nil, failed(ctx, err)
	}
	old, err := collect(rows, nil)
	if err != nil {
		return nil, failed(ctx, err)
	}
	h.put(p, length, old)
	if len(old) == 0 {
		return nil, nil
	}
	return &old[0], x.unlink(ctx, old)
}

// weightOf returns what the row of p weighs, whose value has a length.
func weightOf(p *driver.Put, length int64) int64 {
	return size(p.Key) + length + size(p.Tag) + overhead
}

// putArgs returns the arguments of putSQL.
func (h *head) putArgs(p *driver.Put, k key, value []byte, kind codec.Kind, length int64, outside any) []any {
	tag, hash := tagOf(p.Tag)
	return []any{h.c, k.k, k.h, k.rest, int16(p.Key.Kind()), int16(kind), value, outside, length, weightOf(p, length),
		float64(p.Now), float64(p.Expire), tag, int16(p.Tag.Kind()), hash, rankOf(h.settings.Policy, p.Now), rand.Int64()}
}

// put notes that a row was stored, in the place of old, if there is one.
func (h *head) put(p *driver.Put, length int64, old []row) {
	h.expires(p.Expire)
	h.volume += weightOf(p, length)
	if len(old) == 0 {
		h.rows++
		return
	}
	h.touched.add(old[0].ID)
	h.volume -= old[0].weight
}

// rankOf returns the rank of a row that was just put.
func rankOf(p driver.Policy, now driver.Instant) any {
	switch policyNumber(p) {
	case 1, 2:
		return float64(now)
	case 3:
		return float64(0)
	}
	return nil
}

// PutMany implements [driver.Tx]. The rows are sent together, if none depends on what
// another one finds.
func (x *tx) PutMany(ctx context.Context, c driver.Collection, ps []driver.Put) (gone []driver.Row, err error) {
	h, err := x.change(ctx, c)
	if err != nil || len(ps) == 0 {
		return nil, err
	}
	if !h.apart(ps) {
		return driver.PutEach(ctx, x, c, ps)
	}
	x.dirty++
	b := &pgx.Batch{}
	olds := make([][]row, len(ps))
	for i := range ps {
		p := &ps[i]
		args := h.putArgs(p, keyOf(p.Key), encodeValue(p.Value), p.Value.Kind(), size(p.Value), nil)
		b.Queue(putSQL, args...).Query(func(rows pgx.Rows) (err error) {
			olds[i], err = collect(rows, nil)
			return err
		})
	}
	if err := x.conn.SendBatch(ctx, b).Close(); err != nil {
		return nil, failed(ctx, err)
	}
	x.changed(h)
	var replaced []row
	for i, old := range olds {
		p := &ps[i]
		h.put(p, size(p.Value), old)
		if replaced = append(replaced, old...); len(old) > 0 && p.Expired && h.settings.Over(old[0].Stored, old[0].Expire, p.Now) {
			one := old[0].Row
			one.Key = p.Key.Clone()
			gone = append(gone, one)
		}
	}
	return gone, x.unlink(ctx, replaced)
}

// apart reports whether rows can be stored without looking what becomes of each: their
// values are in them, they keep nothing of others, and no room is to be made.
func (h *head) apart(ps []driver.Put) bool {
	volume, expire := h.volume, h.expire
	for i := range ps {
		p := &ps[i]
		if p.Key.IsNull() || p.File != nil || p.Keep {
			return false
		}
		volume += weightOf(p, size(p.Value))
		if p.Expire != 0 && (expire == 0 || p.Expire < expire) {
			expire = p.Expire
		}
		full := volume > h.settings.SizeLimit && h.settings.Policy != driver.NoEviction
		if p.Room(&h.settings) > 0 && (full || expire != 0 && expire <= p.Now) {
			return false
		}
	}
	return true
}

var touchSQL = `UPDATE entry SET expire = $4, touched = $8 WHERE c = $1 AND k = $2 AND h = $3 AND NOT ` + overSQL("entry", "$5", "$6", "$7") + ` RETURNING id`

// Touch implements [driver.Tx].
func (x *tx) Touch(ctx context.Context, c driver.Collection, key codec.Value, expire, now driver.Instant) (bool, error) {
	h, err := x.change(ctx, c)
	if err != nil {
		return false, err
	}
	k := keyOf(key)
	var id int64
	err = x.conn.QueryRow(ctx, touchSQL, h.c, k.k, k.h, float64(expire), float64(now), float64(now+driver.MaxAhead),
		h.settings.Policy != driver.NoEviction, h.n+1).Scan(&id)
	if err == pgx.ErrNoRows {
		return false, nil
	}
	if err != nil {
		return false, failed(ctx, err)
	}
	h.touched.add(id)
	h.expires(expire)
	x.changed(h)
	return true, nil
}

var deleteSQL = `DELETE FROM entry WHERE c = $1 AND k = $2 AND h = $3 RETURNING ` + columnsOf("entry", true)

// Delete implements [driver.Tx].
func (x *tx) Delete(ctx context.Context, c driver.Collection, key codec.Value, now driver.Instant) (bool, error) {
	h, err := x.change(ctx, c)
	if err != nil {
		return false, err
	}
	k := keyOf(key)
	rows, err := x.conn.Query(ctx, deleteSQL, h.c, k.k, k.h)
	if err != nil {
		return false, failed(ctx, err)
	}
	gone, err := x.removed(ctx, h, rows)
	if err != nil || len(gone) == 0 {
		return false, err
	}
	return !h.settings.Over(gone[0].Stored, gone[0].Expire, now), nil
}

// removed is told of rows that a statement has deleted.
func (x *tx) removed(ctx context.Context, h *head, rows pgx.Rows) ([]row, error) {
	gone, err := collect(rows, nil)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	for i := range gone {
		h.rows--
		h.volume -= gone[i].weight
		h.touched.add(gone[i].ID)
	}
	x.changed(h)
	return gone, x.unlink(ctx, gone)
}

// unlink gives up the values of rows that are gone.
func (x *tx) unlink(ctx context.Context, gone []row) error {
	var values []int64
	for i := range gone {
		if gone[i].value != 0 {
			values = append(values, gone[i].value)
		}
	}
	if len(values) == 0 {
		return nil
	}
	x.swept = true
	_, err := x.conn.Exec(ctx, `UPDATE value SET dead = true WHERE id = ANY($1)`, values)
	return failed(ctx, err)
}

// Remove implements [driver.Tx].
func (x *tx) Remove(ctx context.Context, c driver.Collection, f driver.Filter, limit int) ([]driver.Row, error) {
	h, err := x.change(ctx, c)
	if err != nil || limit <= 0 {
		return nil, err
	}
	q := newQuery(h.c)
	if f.Expired != 0 {
		q.where("expire <> 0 AND expire <= ", float64(f.Expired))
	}
	q.tag(f.Tag)
	if f.IDs != nil {
		ids := slices.Clone(f.IDs)
		slices.Sort(ids)
		q.where("id = ANY(", slices.Compact(ids))
		q.add(")")
	}
	order := " ORDER BY id LIMIT "
	if f.Expired != 0 {
		order = " ORDER BY expire, id LIMIT "
	}
	q.add(order)
	q.arg(limit)
	rows, err := x.conn.Query(ctx, `DELETE FROM entry WHERE c = $1 AND id IN (SELECT id FROM entry WHERE c = $1`+q.String()+`) RETURNING `+columnsOf("entry", true), q.args...)
	if err != nil {
		return nil, failed(ctx, err)
	}
	gone, err := x.removed(ctx, h, rows)
	if err != nil {
		return nil, err
	}
	if f.Expired != 0 {
		x.expired += int64(len(gone))
	}
	return public(gone), nil
}

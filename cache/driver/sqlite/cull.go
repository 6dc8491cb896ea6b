package sqlite

import (
	"context"
	"fmt"
	"math"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// Making room: a Put, or Cull itself, first removes entries whose time is over, and then, while
// the collection is larger than its size limit, those that its policy picks. What a collection
// knows about both (nextExpiry, room) is the writer's.

// grew accounts for a row that is about to be put. The estimate errs on the
// high side, since it only decides when the volume is looked at again.
func (c *collection) grew(p *driver.Put, v *table.Value) {
	c.spare -= int64(p.Key.Len()+p.Value.Len()+p.Tag.Len()) + v.Size + 3*c.core.writer.pageSize
}

// expires notes the expiry of a row that is put.
func (c *collection) expires(at driver.Instant) {
	if at != 0 && at < c.nextExpiry {
		c.nextExpiry = at
	}
}

// Cull implements [driver.Tx].
func (t *tx) Cull(ctx context.Context, h driver.Collection, now driver.Instant, limit int, keep codec.Value) ([]driver.Row, error) {
	c, err := t.admit(ctx, h, true)
	if err != nil || limit <= 0 {
		return nil, err
	}
	return t.cull(c, now, limit, keep)
}

// cull removes up to limit entries, but not that of keep: first those that have expired.
func (t *tx) cull(c *collection, now driver.Instant, limit int, keep codec.Value) ([]driver.Row, error) {
	out, err := t.cullExpired(c, now, limit, keep)
	if err == nil && len(out) < limit {
		out, err = t.cullVolume(c, limit, keep, out)
	}
	if err != nil {
		return nil, t.fail(err)
	}
	return out, nil
}

// noExpiry is later than every expiry.
const noExpiry = driver.Instant(1e300)

// cullExpired removes up to limit entries that have expired.
func (t *tx) cullExpired(c *collection, now driver.Instant, limit int, keep codec.Value) ([]driver.Row, error) {
	if !c.nextExpiryKnown {
		s, err := t.conn.stmt(c, table.FindNextExpiry)
		if err != nil {
			return nil, err
		}
		c.nextExpiry = noExpiry
		if _, err := s.First(func() { c.nextExpiry = table.Expire(s, 0) }); err != nil {
			return nil, err
		}
		c.nextExpiryKnown = true
	}
	if c.nextExpiry > now {
		return nil, nil
	}
	// What was read lately may live longer than its row says.
	if err := t.flushReads(c); err != nil {
		return nil, err
	}
	rows, err := t.scan(c, driver.Scan{Order: driver.ByExpire, Limit: limit + 1, Bare: true}, now)
	if err != nil {
		return nil, err
	}
	out := rows[:0]
	for i := range rows {
		if len(out) == limit || !rows[i].Expired(now) {
			break
		}
		if !keep.IsNull() && codec.Equal(rows[i].Key, keep) && !rows[i].ForeignKey {
			continue
		}
		if err := t.deleteFound(c, &rows[i]); err != nil {
			return nil, err
		}
		out = append(out, rows[i])
	}
	t.expired += int64(len(out))
	c.nextExpiryKnown = false
	return out, nil
}

// cullVolume removes rows by policy until the volume is under the limit, and
// appends them to out.
func (t *tx) cullVolume(c *collection, limit int, keep codec.Value, out []driver.Row) ([]driver.Row, error) {
	s := c.Settings()
	if s.Policy == driver.NoEviction || s.SizeLimit == driver.NoLimit || c.spare > 0 {
		return out, nil
	}
	over, err := t.over(c, s.SizeLimit)
	if err != nil || !over {
		return out, err
	}
	if s.Policy.CountsAccesses() {
		if err := t.flushReads(c); err != nil {
			return nil, err
		}
	}
	column := table.EvictionColumn(s.Policy)
	if err := t.conn.do(c, fmt.Sprintf("CREATE INDEX IF NOT EXISTS {T}_%[1]s ON {T} ({coll}%[1]s)", column)); err != nil {
		return nil, err
	}
	sql := fmt.Sprintf("SELECT %s FROM {T} WHERE {in}true ORDER BY %s, rowid LIMIT %d", table.BareRow, column, limit-len(out)+1)
	rows, err := t.rows(c, c.tables.Expand(sql), true)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if len(out) == limit || !over {
			break
		}
		if !keep.IsNull() && codec.Equal(rows[i].Key, keep) && !rows[i].ForeignKey {
			continue
		}
		if err := t.deleteFound(c, &rows[i]); err != nil {
			return nil, err
		}
		out = append(out, rows[i])
		t.evicted++
		if over, err = t.over(c, s.SizeLimit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// over reports whether the volume of c is over limit, and notes in c.spare how much may be added
// before it is.
func (t *tx) over(c *collection, limit int64) (bool, error) {
	v, err := t.volume(c)
	if err != nil {
		return false, err
	}
	c.spare = limit - v
	return c.spare < 0, nil
}

// volume is what counts against the size limit of c: for the default
// collection the pages of the database that are in use and its value files, as
// in DiskCache, less what named collections have in those pages; for a named
// one the bytes of its values.
func (t *tx) volume(c *collection) (int64, error) {
	size, err := t.conn.counterOrZero(c, "size")
	if err != nil || c.id != 0 {
		return size, err
	}
	pages, err := t.conn.integer("PRAGMA page_count")
	if err != nil {
		return 0, err
	}
	free, err := t.conn.integer("PRAGMA freelist_count")
	if err != nil {
		return 0, err
	}
	named, err := t.namedSize()
	if err != nil {
		return 0, err
	}
	return saturatingAdd(max((pages-free)*t.core.writer.pageSize-named, 0), size), nil
}

// namedSize adds up the values of all named collections.
func (t *tx) namedSize() (int64, error) {
	w := t.core.writer
	if w.named == nil || w.namedGeneration != t.generation {
		ids, err := t.conn.owners()
		if err != nil {
			return 0, err
		}
		w.named, w.namedGeneration = ids, t.generation
	}
	var sum int64
	for _, id := range w.named {
		sql := "SELECT value FROM Settings_shared WHERE coll = 0 AND key = 'size'"
		switch {
		case id == 0:
			continue
		case id != table.SharedFirst:
			sql = fmt.Sprintf("SELECT value FROM Settings_%d WHERE key = 'size'", id)
		}
		n, err := t.conn.integer(sql)
		if err != nil {
			return 0, err
		}
		sum = saturatingAdd(sum, max(n, 0))
	}
	return sum, nil
}

// saturatingAdd adds two sizes.
func saturatingAdd(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

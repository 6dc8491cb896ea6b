package sqlite

import (
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// grew accounts for a row that is about to be put. The estimate errs on the
// high side, since it only decides when the volume is looked at again.
func (c *collection) grew(p *driver.Put, v *stored) {
	c.room -= int64(p.Key.Len()+p.Value.Len()+p.Tag.Len()) + v.size + 3*c.core.writer.pageSize
}

// expires notes the expiry of a row that is put.
func (c *collection) expires(at driver.Instant) {
	if at != 0 && at < c.nextExpiry {
		c.nextExpiry = at
	}
}

// Cull implements [driver.Tx].
func (t *tx) Cull(h driver.Collection, now driver.Instant, limit int, keep codec.Value) ([]driver.Row, error) {
	c, err := t.begin(h, true)
	if err != nil || limit <= 0 {
		return nil, err
	}
	out, err := t.cullExpired(c, now, limit, keep)
	if err == nil && len(out) < limit {
		out, err = t.cullVolume(c, limit, keep, out)
	}
	if err != nil {
		return nil, t.fail(err)
	}
	return out, nil
}

// never is later than every expiry.
const never = driver.Instant(1e300)

func (t *tx) cullExpired(c *collection, now driver.Instant, limit int, keep codec.Value) ([]driver.Row, error) {
	if !c.nextExpiryKnown {
		s, err := t.conn.stmt(c, stmtNextExpiry)
		if err != nil {
			return nil, err
		}
		row, err := s.Step()
		c.nextExpiry = never
		if row {
			c.nextExpiry = expireColumn(s, 0)
		}
		s.Reset()
		if err != nil {
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
	c.nextExpiryKnown = false
	return out, nil
}

// cullVolume removes rows by policy until the volume is under the limit, and
// appends them to out.
func (t *tx) cullVolume(c *collection, limit int, keep codec.Value, out []driver.Row) ([]driver.Row, error) {
	s := c.Settings()
	if s.Policy == driver.NoEviction || s.SizeLimit == driver.NoLimit || c.room > 0 {
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
	column := policyColumn(string(s.Policy))
	if err := t.conn.Exec(fmt.Sprintf("CREATE INDEX IF NOT EXISTS %[1]s_%[2]s ON %[1]s (%[2]s)", c.table, column)); err != nil {
		return nil, err
	}
	sql := fmt.Sprintf("SELECT %s, key, raw FROM %s ORDER BY %s, rowid LIMIT %d", bareColumns, c.table, column, limit-len(out)+1)
	rows, err := t.rows(sql, true)
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
		if over, err = t.over(c, s.SizeLimit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// over reports whether the volume of c is over limit, and notes how much room
// there is if not.
func (t *tx) over(c *collection, limit int64) (bool, error) {
	v, err := t.volume(c)
	if err != nil {
		return false, err
	}
	c.room = limit - v
	return c.room < 0, nil
}

// volume is what counts against the size limit of c: for the default
// collection the pages of the database that are in use and its value files, as
// in DiskCache, less what named collections have in those pages; for a named
// one the bytes of its values.
func (t *tx) volume(c *collection) (int64, error) {
	size, err := t.conn.setting(c, "size")
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
	return max((pages-free)*t.core.writer.pageSize-named, 0) + size, nil
}

// namedSize adds up the values of all named collections.
func (t *tx) namedSize() (int64, error) {
	ids, err := t.conn.collectionIDs()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, id := range ids {
		if id == 0 {
			continue
		}
		n, err := t.conn.integer(fmt.Sprintf("SELECT value FROM Settings_%d WHERE key = 'size'", id))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// collectionIDs returns the numbers of all collections.
func (cn *conn) collectionIDs() ([]int64, error) {
	s, err := cn.query("SELECT id FROM Collections ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	var ids []int64
	for {
		row, err := s.Step()
		if err != nil || !row {
			return ids, err
		}
		ids = append(ids, s.ColumnInt(0))
	}
}

package sqlite

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// setting is a row of a Settings table.
type setting struct {
	key   string
	value codec.Value
}

// settingRows returns the rows that hold s. Their names are DiskCache's.
func settingRows(s driver.Settings) []setting {
	return []setting{
		{"statistics", boolValue(s.Statistics)},
		{"tag_index", boolValue(s.TagIndex)},
		{"eviction_policy", codec.TextValue(string(s.Policy))},
		{"size_limit", codec.IntegerValue(s.SizeLimit)},
		{"cull_limit", codec.IntegerValue(int64(s.CullLimit))},
		{"disk_min_file_size", codec.IntegerValue(s.MinFileSize)},
	}
}

func boolValue(b bool) codec.Value {
	if b {
		return codec.IntegerValue(1)
	}
	return codec.IntegerValue(0)
}

// counterRows are the counters of a collection that is empty.
func counterRows() []setting {
	zero := codec.IntegerValue(0)
	return []setting{{"count", zero}, {"size", zero}, {"hits", zero}, {"misses", zero}}
}

// diskcacheSettings returns all rows that DiskCache expects in the Settings of
// a directory. The sqlite_ ones are what a Python process sets on its own
// connections; ours are set by Options.
func diskcacheSettings(o Options) []setting {
	vacuum := map[AutoVacuum]int64{VacuumNone: 0, VacuumFull: 1, VacuumIncremental: 2}[o.AutoVacuum]
	synchronous := map[Synchronous]int64{SyncOff: 0, SyncNormal: 1, SyncFull: 2}[o.Synchronous]
	rows := settingRows(driver.DefaultSettings())
	rows = append(rows,
		setting{"sqlite_auto_vacuum", codec.IntegerValue(vacuum)},
		setting{"sqlite_cache_size", codec.IntegerValue(8192)},
		setting{"sqlite_journal_mode", codec.TextValue(string(o.JournalMode))},
		setting{"sqlite_mmap_size", codec.IntegerValue(64 << 20)},
		setting{"sqlite_synchronous", codec.IntegerValue(synchronous)},
		setting{"disk_pickle_protocol", codec.IntegerValue(5)},
	)
	return append(rows, counterRows()...)
}

// insertSettings adds the rows that are missing.
func (cn *conn) insertSettings(c *collection, rows []setting) error {
	return cn.putSettings(c, "INSERT OR IGNORE", rows...)
}

// replaceSetting writes one row.
func (cn *conn) replaceSetting(c *collection, r setting) error {
	return cn.putSettings(c, "INSERT OR REPLACE", r)
}

// putSettings inserts rows, in the way that an SQL verb says.
func (cn *conn) putSettings(c *collection, insert string, rows ...setting) error {
	for _, r := range rows {
		s, err := cn.about(c, insert+" INTO {S} ({coll}key, value) VALUES ({?}?1, ?2)", codec.TextValue(r.key), r.value)
		if err != nil {
			return err
		}
		if err := s.Run(); err != nil {
			return err
		}
	}
	return nil
}

// counter reads a counter from the Settings of c. It is not ok if there is none,
// or anything but a number of things.
func (cn *conn) counter(c *collection, key string) (n int64, ok bool, err error) {
	s, err := cn.stmt(c, table.GetSetting)
	if err != nil {
		return 0, false, err
	}
	s.BindText(1, key)
	_, err = s.First(func() { n, ok = s.ColumnInt(0), s.ColumnType(0) == codec.Integer && s.ColumnInt(0) >= 0 })
	return n, ok, err
}

// counterOrZero is counter where a damaged counter counts as 0, and the Logger is told.
func (cn *conn) counterOrZero(c *collection, key string) (int64, error) {
	n, ok, err := cn.counter(c, key)
	if err == nil && !ok {
		n = 0
		c.tellDamage(key)
	}
	return n, err
}

// damaged returns the error of a counter of c that is missing or no number. If c was dropped
// meanwhile, that is the error.
func (cn *conn) damaged(c *collection, what string) error {
	if _, err := cn.readSettings(c); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s is damaged: run Check with Mend", driver.ErrCorrupt, what)
}

// missed is asked when no row of c was found. Where tables are not shared, a
// collection that was dropped has none.
func (cn *conn) missed(c *collection) error {
	if !c.tables.AreShared {
		return nil
	}
	_, ok, err := cn.counter(c, "count")
	if err == nil && !ok {
		_, err = cn.readSettings(c)
	}
	return err
}

// tellDamage says once that a setting is no number.
func (c *collection) tellDamage(key string) {
	if c.damageTold.CompareAndSwap(false, true) {
		c.core.log.Warn("a setting is damaged, and what DiskCache has by default is taken in its place: run Check with Mend",
			"collection", c.name, "setting", key)
	}
}

// readSettings reads what is stored, with DiskCache's default for what is not
// or makes no sense.
func (cn *conn) readSettings(c *collection) (driver.Settings, error) {
	out := driver.DefaultSettings()
	s, err := cn.about(c, "SELECT key, value FROM {S} WHERE {in}true")
	if err != nil {
		return out, err
	}
	rows := 0
	err = s.Each(func() {
		rows++
		key := s.ColumnText(0)
		n, ok := numberColumn(s, 1)
		switch key {
		case "statistics":
			out.Statistics = n != 0
		case "tag_index":
			out.TagIndex = n != 0
		case "eviction_policy":
			var p driver.Policy
			if ok = s.ColumnType(1) == codec.Text; ok {
				p = driver.Policy(s.ColumnText(1))
			}
			if p.Valid() {
				out.Policy = p
			}
		case "size_limit":
			setIfNumber(&out.SizeLimit, n, ok)
		case "cull_limit":
			limit := int64(out.CullLimit)
			setIfNumber(&limit, n, ok)
			out.CullLimit = int(min(limit, math.MaxInt32))
		case "disk_min_file_size":
			setIfNumber(&out.MinFileSize, n, ok)
		default:
			ok = true
		}
		if !ok {
			c.tellDamage(key)
		}
	})
	if err == nil && rows == 0 && c.tables.AreShared {
		err = errDropped
	}
	return out, err
}

// setIfNumber assigns n if the column that it was read from has a number.
func setIfNumber(to *int64, n int64, ok bool) {
	if ok {
		*to = n
	}
}

// numberColumn returns a column that holds a number, as the nearest integer
// below: Python's limits may be floats.
func numberColumn(s *sqlite3.Stmt, i int) (n int64, ok bool) {
	switch s.ColumnType(i) {
	case codec.Integer, codec.Real:
		return s.ColumnInt(i), true
	}
	return 0, false
}

// settingsEvery is how often readers look whether another process
// has changed the settings.
const settingsEvery = int64(time.Second / 2)

// look has readers find out what other processes have changed: it reads the settings of c if
// no reader has done so for settingsEvery.
func (cn *conn) look(c *collection) {
	now := time.Now().UnixNano()
	last := c.looked.Load()
	if now-last < settingsEvery && now >= last || !c.looked.CompareAndSwap(last, now) {
		return
	}
	old := c.settings.Load()
	if s, err := cn.readSettings(c); err == nil && s != *old {
		// Not if another reader has stored newer ones meanwhile.
		c.settings.CompareAndSwap(old, &s)
	}
}

// refresh reads what another connection may have changed since the last
// transaction. It runs under the write lock.
func (c *collection) refresh(t *tx) error {
	epoch, known := t.core.near.epoch()
	if !known || c.settingsEpoch.Load() != epoch {
		s, err := t.conn.readSettings(c)
		if err != nil {
			return err
		}
		c.settings.Store(&s)
		if known {
			c.settingsEpoch.Store(epoch)
		}
	}
	c.generation = t.generation
	c.spare = 0
	c.nextExpiryKnown = false
	c.endKeys = endKeys{}
	return nil
}

// Configure implements [driver.Store].
func (s *Store) Configure(ctx context.Context, h driver.Collection, fn func(*driver.Settings)) (driver.Settings, error) {
	c, err := s.core.own(h)
	if err != nil {
		return driver.Settings{}, err
	}
	var out driver.Settings
	err = s.Update(ctx, driver.Alone, func(dt driver.Tx) error {
		t := dt.(*tx)
		if _, err := t.admit(ctx, c, true); err != nil {
			return err
		}
		out, err = t.configure(c, fn)
		return err
	})
	if err != nil {
		return driver.Settings{}, err
	}
	return out, nil
}

// configure changes the stored settings of c, where they differ.
func (t *tx) configure(c *collection, fn func(*driver.Settings)) (driver.Settings, error) {
	old, err := t.conn.readSettings(c)
	if err != nil {
		return old, t.fail(err)
	}
	s := old
	fn(&s)
	if !s.Policy.Valid() {
		return old, fmt.Errorf("eviction policy %q is none of %s, %s, %s, %s", s.Policy,
			driver.LeastRecentlyStored, driver.LeastRecentlyUsed, driver.LeastFrequentlyUsed, driver.NoEviction)
	}
	if s == old {
		return s, nil
	}
	t.changedAll()
	before, after := settingRows(old), settingRows(s)
	for i := range after {
		if codec.Equal(before[i].value, after[i].value) {
			continue
		}
		if err := t.conn.replaceSetting(c, after[i]); err != nil {
			return old, t.fail(err)
		}
	}
	if s.TagIndex != old.TagIndex {
		change := t.dropTagIndex
		if s.TagIndex {
			change = t.createTagIndex
		}
		if err := change(c); err != nil {
			return old, t.fail(err)
		}
	}
	t.configured = append(t.configured, configured{c, s})
	return s, nil
}

// createTagIndex makes DiskCache's index, but only of rows with a tag.
func (t *tx) createTagIndex(c *collection) error {
	return t.conn.do(c, "CREATE INDEX IF NOT EXISTS {T}_tag_rowid ON {T}({coll}tag, rowid) WHERE tag IS NOT NULL")
}

// dropTagIndex removes it. One that other collections share stays.
func (t *tx) dropTagIndex(c *collection) error {
	if c.tables.AreShared {
		return nil
	}
	return t.conn.do(c, "DROP INDEX IF EXISTS {T}_tag_rowid")
}

// configured is a change of settings that takes effect with the commit.
type configured struct {
	c *collection
	s driver.Settings
}

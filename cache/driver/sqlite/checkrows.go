package sqlite

import (
	"context"
	"fmt"
	"math"
	"path"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// The part of a check that looks at the database alone: the schema, the catalog, rows that no
// version of the format allows, counters and settings. checker.everything calls it in a
// transaction.

// objects finds parts of the schema that are missing and rows with equal keys,
// and makes the ones and removes the others. What must not be there keeps a
// store from being opened.
func (k *checker) objects(t *tx, rows []catalogRow) error {
	sc, err := t.conn.inspect()
	if err != nil {
		return err
	}
	ids, err := t.conn.owners()
	if err != nil {
		return err
	}
	names := make(map[int64]string)
	for _, l := range rows {
		names[l.id] = l.name
	}
	var steps []func() error
	for _, id := range ids {
		tables, have := table.Of(id), sc.Of(id)
		for _, lost := range tables.Lost(have) {
			k.report(driver.Problem{Kind: driver.CorruptDatabase, Detail: "the " + lost + " is missing", Mended: k.mend})
		}
		// With the index, and while it is sound, there are no two rows of a key.
		var double []strayRow
		if !have.HasKeys() || k.indexes {
			if double, err = t.duplicates(tables); err != nil {
				return err
			}
		}
		if len(double) > 0 && k.mend && have.HasKeys() {
			// Rows that it has not cannot be deleted as long as it is there.
			if err := t.conn.Exec(tables.DropKeys(&have)); err != nil {
				return err
			}
		}
		steps = append(steps, func() error {
			if err := k.remove(t, names[id], tables, double, "another row has the same key"); err != nil || !k.mend {
				return err
			}
			return t.conn.create(tables, have)
		})
	}
	if k.indexes && k.mend {
		err := t.conn.Exec("REINDEX")
		if sqlite3.IsConstraint(err) {
			err = fmt.Errorf("%w: an index cannot be rebuilt, since several rows have one key; restore a backup: %w", driver.ErrCorrupt, err)
		}
		if err != nil {
			return err
		}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// strayRow is a row that should not be there.
type strayRow struct {
	id   int64
	file string
}

// duplicates finds rows whose key another one has too. The one that was stored
// last stays; of those that were stored at once, the one with the highest ID.
func (t *tx) duplicates(tables *table.Tables) ([]strayRow, error) {
	coll := ""
	if tables.AreShared {
		coll = "coll, "
	}
	// NOT INDEXED: what is in doubt is the index.
	return t.strayRows(fmt.Sprintf("SELECT rowid, filename FROM (SELECT rowid, filename, row_number() OVER ("+
		"PARTITION BY %skey, raw ORDER BY typeof(store_time) = 'real' DESC, store_time DESC, rowid DESC) AS place"+
		" FROM %s NOT INDEXED WHERE key IS NOT NULL) WHERE place > 1", coll, tables.Rows))
}

// strayRows runs SQL for rowids and names of value files.
func (t *tx) strayRows(sql string) (out []strayRow, err error) {
	err = t.conn.each(sql, func(s *sqlite3.Stmt) { out = append(out, strayRow{s.ColumnInt(0), s.ColumnText(1)}) })
	return out, err
}

// remove reports rows, and with mend removes them.
func (k *checker) remove(t *tx, name string, tables *table.Tables, rows []strayRow, detail string) error {
	for _, r := range rows {
		if k.ctx.Err() != nil {
			return context.Cause(k.ctx)
		}
		k.report(driver.Problem{Kind: driver.BadRow, Collection: name, Row: r.id, Detail: detail, Mended: k.mend})
		if !k.mend {
			continue
		}
		if isValueName(r.file) {
			if err := t.discard(r.file); err != nil {
				return err
			}
		}
		if err := t.conn.Exec(fmt.Sprintf("DELETE FROM %s WHERE rowid = %d", tables.Rows, r.id)); err != nil {
			return err
		}
	}
	return nil
}

// collections checks the catalog, and returns all collections that have tables.
func (k *checker) collections(t *tx, rows []catalogRow) ([]*collection, error) {
	ids, err := t.conn.owners()
	if err != nil {
		return nil, err
	}
	lost := make(map[int64]bool) // collections that have tables, without those that the catalog has
	for _, id := range ids {
		lost[id] = true
	}
	shared := lost[table.SharedFirst]
	delete(lost, table.SharedFirst)
	var out []*collection
	for _, r := range rows {
		c := newCollection(k.store.core, r.name, r.id)
		wrong := ""
		switch {
		case !r.ok:
			wrong = "the catalog has an impossible name or number"
		case c.tables.AreShared && shared:
			if _, err := t.conn.readSettings(c); err == errDropped {
				wrong = "the catalog has a collection without settings"
			} else if err != nil {
				return nil, err
			}
		case !lost[r.id]:
			wrong = "the catalog has a collection without tables"
		}
		if wrong == "" {
			out = append(out, c)
			delete(lost, r.id)
			continue
		}
		if err := k.fix(t, driver.Problem{Kind: driver.BadRow, Row: r.id, Detail: wrong},
			fmt.Sprintf("DELETE FROM Collections WHERE id = %d", r.id)); err != nil {
			return nil, err
		}
	}
	if shared {
		rows, err := t.strayRows(fmt.Sprintf("SELECT coll + %d, '' FROM Settings_shared WHERE key = 'count' AND coll BETWEEN 1 AND %d AND %s",
			table.SharedFirst, table.NumberLimit-1-table.SharedFirst, notCataloged))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			lost[r.id] = true
		}
	}
	for id := range lost {
		c, err := k.recatalog(t, id)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if !shared {
		return out, nil
	}
	return out, k.strays(t)
}

// recatalog puts a collection that the catalog has lost into it, under a name of its number.
func (k *checker) recatalog(t *tx, id int64) (*collection, error) {
	c := newCollection(k.store.core, "", id)
	if id == 0 {
		return c, k.fix(t, driver.Problem{Kind: driver.BadRow, Detail: "the catalog has no default collection"}, table.FirstRows)
	}
	c.name = fmt.Sprintf("cache/lost-%d", id)
	p := driver.Problem{Kind: driver.CorruptDatabase, Collection: c.name, Detail: "the catalog has lost the name of a collection, which is called so now"}
	return c, k.fix(t, p, fmt.Sprintf("INSERT OR IGNORE INTO Collections (id, name) VALUES (%d, '%s')", id, c.name))
}

// notCataloged says of a row in a shared table that no collection has its number.
var notCataloged = fmt.Sprintf("coll NOT IN (SELECT id - %d FROM Collections WHERE id > %[1]d)", table.SharedFirst)

// strays finds what is in shared tables and is no collection's.
func (k *checker) strays(t *tx) error {
	rows, err := t.strayRows("SELECT rowid, filename FROM Cache_shared WHERE coll <> rowid >> 40 OR " + notCataloged)
	if err != nil {
		return err
	}
	if err := k.remove(t, "", table.SharedTables, rows, "the row is no collection's"); err != nil {
		return err
	}
	n, err := t.conn.integer("SELECT count(*) FROM Settings_shared WHERE coll <> 0 AND " + notCataloged)
	if err != nil {
		return err
	}
	if n > 0 {
		if err := k.fix(t, driver.Problem{Kind: driver.BadRow, Detail: "there are settings of no collection"},
			"DELETE FROM Settings_shared WHERE coll <> 0 AND "+notCataloged); err != nil {
			return err
		}
	}
	const sum, all = "coll = 0 AND key = 'size' AND typeof(value) = 'integer'", "CAST(total(size) AS INTEGER)"
	n, err = t.conn.integer(fmt.Sprintf("SELECT count(*) FROM Settings_shared WHERE %s AND value = (SELECT %s FROM Cache_shared)", sum, all))
	if err != nil || n == 1 {
		return err
	}
	return k.fix(t, driver.Problem{Kind: driver.WrongVolume, Detail: "of all collections that share tables"},
		fmt.Sprintf("INSERT OR REPLACE INTO Settings_shared SELECT 0, 'size', %s FROM Cache_shared", all))
}

// fix reports a problem, and with mend runs what mends it.
func (k *checker) fix(t *tx, p driver.Problem, sql string) error {
	if k.ctx.Err() != nil {
		return context.Cause(k.ctx)
	}
	p.Mended = k.mend
	k.report(p)
	if !k.mend {
		return nil
	}
	return t.conn.Exec(sql)
}

// badRows finds rows that no version of the format allows and that no Get
// would return. DiskCache's check leaves them alone; here they go.
func (k *checker) badRows(t *tx, c *collection) error {
	const bad = "(key IS NULL OR raw NOT IN (0, 1) OR raw IS NULL OR typeof(mode) <> 'integer' OR mode NOT BETWEEN 0 AND 4" +
		" OR typeof(store_time) NOT IN ('real', 'integer') OR typeof(expire_time) NOT IN ('real', 'integer', 'null')" +
		" OR typeof(access_time) NOT IN ('real', 'integer', 'null') OR typeof(access_count) NOT IN ('integer', 'null')" +
		" OR typeof(size) NOT IN ('integer', 'null') OR size NOT BETWEEN 0 AND 1 << 50 OR typeof(filename) NOT IN ('text', 'null')" +
		" OR mode IN (2, 3) AND filename IS NULL)"
	rows, err := t.rows(c, c.tables.Expand("SELECT "+table.BareRow+" FROM {T} WHERE {all}"+bad), true)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if k.ctx.Err() != nil {
			return context.Cause(k.ctx)
		}
		k.report(driver.Problem{Kind: driver.BadRow, Collection: c.name, Row: r.ID, Mended: k.mend})
		if k.mend {
			if !isValueName(r.File) {
				r.File = ""
			}
			if err := t.deleteRow(c, r.ID, r.File); err != nil {
				return err
			}
		}
	}
	if c.tables.AreShared {
		return nil // their rowids are checked already
	}
	// Where SQLite cannot give the next rowid it gives any, so that the order of
	// insertion is lost.
	rows, err = t.rows(c, c.tables.Expand("SELECT "+table.BareRow+" FROM {T} WHERE rowid > ?1 ORDER BY rowid"), true, codec.IntegerValue(math.MaxInt64/2))
	if err != nil {
		return err
	}
	for _, r := range rows {
		err := k.fix(t, driver.Problem{Kind: driver.BadRow, Collection: c.name, Row: r.ID, Detail: "the ID leaves no room for more rows"},
			fmt.Sprintf("UPDATE %s SET rowid = (SELECT coalesce(max(rowid), 0) + 1 FROM %[1]s WHERE rowid <= %d) WHERE rowid = %d", c.tables.Rows, int64(math.MaxInt64/2), r.ID))
		if err != nil {
			return err
		}
	}
	return nil
}

// counters compares the counters that triggers keep with what they count.
func (k *checker) counters(t *tx, c *collection) error {
	type counter struct {
		kind       driver.ProblemKind
		key, count string
	}
	counters := []counter{
		{driver.WrongCount, "count", "count(rowid)"},
		{driver.WrongVolume, "size", "CAST(total(size) AS INTEGER)"}, // sum would fail if it is too large
	}
	for _, n := range counters {
		have, ok, err := t.conn.counter(c, n.key)
		if err != nil {
			return err
		}
		want, err := t.conn.number(c, fmt.Sprintf("SELECT %s FROM {T} WHERE {all}true", n.count))
		if err != nil {
			return err
		}
		if ok && have == want {
			continue
		}
		detail := fmt.Sprintf("%d is stored, %d is right", have, want)
		if !ok {
			detail = fmt.Sprintf("what is stored is no number of things, %d is right", want)
		}
		k.report(driver.Problem{Kind: n.kind, Collection: c.name, Mended: k.mend, Detail: detail})
		if k.mend {
			if err := t.conn.replaceSetting(c, setting{n.key, codec.IntegerValue(want)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// number runs a query about c for a single number.
func (cn *conn) number(c *collection, sql string) (n int64, err error) {
	s, err := cn.about(c, sql)
	if err == nil {
		_, err = s.First(func() { n = s.ColumnInt(0) })
	}
	return n, err
}

// settings finds settings that are no numbers and should be, and makes them
// DiskCache's defaults.
func (k *checker) settings(t *tx, c *collection) error {
	defaults := append(settingRows(driver.DefaultSettings()), counterRows()...)
	for _, d := range defaults {
		if d.key == "count" || d.key == "size" {
			continue
		}
		s, err := t.conn.stmt(c, table.GetSetting)
		if err != nil {
			return err
		}
		s.BindText(1, d.key)
		ok := true
		_, err = s.First(func() {
			_, ok = numberColumn(s, 0)
			switch {
			case d.key == "hits" || d.key == "misses":
				ok = s.ColumnType(0) == codec.Integer && s.ColumnInt(0) >= 0
			case d.value.Kind() == codec.Text:
				ok = ok || s.ColumnType(0) == codec.Text
			}
		})
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		k.report(driver.Problem{Kind: driver.BadRow, Collection: c.name, Mended: k.mend,
			Detail: fmt.Sprintf("the setting %q is of a wrong kind", d.key)})
		if k.mend {
			if err := t.conn.replaceSetting(c, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// numbers checks what belongs to the store and to no collection.
func (k *checker) numbers(t *tx) error {
	if ok, err := t.conn.cataloged(); err != nil || !ok {
		return err
	}
	if err := k.fence(t); err != nil {
		return err
	}
	for _, name := range []string{"Collections", "Trash"} {
		last, ok, err := t.conn.sequence(name)
		if err != nil {
			return err
		}
		highest, err := t.conn.integer("SELECT max(id) FROM " + name)
		if err != nil {
			return err
		}
		if name == "Collections" {
			ok = ok && table.IsNumber(last)
			highest = min(max(highest, 0), table.NumberLimit-1)
		} else if highest >= math.MaxInt64/2 {
			highest = 0 // mended with the rest of Trash
		}
		if ok && last >= highest {
			continue
		}
		err = k.fix(t, driver.Problem{Kind: driver.BadRow, Detail: fmt.Sprintf("the last number of %s is an impossible one", name)},
			fmt.Sprintf("DELETE FROM sqlite_sequence WHERE name = '%s'; INSERT INTO sqlite_sequence (name, seq) VALUES ('%[1]s', %d)", name, highest))
		if err != nil {
			return err
		}
	}
	return nil
}

// fence checks the counter of fences. One that is lost goes on far ahead of all
// that a store is likely to have come to, and further ahead each time.
func (k *checker) fence(t *tx) error {
	n, err := t.conn.integer(fmt.Sprintf("SELECT count(*) FROM Meta WHERE key = 'fence' AND typeof(value) = 'integer' AND value BETWEEN 0 AND %d", int64(fenceLimit-2)))
	if err != nil || n == 1 {
		return err
	}
	ahead := int64(fenceLimit/2) + time.Now().UnixMilli()
	return k.fix(t, driver.Problem{Kind: driver.BadRow, Detail: "the counter of fences is none"},
		fmt.Sprintf("INSERT OR REPLACE INTO Meta (key, value) VALUES ('fence', %d)", ahead))
}

// trashed adds the files that are about to be removed, and their folders: they
// are known. Rows that name none go.
func (k *checker) trashed(t *tx, files map[string]bool) error {
	if ok, err := t.conn.cataloged(); err != nil || !ok {
		return err
	}
	var bad []int64
	err := t.conn.each("SELECT id, path FROM Trash ORDER BY id", func(s *sqlite3.Stmt) {
		id, file := s.ColumnInt(0), s.ColumnText(1)
		if s.ColumnType(1) != codec.Text || !isValueName(file) || id < 1 || id >= math.MaxInt64/2 {
			bad = append(bad, id)
			return
		}
		for p := file; p != "."; p = path.Dir(p) {
			files[p] = true
		}
	})
	if err != nil {
		return err
	}
	for _, id := range bad {
		if err := k.fix(t, driver.Problem{Kind: driver.BadRow, Row: id, Detail: "a row of Trash names no value file"},
			fmt.Sprintf("DELETE FROM Trash WHERE id = %d", id)); err != nil {
			return err
		}
	}
	return nil
}

package sqlite

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// The catalog, table Collections, gives each collection a number by its name, and keeps the names
// of its codecs. Opening, dropping and checking collections read and write it, here.

// cataloged reports whether the database has the tables that this project adds
// to DiskCache's. A directory that Python made has none until it is opened for
// writing, and only the default collection.
func (cn *conn) cataloged() (bool, error) {
	if cn.core.cataloged.Load() {
		return true, nil
	}
	n, err := cn.integer("PRAGMA user_version")
	if err != nil || n < table.FormatFirst {
		return false, err
	}
	cn.core.cataloged.Store(true)
	return true, nil
}

// catalogEntry is a row of the catalog.
type catalogEntry struct {
	id                   int64
	keyCodec, valueCodec string
}

// catalogEntry reads the catalog's row for a name.
func (cn *conn) catalogEntry(name string) (e catalogEntry, ok bool, err error) {
	if ok, err := cn.cataloged(); err != nil || !ok {
		return e, ok || err == nil && name == "", err
	}
	err = cn.each("SELECT id, key_codec, value_codec FROM Collections WHERE name = ?1", func(s *sqlite3.Stmt) {
		e, ok = catalogEntry{s.ColumnInt(0), s.ColumnText(1), s.ColumnText(2)}, true
	}, codec.TextValue(name))
	if err != nil || !ok {
		return e, false, err
	}
	if !table.IsNumber(e.id) || (e.id == 0) != (name == "") {
		return e, false, fmt.Errorf("%w: the catalog has the collection under an impossible number: run Check with Mend", driver.ErrCorrupt)
	}
	return e, true, nil
}

// check compares codecs. An empty name, stored or wanted, fits everything.
func (e catalogEntry) check(spec driver.Spec) error {
	for _, p := range []struct{ what, stored, wanted string }{
		{"keys", e.keyCodec, spec.KeyCodec},
		{"values", e.valueCodec, spec.ValueCodec},
	} {
		if p.stored != "" && p.wanted != "" && p.stored != p.wanted {
			return fmt.Errorf("%s are stored with codec %q and opened with %q: open with the stored one, or copy into a new collection: %w",
				p.what, p.stored, p.wanted, driver.ErrCodecMismatch)
		}
	}
	return nil
}

// incomplete reports whether spec names a codec where none is stored.
func (e catalogEntry) incomplete(spec driver.Spec) bool {
	return e.keyCodec == "" && spec.KeyCodec != "" || e.valueCodec == "" && spec.ValueCodec != ""
}

// putCatalogEntry writes a row of the catalog and keeps codecs that are stored.
func (cn *conn) putCatalogEntry(id int64, name string, spec driver.Spec) error {
	return cn.run("INSERT INTO Collections (id, name, key_codec, value_codec) VALUES (?1, ?2, nullif(?3, ''), nullif(?4, ''))"+
		" ON CONFLICT (id) DO UPDATE SET key_codec = coalesce(key_codec, excluded.key_codec), value_codec = coalesce(value_codec, excluded.value_codec)",
		codec.IntegerValue(id), codec.TextValue(name), codec.TextValue(spec.KeyCodec), codec.TextValue(spec.ValueCodec))
}

// nextNumber returns the number of the next collection. As soon as there are
// table.MaxOwn that have tables of their own, all others share some.
func (cn *conn) nextNumber() (int64, error) {
	last, ok, err := cn.sequence("Collections")
	if err != nil {
		return 0, err
	}
	highest, err := cn.integer("SELECT max(id) FROM Collections")
	if err != nil {
		return 0, err
	}
	if !ok || last < highest || !table.IsNumber(last) {
		return 0, fmt.Errorf("%w: the last number in the catalog is impossible: run Check with Mend", driver.ErrCorrupt)
	}
	ids, err := cn.owners()
	if err != nil {
		return 0, err
	}
	own := 0
	for _, id := range ids {
		if id != 0 && id != table.SharedFirst {
			own++
			last = max(last, id) // a table that the catalog does not know
		}
	}
	if own >= table.MaxOwn || cn.core.opts.allShared {
		last = max(last, table.SharedFirst)
	}
	if last+1 == table.SharedFirst || last+1 >= table.NumberLimit {
		return 0, fmt.Errorf("%w: no number is left for a new collection: make a new store and copy into it", driver.ErrFull)
	}
	return last + 1, nil
}

// sequence returns the last number that AUTOINCREMENT has given in a table, 0 if
// none. It is not ok if that is no number from which it can go on.
func (cn *conn) sequence(name string) (last int64, ok bool, err error) {
	ok = true
	_, err = cn.first("SELECT seq FROM sqlite_sequence WHERE name = ?1", func(s *sqlite3.Stmt) {
		last = s.ColumnInt(0)
		ok = s.ColumnType(0) == codec.Integer && last >= 0 && last < math.MaxInt64/2
	}, codec.TextValue(name))
	return last, ok && err == nil, err
}

// owners returns the numbers of the collections that have tables of their own,
// whether or not the catalog knows them, and table.SharedFirst if there are tables
// that others share.
func (cn *conn) owners() ([]int64, error) {
	var ids []int64
	err := cn.each("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'cache%'", func(s *sqlite3.Stmt) {
		if id, ok := table.Owner(s.ColumnText(0)); ok {
			ids = append(ids, id)
		}
	})
	slices.Sort(ids)
	return ids, err
}

// Names implements [driver.Store].
func (s *Store) Names(ctx context.Context) (names []string, err error) {
	err = s.View(ctx, func(t driver.Tx) error {
		rows, err := t.(*tx).conn.catalog()
		for _, l := range rows {
			if l.ok {
				names = append(names, l.name)
			}
		}
		slices.Sort(names)
		return err
	})
	return names, err
}

// catalogRow is what a check wants to know of a row of the catalog.
type catalogRow struct {
	id   int64
	name string
	ok   bool // it may be so
}

// catalog returns the rows of the catalog in the order of numbers.
func (cn *conn) catalog() ([]catalogRow, error) {
	if ok, err := cn.cataloged(); err != nil || !ok {
		return []catalogRow{{ok: true}}, err
	}
	var out []catalogRow
	err := cn.each("SELECT id, name FROM Collections ORDER BY id", func(s *sqlite3.Stmt) {
		l := catalogRow{id: s.ColumnInt(0)}
		text := s.ColumnType(1) == codec.Text
		l.name = s.ColumnText(1)
		l.ok = text && table.IsNumber(l.id) && (l.id == 0) == (l.name == "")
		out = append(out, l)
	})
	return out, err
}

package table

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/codec"
)

// db is a database that statements are run on.
type db struct {
	*sqlite3.Conn
	t *testing.T
}

func newDB(t *testing.T) *db {
	cn, err := sqlite3.Open(filepath.Join(t.TempDir(), "db"), sqlite3.ReadWriteCreate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cn.Close() })
	return &db{cn, t}
}

func (d *db) exec(sql string) {
	d.t.Helper()
	if err := d.Exec(sql); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

// create makes the missing parts of tables.
func (d *db) create(t *Tables, have Set) {
	d.t.Helper()
	sql, keys := t.Create(have)
	d.exec(sql + keys)
}

// query returns a statement about the collection with a number.
func (d *db) query(t *Tables, id int64, sql string) *sqlite3.Stmt {
	d.t.Helper()
	s, err := d.Prepare(sql)
	if err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
	d.t.Cleanup(func() { s.Finalize() })
	if strings.Contains(sql, "?9") {
		t.Bind(s, id)
	}
	return s
}

func (d *db) step(s *sqlite3.Stmt) bool {
	d.t.Helper()
	row, err := s.Step()
	if err != nil {
		d.t.Fatal(err)
	}
	return row
}

// schema reads the schema.
func (d *db) schema() (*Schema, error) {
	d.t.Helper()
	version := d.query(nil, 0, "PRAGMA user_version")
	d.step(version)
	sc := NewSchema(version.ColumnInt(0))
	version.Reset()
	s := d.query(nil, 0, Objects)
	for d.step(s) {
		sc.Read(s)
	}
	return sc, sc.Judge("UTF-8")
}

// The numbers of collections that the tests use: the default one, one with tables of
// its own, and two that share tables.
var numbers = []int64{0, 7, SharedFirst + 1, SharedFirst + 2}

// store makes a store with the tables of all numbers.
func store(t *testing.T) *db {
	d := newDB(t)
	d.create(Default, Set{})
	d.create(Store, Set{})
	d.create(Of(7), Set{})
	d.create(SharedTables, Set{})
	d.exec(CreateUnsynced)
	d.exec(FirstRows + fmt.Sprintf("PRAGMA user_version = %d", FormatShared))
	for _, id := range numbers {
		tables := Of(id)
		for _, key := range []string{"count", "size"} {
			s := d.query(tables, id, tables.Expand("INSERT INTO {S} ({coll}key, value) VALUES ({?}?1, 0)"))
			s.BindText(1, key)
			d.step(s)
		}
	}
	d.exec("INSERT INTO Settings_shared VALUES (0, 'size', 0)")
	return d
}

func (d *db) insert(id int64, r driver.Row) (row int64) {
	d.t.Helper()
	tables := Of(id)
	s := d.query(tables, id, tables.SQL(Insert))
	s.BindValue(1, r.Key)
	s.BindReal(2, float64(r.Stored))
	BindInstant(s, 3, r.Expire)
	s.BindValue(4, r.Tag)
	v := Inline(r.Value, id != 0)
	if r.File != "" {
		v = InFile(r.FileKind, r.File, r.Size)
	}
	v.Bind(s, 5)
	d.step(s)
	row, ok := tables.RowID(id, d.LastInsertRowID())
	if !ok {
		d.t.Errorf("collection %d has row %d", id, d.LastInsertRowID())
	}
	return row
}

func (d *db) setting(id int64, key string) int64 {
	d.t.Helper()
	s := d.query(Of(id), id, Of(id).SQL(GetSetting))
	s.BindText(1, key)
	d.step(s)
	return s.ColumnInt(0)
}

// What is written comes back, from each kind of tables, and is counted.
func TestRow(t *testing.T) {
	d := store(t)
	rows := []driver.Row{
		{Key: codec.TextValue("null")},
		{Key: codec.IntegerValue(1), Value: codec.IntegerValue(2), Size: 8},
		{Key: codec.RealValue(1.5), Value: codec.RealValue(2.5), Size: 8, Expire: 90},
		{Key: codec.BlobValue([]byte{0}), Value: codec.BlobValue([]byte("four")), Size: 4, Tag: codec.TextValue("tag")},
		{Key: codec.TextValue("text"), Value: codec.TextValue("three"), Size: 5, Tag: codec.IntegerValue(0)},
		{Key: codec.TextValue("file"), File: "aa/bb/c.val", FileKind: codec.Text, Size: 100},
		{Key: codec.TextValue("binary"), File: "aa/bb/d.val", FileKind: codec.Blob, Size: 1000},
	}
	for _, id := range numbers {
		tables := Of(id)
		for i, want := range rows {
			want.Stored = driver.Instant(100 + i)
			want.Accessed = want.Stored
			want.ID = d.insert(id, want)
			if want.ID != int64(i)+1 {
				t.Errorf("collection %d: row %d has ID %d", id, i, want.ID)
			}
			for which, by := range map[Statement]codec.Value{Get: want.Key, GetBare: want.Key, GetAt: codec.IntegerValue(want.ID), GetBareAt: codec.IntegerValue(want.ID)} {
				s := d.query(tables, id, tables.SQL(which))
				s.BindValue(1, by)
				if !d.step(s) {
					t.Fatalf("collection %d, statement %d: row %d is not found", id, which, i)
				}
				want, got := want, driver.Row{Key: want.Key}
				bare := which == GetBare || which == GetBareAt
				if bare {
					want.Value = codec.Value{}
				}
				ReadRow(s, &got, bare)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("collection %d, statement %d: got %v, want %v", id, which, got, want)
				}
			}
			for which, by := range map[Statement]codec.Value{Find: want.Key, FindAt: codec.IntegerValue(want.ID)} {
				s := d.query(tables, id, tables.SQL(which))
				s.BindValue(1, by)
				d.step(s)
				var f Found
				f.Read(s)
				if f != (Found{ID: want.ID, Expire: want.Expire, Stored: want.Stored, File: want.File, Tagged: !want.Tag.IsNull(), Exists: true}) {
					t.Errorf("collection %d, statement %d: got %+v, want %+v", id, which, f, want)
				}
			}
		}
		size := int64(1100)
		if id != 0 {
			size += 8 + 8 + 4 + 5
		}
		if n, got := d.setting(id, "count"), d.setting(id, "size"); n != int64(len(rows)) || got != size {
			t.Errorf("collection %d has %d rows of %d bytes, want %d of %d", id, n, got, len(rows), size)
		}
	}
	if all := d.setting(SharedFirst, "size"); all != 2*1125 {
		t.Errorf("the shared tables have %d bytes", all)
	}
	for _, id := range numbers {
		s := d.query(Of(id), id, Of(id).SQL(Delete))
		s.BindInt(1, 6)
		d.step(s)
		if n, size := d.setting(id, "count"), d.setting(id, "size"); n != 6 || size != 1000 && size != 1025 {
			t.Errorf("collection %d has %d rows of %d bytes after a deletion", id, n, size)
		}
	}
}

// An expiry in the past is none that a row does not have, and Python's pickle is
// known as such.
func TestForeignRow(t *testing.T) {
	d := store(t)
	d.exec("INSERT INTO Cache (key, raw, expire_time, mode, value) VALUES ('early', 1, -5.0, 4, x'80')")
	s := d.query(Default, 0, Default.SQL(GetAt))
	s.BindInt(1, 1)
	rows, err := ReadRows(s, false, codec.IntegerValue(1))
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	if r := rows[0]; !r.Expired(1) || !r.ForeignValue || r.ForeignKey {
		t.Errorf("%+v", r)
	}
}

// A page has the rows that are asked for, in the order that is asked for.
func TestScan(t *testing.T) {
	d := store(t)
	var all []driver.Row
	for i := range 20 {
		r := driver.Row{Key: codec.IntegerValue(int64(i * 7 % 20)), Value: codec.IntegerValue(1), Stored: driver.Instant(1000 + i)}
		if i%3 == 0 {
			r.Tag = codec.TextValue("tag")
		}
		if i%2 == 0 {
			r.Expire = driver.Instant(2000 + i*3%20)
		}
		if i == 10 {
			r.Stored += 2 * driver.MaxAhead
			r.Expire = r.Stored + 100
		}
		if i == 12 {
			r.Stored, r.Expire = 2008+driver.MaxAhead, 2008+driver.MaxAhead+100 // as far ahead as can be
		}
		for _, id := range numbers {
			r.ID = d.insert(id, r)
		}
		all = append(all, r)
	}
	bound := func(i int64, open bool) *driver.Bound {
		return &driver.Bound{Key: codec.IntegerValue(i), Open: open}
	}
	checked := 0
	check := func(s driver.Scan, expiredAt driver.Instant, evicts bool) {
		t.Helper()
		after := func(r driver.Row) int {
			a := s.After
			switch s.Order {
			case driver.ByKey:
				return cmp.Compare(r.Key.Integer(), a.Key.Integer())
			case driver.ByExpire:
				return cmp.Or(cmp.Compare(r.Expire, a.Expire), cmp.Compare(r.ID, a.ID))
			}
			return cmp.Compare(r.ID, a.ID)
		}
		var want []int64
		rows := slices.Clone(all)
		slices.SortFunc(rows, func(a, b driver.Row) int {
			c := 0
			switch s.Order {
			case driver.ByKey:
				c = cmp.Compare(a.Key.Integer(), b.Key.Integer())
			case driver.ByExpire:
				c = cmp.Compare(a.Expire, b.Expire)
			}
			if c = cmp.Or(c, cmp.Compare(a.ID, b.ID)); s.Desc {
				return -c
			}
			return c
		})
		skip := s.Skip
		for _, r := range rows {
			switch k := r.Key.Integer(); {
			case s.Order == driver.ByExpire && r.Expire == 0,
				s.After != nil && !s.Desc && after(r) <= 0, s.After != nil && s.Desc && after(r) >= 0,
				s.Lower != nil && (k < s.Lower.Key.Integer() || s.Lower.Open && k == s.Lower.Key.Integer()),
				s.Upper != nil && (k > s.Upper.Key.Integer() || s.Upper.Open && k == s.Upper.Key.Integer()),
				!s.Tag.IsNull() && r.Tag.IsNull(),
				s.Live != 0 && r.Expire != 0 && (r.Expire <= s.Live || evicts && r.Stored > s.Live+driver.MaxAhead),
				expiredAt != 0 && (r.Expire == 0 || r.Expire > expiredAt):
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			if want = append(want, r.Key.Integer()); len(want) == s.Limit {
				break
			}
		}
		for _, id := range numbers {
			tables := Of(id)
			sh := tables.ShapeOf(&s, expiredAt, evicts)
			sql := tables.Expand(sh.SQL())
			rows, err := ReadRows(d.query(tables, id, sql), s.Bare, sh.Args(nil, &s, expiredAt)...)
			if err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			var got []int64
			for _, r := range rows {
				got = append(got, r.Key.Integer())
				if s.Keys != (r.ID == 0) || (s.Bare || s.Keys) != r.Value.IsNull() {
					t.Errorf("%+v has %+v", s, r)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s: got %v, want %v", sql, got, want)
			}
			checked++
		}
	}
	for _, order := range []driver.Order{driver.ByID, driver.ByKey, driver.ByExpire} {
		for choice := range 1 << 7 {
			s := driver.Scan{Order: order, Limit: 5, Desc: choice&1 != 0}
			if choice&2 != 0 {
				s.After = &all[8]
			}
			if choice&4 != 0 {
				s.Lower = bound(3, choice&8 != 0)
			}
			if choice&8 != 0 {
				s.Upper = bound(17, choice&4 == 0)
			}
			if choice&16 != 0 {
				s.Tag = codec.TextValue("tag")
			}
			if choice&32 != 0 {
				s.Live = 2008
			}
			if choice&64 != 0 {
				s.Skip = 2
			}
			s.Keys = order == driver.ByKey && choice&6 == 0
			s.Bare = choice&1 != 0 && !s.Keys
			check(s, 0, choice&16 == 0)
			if choice&2 == 0 {
				check(s, 2010, false)
			}
		}
	}
	if checked < 1000 {
		t.Errorf("%d pages", checked)
	}
}

// The number of a collection, and where its rows are, come from its tables and rowids.
func TestNumbers(t *testing.T) {
	for _, id := range numbers {
		for _, name := range []string{Of(id).Rows, strings.ToUpper(Of(id).Settings)} {
			if got, ok := Owner(name); !ok || got != min(id, SharedFirst) {
				t.Errorf("%s belongs to %d, %v", name, got, ok)
			}
		}
		if !IsNumber(id) {
			t.Errorf("no collection has number %d", id)
		}
	}
	for _, name := range []string{"", "Cach", "Cache7", "Cache_", "Cache_07", "Cache_-1", "Cache_0", "Cache_x", fmt.Sprintf("Cache_%d", SharedFirst), "Meta"} {
		if id, ok := Owner(name); ok {
			t.Errorf("%s belongs to %d", name, id)
		}
	}
	for _, id := range []int64{-1, SharedFirst, NumberLimit} {
		if IsNumber(id) {
			t.Errorf("a collection has number %d", id)
		}
	}
	for _, rowid := range []int64{0, 1 << 40, 2<<40 + 1, 3 << 40} {
		if row, ok := SharedTables.RowID(SharedFirst+2, rowid); ok != (rowid == 2<<40+1) || ok && row != 1 {
			t.Errorf("rowid %d is row %d, %v", rowid, row, ok)
		}
	}
}

// Every part that is missing is named and made again, also in the place of
// DiskCache's.
func TestParts(t *testing.T) {
	d := store(t)
	sc, err := d.schema()
	if err != nil || !sc.Ready() || sc.Empty || !sc.HasUnsynced() || len(sc.Missing()) != 0 || len(sc.Extra) != 0 {
		t.Fatalf("%+v, %v, missing %v", sc, err, sc.Missing())
	}
	for _, id := range []int64{0, 7, SharedFirst} {
		tables := Of(id)
		for i, p := range tables.parts {
			if p.lazy || p.kind == "table" {
				continue
			}
			name := tables.Expand(p.name)
			drop := fmt.Sprintf("DROP %s %s;", p.kind, name)
			if i == partKeys {
				have := sc.Of(id)
				if drop = tables.DropKeys(&have); have.HasKeys() {
					t.Error("the index of keys is still there")
				}
			}
			d.exec(drop)
			sc, err := d.schema()
			if want := fmt.Sprintf("%s %q", p.kind, name); err != nil || !slices.Equal(sc.Missing(), []string{want}) {
				t.Errorf("missing %q, %v, want %s", sc.Missing(), err, want)
			}
			d.create(tables, sc.Of(id))
			for _, also := range p.also {
				d.exec(drop + tables.Expand(also))
				sc, err := d.schema()
				if err != nil || len(sc.Missing()) != 0 {
					t.Fatalf("DiskCache's %s: missing %q, %v", name, sc.Missing(), err)
				}
				d.create(tables, sc.Of(id))
			}
			if sc, err = d.schema(); err != nil || len(sc.Missing()) != 0 {
				t.Fatalf("%s is made again: missing %q, %v", name, sc.Missing(), err)
			}
		}
	}
	for i, have := 0, mustSchema(t, d); i < len(ownParts); i++ {
		if p := ownParts[i]; p.kind == "trigger" && have.Of(0).other.has(i) {
			t.Errorf("%s stays as DiskCache has made it", p.name)
		}
	}
	// Where there are rows, the index of keys may be impossible.
	d.exec("DROP INDEX Cache_key_raw")
	if sql, keys := Default.Create(mustSchema(t, d).Of(0)); sql != "" || !strings.Contains(keys, "UNIQUE INDEX Cache_key_raw") {
		t.Errorf("made by %q and %q", sql, keys)
	}
	d.exec("DROP TABLE Meta")
	if _, err := d.schema(); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("without Meta: %v", err)
	}
}

func mustSchema(t *testing.T, d *db) *Schema {
	t.Helper()
	sc, err := d.schema()
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// What could run is refused, what cannot is told, and another program's or a newer
// version's database is not touched.
func TestForeignSchema(t *testing.T) {
	for sql, want := range map[string]error{
		"CREATE TABLE other (x)":                                                                    nil,
		"CREATE TABLE other (x UNIQUE); CREATE INDEX i ON other (x)":                                nil,
		"CREATE INDEX i ON Cache (size, tag DESC) WHERE size IS NOT NULL":                           nil,
		"CREATE INDEX i ON Cache (size + 1)":                                                        driver.ErrCorrupt,
		"CREATE INDEX i ON Cache (size) WHERE size > 1":                                             driver.ErrCorrupt,
		"CREATE UNIQUE INDEX i ON Cache (size)":                                                     driver.ErrCorrupt,
		"CREATE VIEW v AS SELECT 1":                                                                 driver.ErrCorrupt,
		"CREATE TRIGGER r AFTER INSERT ON Cache BEGIN SELECT 1; END":                                driver.ErrCorrupt,
		"CREATE TABLE Cache_8 (x)":                                                                  driver.ErrCorrupt,
		"DROP TABLE Trash; CREATE TABLE Trash (id INTEGER PRIMARY KEY, path)":                       driver.ErrCorrupt,
		"DROP TABLE Settings_7; CREATE TABLE settings_7 (\"key\" text not null /**/ unique, value)": driver.ErrCorrupt,
		"DROP TABLE Settings_7; CREATE TABLE settings_7 (\"KEY\" text not null unique, value)":      driver.ErrCorrupt,
		"DROP TABLE Settings; CREATE TABLE settings (key text  not null\nunique, value)":            nil,
		"PRAGMA user_version = 3":                                                                   driver.ErrNewerFormat,
		"PRAGMA user_version = 1000":                                                                driver.ErrNotStore,
		"DROP TABLE Settings":                                                                       driver.ErrNotStore,
	} {
		d := store(t)
		d.exec(sql)
		if sc, err := d.schema(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", sql, err, want)
		} else if harmless := strings.Contains(sql, "other") || strings.Contains(sql, "DESC"); harmless && len(sc.Extra) == 0 {
			t.Errorf("%s: nothing is told", sql)
		}
	}
	d := newDB(t)
	if sc := mustSchema(t, d); !sc.Empty || sc.Ready() {
		t.Errorf("an empty database: %+v", sc)
	}
	d.exec("CREATE TABLE other (x)")
	if _, err := d.schema(); !errors.Is(err, driver.ErrNotStore) {
		t.Errorf("another program's: %v", err)
	}
	// DiskCache is making its tables.
	d = newDB(t)
	d.exec(Default.Expand(ownParts[partSettings].sql))
	sc := mustSchema(t, d)
	if !sc.Empty {
		t.Errorf("begun by DiskCache: %+v", sc)
	}
	d.create(Default, sc.Of(0))
	if sc := mustSchema(t, d); sc.Empty || sc.Ready() || len(sc.Missing()) != 0 {
		t.Errorf("DiskCache's: %+v, missing %q", sc, sc.Missing())
	}
	if err := mustSchema(t, store(t)).Judge("UTF-16le"); !errors.Is(err, driver.ErrNotStore) {
		t.Errorf("in another encoding: %v", err)
	}
}

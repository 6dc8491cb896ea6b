package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/codec"
)

// auditEndKeys looks whether what is the end-key cache says is what the database holds.
func (a audited) auditEndKeys() {
	err := a.core.writer.update(context.Background(), a.deadline(), driver.Shared, func(dt driver.Tx) error {
		t := dt.(*tx)
		for _, c := range a.core.opened() {
			if c.dropped.Load() || c.generation != t.generation {
				continue
			}
			for _, e := range []endKey{c.endKeys.front, c.endKeys.back} {
				if !e.known {
					continue
				}
				rows, err := t.rows(c, c.tables.Expand("SELECT key, raw FROM {T} WHERE {in}(key > ?1 AND key < ?2 OR key > ?2 AND key < ?1)"), true, e.key, e.bound)
				if err != nil || len(rows) > 0 {
					a.t.Errorf("%v: beyond %v are %v, %v", c.tables.Rows, e, rows, err)
				}
				rows, err = t.rows(c, c.tables.Expand("SELECT key, raw FROM {T} WHERE {in}key = ?1"), true, e.key)
				if err != nil || len(rows) == 0 && !e.empty {
					a.t.Errorf("%v: %v is not there, %v", c.tables.Rows, e, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		a.t.Error(err)
	}
}

// TestEndKeys: what is known of a queue's end does not outlive what changes it.
func TestEndKeys(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *Store, other *sqlite3.Conn) (first, last int64){
		"nothing": func(*testing.T, *Store, *sqlite3.Conn) (int64, int64) { return 40, 60 },
		"pushed by another program": func(t *testing.T, _ *Store, other *sqlite3.Conn) (int64, int64) {
			execute(t, other, "INSERT INTO Cache (key, raw, value, mode, store_time, access_time) VALUES (61, 1, 'x', 1, 1, 1), (39, 1, 'x', 1, 1, 1)")
			return 39, 61
		},
		"removed by another program": func(t *testing.T, _ *Store, other *sqlite3.Conn) (int64, int64) {
			execute(t, other, "DELETE FROM Cache WHERE key IN (40, 60)")
			return 41, 59
		},
		"dropped": func(t *testing.T, s *Store, _ *sqlite3.Conn) (int64, int64) {
			if err := s.Drop(t.Context(), ""); err != nil {
				t.Error(err)
			}
			return 0, 0
		},
		"mended": func(t *testing.T, s *Store, other *sqlite3.Conn) (int64, int64) {
			// The other program's commit is noticed before the check removes the row.
			execute(t, other, "INSERT INTO Cache (key, raw, mode, filename, size, store_time, access_time) VALUES (61, 1, 2, 'gone.val', 1, 1, 1)")
			put(t, s, collectionOf(t, s, ""), driver.Put{Key: codec.IntegerValue(50)})
			for range 2 {
				if first, last := bothEnds(t, s); first != 40 || last != 61 {
					t.Error(first, last)
				}
			}
			mended := 0
			if err := s.Check(t.Context(), true, func(driver.Problem) { mended++ }); err != nil || mended == 0 {
				t.Error(mended, err)
			}
			return 40, 60
		},
		"rolled back": func(t *testing.T, s *Store, _ *sqlite3.Conn) (int64, int64) {
			failure := errors.New("rolled back")
			c := collectionOf(t, s, "")
			err := s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
				for k := range int64(5) {
					if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.IntegerValue(61 + k), Now: at()})); err != nil {
						t.Error(err)
					}
					if _, err := tx.Delete(t.Context(), c, codec.IntegerValue(40+k), at()); err != nil {
						t.Error(err)
					}
				}
				bothEndsIn(t, tx, c)
				return failure
			})
			if !errors.Is(err, failure) {
				t.Error(err)
			}
			return 40, 60
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir(), nil)
			c := collectionOf(t, s, "")
			for k := int64(40); k <= 60; k++ {
				put(t, s, c, driver.Put{Key: codec.IntegerValue(k), Value: codec.IntegerValue(k)})
			}
			other, err := sqlite3.Open(filepath.Join(s.Dir(), databaseName), sqlite3.ReadWrite|sqlite3.DefaultVFS)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			other.SetBusyHandler(func(int) bool { return true })
			for range 3 { // it is known from the second on
				if first, last := bothEnds(t, s); first != 40 || last != 60 {
					t.Fatal(first, last)
				}
			}
			first, last := change(t, s, other)
			for range 3 {
				f, l := bothEnds(t, s)
				if f != first || l != last {
					t.Errorf("from %d to %d, want %d to %d", f, l, first, last)
				}
				// Puts to both sides replace nothing.
				if first == 0 {
					first, last = 51, 50
				}
				first, last = first-1, last+1
				for _, k := range []int64{first, last} {
					put(t, s, c, driver.Put{Key: codec.IntegerValue(k), Value: codec.IntegerValue(k)})
				}
			}
			if err := s.Check(t.Context(), false, func(p driver.Problem) { t.Error(p) }); err != nil {
				t.Error(err)
			}
			if err := s.View(t.Context(), func(tx driver.Tx) error {
				n, err := tx.Count(t.Context(), c)
				if n != last-first+1 {
					t.Errorf("%d rows from %d to %d", n, first, last)
				}
				return err
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEndKeyIsWrong: should what is known be wrong, nothing is overwritten, and
// the next operation looks again.
func TestEndKeyIsWrong(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	c := collectionOf(t, s, "")
	for k := int64(40); k <= 60; k++ {
		put(t, s, c, driver.Put{Key: codec.IntegerValue(k), Value: codec.IntegerValue(k)})
	}
	bothEnds(t, s)
	for mode := range driver.Mode(2) {
		c.(*collection).endKeys.back = endKey{known: true, key: codec.IntegerValue(50), bound: codec.IntegerValue(100)}
		err := s.Update(t.Context(), mode, func(tx driver.Tx) error {
			_, last := bothEndsIn(t, tx, c)
			return errOf(tx.Put(t.Context(), c, driver.Put{Key: codec.IntegerValue(last + 1), Value: codec.TextValue("pushed"), Now: at()}))
		})
		if ok := mode == driver.Shared; ok != (err == nil) { // it runs again after the rollback
			t.Errorf("mode %d: %v", mode, err)
		}
	}
	if _, last := bothEnds(t, s); last != 61 {
		t.Error(last)
	}
	r, ok, err := s.Get(t.Context(), c, codec.IntegerValue(51), driver.Lookup{Now: at()})
	if err != nil || !ok || r.Value.Integer() != 51 {
		t.Error(r, ok, err)
	}
}

// bothEnds returns the first and the last key between 0 and 100, or 0.
func bothEnds(t *testing.T, s *Store) (first, last int64) {
	t.Helper()
	c := collectionOf(t, s, "")
	err := s.Update(t.Context(), driver.Shared, func(tx driver.Tx) error {
		first, last = bothEndsIn(t, tx, c)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return first, last
}

func bothEndsIn(t *testing.T, tx driver.Tx, c driver.Collection) (first, last int64) {
	t.Helper()
	for desc, key := range map[bool]*int64{false: &first, true: &last} {
		rows, err := tx.Scan(t.Context(), c, driver.Scan{
			Order: driver.ByKey, Desc: desc, Keys: true, Limit: 1,
			Lower: &driver.Bound{Key: codec.IntegerValue(0), Open: true},
			Upper: &driver.Bound{Key: codec.IntegerValue(100), Open: true},
		})
		if err != nil {
			t.Error(err)
		}
		if len(rows) > 0 {
			*key = rows[0].Key.Integer()
		}
	}
	return first, last
}

func execute(t *testing.T, c *sqlite3.Conn, sql string) {
	t.Helper()
	if err := c.Exec(sql); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
}

package sqlite

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// A store may have any number of collections: from table.MaxOwn on, further ones add
// nothing to the schema, which SQLite reads anew whenever it has changed, and
// nothing to what connections keep.
func TestManyCollections(t *testing.T) {
	const many = 3 * table.MaxOwn
	dir := t.TempDir()
	s := open(t, dir, nil)
	objects := func() int64 {
		t.Helper()
		cn, err := s.core.readers.take(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.core.readers.put(cn)
		if len(cn.fixed) > table.MaxOwn+2 {
			t.Errorf("a connection has statements for %d collections", len(cn.fixed))
		}
		n, err := cn.integer("SELECT count(*) FROM sqlite_master")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	name := func(i int) string { return fmt.Sprintf("c%03d", i) }
	value := func(i int) codec.Value { return codec.IntegerValue(int64(i)) }
	k := codec.TextValue("k")
	before := int64(0)
	for i := range many {
		c := collectionOf(t, s, name(i))
		put(t, s, c, driver.Put{Key: k, Value: value(i)})
		putFile(t, s, c, "big", name(i))
		if own := c.(*collection).id < table.SharedFirst; own != (i < table.MaxOwn) {
			t.Errorf("collection %d has tables of its own: %v", i, own)
		}
		switch n := objects(); {
		case i <= table.MaxOwn:
			before = n
		case n != before:
			t.Fatalf("%d objects in the schema with %d collections, %d with %d", before, table.MaxOwn+1, n, i+1)
		}
	}
	check := func(gone int) {
		t.Helper()
		names, err := s.Names(t.Context())
		if err != nil || len(names) != many+1-gone || !slices.IsSorted(names) {
			t.Errorf("%d names (%v)", len(names), err)
		}
		for i := gone; i < many; i++ {
			c := collectionOf(t, s, name(i))
			if r := get(t, s, c, "k"); !codec.Equal(r.Value, value(i)) || r.ID != 1 {
				t.Errorf("%s: %v", name(i), r)
			}
			if r := get(t, s, c, "big"); r.Size != int64(len(name(i))) || r.ID != 2 {
				t.Errorf("%s: %v", name(i), r)
			}
			err := s.View(t.Context(), func(tx driver.Tx) error {
				n, err := tx.Count(t.Context(), c)
				if n != 2 {
					t.Errorf("%s: %d rows", name(i), n)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		if err := s.Check(t.Context(), false, func(p driver.Problem) { t.Errorf("%+v", p) }); err != nil {
			t.Error(err)
		}
	}
	check(0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil)
	check(0)
	last := collectionOf(t, s, name(many-1)).(*collection).id
	for i := range table.MaxOwn + 5 {
		if err := s.Drop(t.Context(), name(i)); err != nil {
			t.Fatal(err)
		}
	}
	check(table.MaxOwn + 5)
	// A number that was used is not used again, and there is nothing in it.
	again := collectionOf(t, s, name(0))
	if id := again.(*collection).id; id != last+1 {
		t.Errorf("number %d, want %d", id, last+1)
	}
	if _, ok, err := s.Get(t.Context(), again, k, driver.Lookup{Now: at()}); ok || err != nil {
		t.Error(ok, err)
	}
}

// The collections that share tables count for the size limit of the default one
// as the others do: not at all.
func TestVolumeOfShared(t *testing.T) {
	for name, shared := range map[string]bool{"own": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir(), &Options{allShared: shared})
			c, err := s.Open(t.Context(), "", driver.Spec{Configure: func(s *driver.Settings) { s.SizeLimit = 300_000 }})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"a", "b"} {
				other := collectionOf(t, s, name)
				for i := range 100 {
					put(t, s, other, driver.Put{Key: key(i), Value: codec.BlobValue(make([]byte, 5000))})
				}
			}
			for i := range 20 {
				err := s.Update(t.Context(), driver.Alone, func(tx driver.Tx) error {
					if err := errOf(tx.Put(t.Context(), c, driver.Put{Key: key(i), Value: codec.BlobValue(make([]byte, 5000)), Now: at()})); err != nil {
						return err
					}
					gone, err := tx.Cull(t.Context(), c, at(), 10, key(i))
					if len(gone) > 0 {
						t.Errorf("%d: %d rows are gone", i, len(gone))
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Drop(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context(), false, func(p driver.Problem) { t.Errorf("%+v", p) }); err != nil {
				t.Error(err)
			}
		})
	}
}

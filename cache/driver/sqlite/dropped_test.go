package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// TestDroppedElsewhere: another process drops a collection that is read here.
// What was read of others is counted all the same, and Close has nothing to
// complain about.
func TestDroppedElsewhere(t *testing.T) {
	t.Run("own", func(t *testing.T) {
		droppedElsewhere(t, &Options{}, "DROP TABLE Cache_%d; DROP TABLE Settings_%[1]d; DELETE FROM Collections WHERE id = %[1]d")
	})
	t.Run("shared", func(t *testing.T) {
		droppedElsewhere(t, &Options{allShared: true}, fmt.Sprintf("DELETE FROM Cache_shared WHERE coll = %%d - %d; DELETE FROM Settings_shared WHERE coll = %%[1]d - %[1]d;"+
			"DELETE FROM Collections WHERE id = %%[1]d", table.SharedFirst))
	})
}

func droppedElsewhere(t *testing.T, o *Options, drop string) {
	dir := t.TempDir()
	s := open(t, dir, o)
	lru := driver.DefaultSettings()
	lru.Policy = driver.LeastRecentlyUsed
	for _, name := range []string{"a", "gone", "z"} {
		c, err := s.Open(t.Context(), name, driver.Spec{Settings: lru})
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, c, driver.Put{Key: codec.TextValue("k"), Value: codec.IntegerValue(1)})
		get(t, s, c, "k")
	}
	other, err := sqlite3.Open(filepath.Join(dir, databaseName), sqlite3.ReadWrite|sqlite3.DefaultVFS)
	if err != nil {
		t.Fatal(err)
	}
	id := s.core.colls["gone"].id
	if err := other.Exec(fmt.Sprintf("BEGIN;"+drop+";COMMIT", id)); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error("Close:", err)
	}
	s = open(t, dir, o)
	for _, name := range []string{"a", "z"} {
		if r := get(t, s, collectionOf(t, s, name), "k"); r.Accesses != 1 {
			t.Errorf("%s: %d accesses are written", name, r.Accesses)
		}
	}
}

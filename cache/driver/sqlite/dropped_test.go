package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
	"github.com/go-diskcache/diskcache/codec"
)

// TestDroppedElsewhere: another process drops a collection that is read here.
// What was read of others is counted all the same, and Close has nothing to
// complain about.
func TestDroppedElsewhere(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
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
	other, err := lite.Open(filepath.Join(dir, databaseName), lite.ReadWrite|lite.DefaultVFS)
	if err != nil {
		t.Fatal(err)
	}
	id := s.core.colls["gone"].id
	if err := other.Exec(fmt.Sprintf("BEGIN; DROP TABLE Cache_%d; DROP TABLE Settings_%[1]d; DELETE FROM Collections WHERE id = %[1]d; COMMIT", id)); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error("Close:", err)
	}
	s = open(t, dir, nil)
	for _, name := range []string{"a", "z"} {
		if r := get(t, s, collectionOf(t, s, name), "k"); r.Accesses != 1 {
			t.Errorf("%s: %d accesses are written", name, r.Accesses)
		}
	}
}

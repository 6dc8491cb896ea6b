package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/codec"
)

// A directory in which DiskCache is making its tables is opened: it makes them one
// by one, and each only if it is not there.
func TestOpenWhileDiskCacheMakesIt(t *testing.T) {
	dir := t.TempDir()
	cn, err := sqlite3.Open(filepath.Join(dir, databaseName), sqlite3.ReadWriteCreate)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(cn.Exec("CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)"), cn.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, &Options{ReadOnly: true}); !errors.Is(err, driver.ErrNotStore) {
		t.Errorf("opened for reading: %v", err)
	}
	s := open(t, dir, nil)
	c := collectionOf(t, s, "")
	put(t, s, c, driver.Put{Key: codec.TextValue("k"), Value: codec.TextValue("v")})
	if !has(t, s, c, "k") {
		t.Error("a row is lost")
	}
}

package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// checkLength refuses a directory, before anything is made in it or above it,
// whose path is too long for SQLite or the system. All other files are reached
// from the directory's descriptor, so that only the path of the database counts.
func checkLength(dir string) error {
	dir, err := osfs.Resolve(dir)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil // what opens or makes it says that it lies below a file
	case err != nil:
		return translate(err)
	}
	most, err := sqlite3.MaxPath()
	if err != nil {
		return translate(err)
	}
	if n := len(filepath.Join(dir, databaseName)); n > most {
		return fmt.Errorf("%w: the path of its %s has %d bytes, without symbolic links, where SQLite takes %d: give it a shorter one", driver.ErrInvalid, databaseName, n, most)
	}
	return nil
}

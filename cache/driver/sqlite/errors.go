package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// Errors of SQLite and of the file system become errors of package driver here. Every method of a
// Store and of a tx passes its errors through translate, or collection.explain.

// readOnlyDirectory is SQLITE_READONLY_DIRECTORY: no log can be made beside
// the database.
const readOnlyDirectory = 1544

// lockingProtocol is SQLITE_PROTOCOL: another process has been about to change
// the header of the WAL-index for ten seconds, so that it seems to be stopped.
// Nobody can read or write then.
const lockingProtocol = 15

// translate gives an error of SQLite or of the file system the meaning that
// the contract has for it. The original stays in the chain.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var le *sqlite3.Error
	if errors.As(err, &le) && sqlite3.IsInterrupt(le) && le.Cause != nil {
		return le.Cause
	}
	for _, known := range []error{
		driver.ErrClosed, driver.ErrTimeout, driver.ErrReadOnly, driver.ErrFull, driver.ErrCorrupt,
		driver.ErrPermission, driver.ErrNotStore, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	if le != nil {
		switch {
		case sqlite3.IsFull(err):
			return fmt.Errorf("%w: %w", driver.ErrFull, err)
		case sqlite3.IsCorrupt(err), sqlite3.IsMissing(err): // what is asked for is always there
			return fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
		case errors.Is(err, fs.ErrPermission), sqlite3.IsCantOpen(err) && le.Errno == syscall.EACCES, le.Code == readOnlyDirectory:
			return fmt.Errorf("%w: %w", driver.ErrPermission, err)
		case sqlite3.IsReadOnly(err):
			return fmt.Errorf("%w: %w", driver.ErrReadOnly, err)
		case sqlite3.IsBusy(err), le.Code == lockingProtocol:
			return fmt.Errorf("%w: %w", driver.ErrTimeout, err)
		}
		return err
	}
	switch {
	case errors.Is(err, osfs.ErrNotRegular):
		return fmt.Errorf("%w: something is in the place of a file of the store: %w", driver.ErrNotStore, err)
	case osfs.IsTooLong(err):
		return fmt.Errorf("%w: give it a shorter path: %w", driver.ErrInvalid, err)
	case osfs.IsFull(err):
		return fmt.Errorf("%w: %w", driver.ErrFull, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", driver.ErrPermission, err)
	case osfs.IsReadOnly(err):
		return fmt.Errorf("%w: %w", driver.ErrReadOnly, err)
	}
	return err
}

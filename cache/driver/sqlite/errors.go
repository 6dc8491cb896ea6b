package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

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
	var le *lite.Error
	if errors.As(err, &le) && lite.IsInterrupt(le) && le.Cause != nil {
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
		case lite.IsFull(err):
			return fmt.Errorf("%w: %w", driver.ErrFull, err)
		case lite.IsCorrupt(err), lite.IsMissing(err): // what is asked for is always there
			return fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
		case errors.Is(err, fs.ErrPermission), lite.IsCantOpen(err) && le.Errno == syscall.EACCES, le.Code == readOnlyDirectory:
			return fmt.Errorf("%w: %w", driver.ErrPermission, err)
		case lite.IsReadOnly(err):
			return fmt.Errorf("%w: %w", driver.ErrReadOnly, err)
		case lite.IsBusy(err), le.Code == lockingProtocol:
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

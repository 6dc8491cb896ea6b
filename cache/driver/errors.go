package driver

import (
	"errors"

	"github.com/go-diskcache/diskcache/codec"
)

// Errors that engines return, wrapped in more detail, without keys or values.
var (
	ErrClosed        = errors.New("store or collection is closed")
	ErrTimeout       = errors.New("timed out waiting for another writer")
	ErrReadOnly      = errors.New("read-only")
	ErrFull          = errors.New("disk or quota is full")
	ErrCorrupt       = errors.New("data is corrupt")
	ErrCodecMismatch = errors.New("codec does not match the stored data")
	ErrNotFound      = errors.New("not found")
	ErrNotStore      = errors.New("not a DiskCache directory")
	ErrNewerFormat   = errors.New("made by a newer version")
	ErrNetwork       = errors.New("directory is on a network file system")
	ErrTooLarge      = codec.ErrTooLarge // one error for every limit of a size
	ErrInvalid       = errors.New("invalid argument")
	ErrPermission    = errors.New("permission denied")
	ErrUncertain     = errors.New("it is not known whether the transaction was committed")
)

//go:build !windows

package osfs

import (
	"errors"
	"syscall"
)

// IsFull reports whether err says that a disk, a quota or the size that files may
// have is exhausted.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// IsReadOnly reports whether err says that a file system is mounted for reading
// only.
func IsReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

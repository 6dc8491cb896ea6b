//go:build !windows

package osfs

import (
	"errors"
	"syscall"
)

// IsFull reports whether err says that a disk or a quota is exhausted.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

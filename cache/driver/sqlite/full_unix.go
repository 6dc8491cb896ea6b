//go:build !windows

package sqlite

import (
	"errors"
	"syscall"
)

// isFull reports whether err says that a disk or a quota is exhausted.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

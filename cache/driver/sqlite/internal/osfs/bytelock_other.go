//go:build !linux && !windows

package osfs

import (
	"errors"
	"os"
)

// Elsewhere locks on bytes belong to a process, and vanish when it closes
// another descriptor of the file.

func tryLockByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }
func unlockByte(*os.File, int64) error          { return errors.ErrUnsupported }
func byteLocked(*os.File, int64) (bool, error)  { return false, errors.ErrUnsupported }

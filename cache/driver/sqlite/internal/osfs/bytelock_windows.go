package osfs

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func tryLockByte(f *os.File, at int64) (bool, error) {
	return tryLockByteEx(f, windows.LOCKFILE_EXCLUSIVE_LOCK, at)
}

func tryLockByteEx(f *os.File, flags uint32, at int64) (bool, error) {
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, overlappedAt(at))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, os.NewSyscallError("LockFileEx", err)
}

func unlockByte(f *os.File, at int64) error {
	err := windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, overlappedAt(at))
	return os.NewSyscallError("UnlockFileEx", err)
}

// byteLocked reports whether a process has the lock. To find out, it takes a shared lock for
// a moment: a tryLockByte in that moment is refused.
func byteLocked(f *os.File, at int64) (bool, error) {
	ok, err := tryLockByteEx(f, 0, at)
	if ok {
		err = unlockByte(f, at)
	}
	return !ok, err
}

func overlappedAt(at int64) *windows.Overlapped {
	return &windows.Overlapped{Offset: uint32(at), OffsetHigh: uint32(at >> 32)}
}

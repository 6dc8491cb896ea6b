package osfs

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// A handle may lock a file twice on Windows, and not at all while it has it locked
// in another way. So a lock that it has is given up first, as flock does.

func tryLock(f *os.File, exclusive bool) (bool, error) {
	err := lockEx(f, lockFlags(exclusive)|windows.LOCKFILE_FAIL_IMMEDIATELY)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

func lock(f *os.File, exclusive bool) error { return lockEx(f, lockFlags(exclusive)) }

func unlock(f *os.File) {
	windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped))
}

func lockFlags(exclusive bool) uint32 {
	if exclusive {
		return windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	return 0
}

func lockEx(f *os.File, flags uint32) error {
	unlock(f)
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	return os.NewSyscallError("LockFileEx", err)
}

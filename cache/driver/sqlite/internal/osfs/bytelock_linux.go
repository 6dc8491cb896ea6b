package osfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// The locks on bytes are OFD locks, those of open file descriptions. Asking (GETLK) takes
// no lock. OFD locks need Linux 3.15.

func tryLockByte(f *os.File, at int64) (bool, error) {
	_, err := ofdLock(f, unix.F_OFD_SETLK, unix.F_WRLCK, at)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, err
}

func unlockByte(f *os.File, at int64) error {
	_, err := ofdLock(f, unix.F_OFD_SETLK, unix.F_UNLCK, at)
	return err
}

// byteLocked reports whether a process has the lock. It asks for a shared lock, so that only
// an exclusive lock counts, which a process needs the permission to write for.
func byteLocked(f *os.File, at int64) (bool, error) {
	found, err := ofdLock(f, unix.F_OFD_GETLK, unix.F_RDLCK, at)
	return found != unix.F_UNLCK, err
}

func ofdLock(f *os.File, cmd int, kind int16, at int64) (found int16, err error) {
	for {
		l := unix.Flock_t{Type: kind, Start: at, Len: 1}
		err := unix.FcntlFlock(f.Fd(), cmd, &l)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EINVAL {
			err = errors.ErrUnsupported
		}
		return l.Type, os.NewSyscallError("fcntl", err)
	}
}

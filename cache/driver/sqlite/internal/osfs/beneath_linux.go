package osfs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// searchOnly opens a directory as a base for openat. It needs the permission to search
// the directory, and not that to read it.
const searchOnly = unix.O_PATH

// noOpenat2 is set where the kernel is older than 5.6.
var noOpenat2 atomic.Bool

// openBeneath opens a name below a directory. No folder on the way may be a symbolic link;
// for the last part of the name flags has O_NOFOLLOW.
func openBeneath(dir int, name string, flags int, mode uint32) (fd int, err error) {
	folder, _ := splitName(name)
	if folder == "" {
		return openAt(dir, name, flags, mode)
	}
	if noOpenat2.Load() {
		return openThroughFolders(dir, name, flags, mode)
	}
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Mode:    uint64(mode),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	err = retryInterrupted(func() error {
		fd, err = unix.Openat2(dir, name, &how)
		return err
	})
	switch err {
	case unix.ENOSYS:
		noOpenat2.Store(true)
		return openThroughFolders(dir, name, flags, mode)
	case unix.EPERM, unix.EAGAIN: // from a filter of system calls (seccomp); from a rename at the same time
		return openThroughFolders(dir, name, flags, mode)
	}
	return fd, err
}

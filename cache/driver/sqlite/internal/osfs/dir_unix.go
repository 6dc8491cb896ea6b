//go:build unix

package osfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// handle is the descriptor of a directory.
type handle int

func resolve(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

func openDir(name string) (handle, error) {
	fd, err := openAt(unix.AT_FDCWD, name, searchOnly|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return 0, &fs.PathError{Op: string(OpOpen), Path: name, Err: err}
	}
	return handle(fd), nil
}

func (h handle) close() error { return os.NewSyscallError("close", unix.Close(int(h))) }

// access is how a file is opened.
type access int

const (
	readOnly  access = unix.O_RDONLY
	readWrite access = unix.O_RDWR
)

// open opens an existing regular file.
func (h handle) open(name, full string, mode access) (*os.File, Info, error) {
	// Without O_NONBLOCK this would wait for the other end of a pipe.
	fd, err := openBeneath(int(h), name, int(mode)|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, Info{}, h.explain(name, err)
	}
	info, err := fdInfo(fd)
	if err == nil {
		err = info.regular()
	}
	if err == nil {
		// [os.NewFile] would have the poller watch it.
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, int(mode))
	}
	if err != nil {
		unix.Close(fd)
		return nil, info, err
	}
	return os.NewFile(uintptr(fd), full), info, nil
}

// explain returns what is wrong with a name if err says that it is not what it
// should be.
func (h handle) explain(name string, err error) error {
	switch err {
	case unix.ELOOP, unix.EMLINK, unix.ENOTDIR, unix.EISDIR, unix.ENXIO, unix.ENODEV, unix.EOPNOTSUPP:
		if info, e := h.lstat(name); e == nil {
			return fmt.Errorf("%w: %w", kindOf(info.mode()), err)
		}
	}
	switch err { // one of the folders before it
	case unix.ELOOP, unix.EMLINK:
		return fmt.Errorf("%w: %w", kindOf(fs.ModeSymlink), err)
	case unix.ENOTDIR:
		return fmt.Errorf("%w: %w", ErrNotRegular, err)
	}
	return err
}

// create makes a file.
func (h handle) create(name, full string, r rights) (*os.File, error) {
	dir, base, err := h.folderOf(name)
	if err != nil {
		return nil, err
	}
	defer h.closeFolder(dir)
	// Not the group's before it is known to be the right group.
	fd, err := openAt(dir, base, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, r.file&0o700)
	if err != nil {
		return nil, err
	}
	if err := r.give(fd, r.file); err != nil {
		unix.Close(fd)
		unix.Unlinkat(dir, base, 0)
		return nil, err
	}
	return os.NewFile(uintptr(fd), full), nil
}

func (h handle) mkdir(name string, r rights) error {
	dir, base, err := h.folderOf(name)
	if err != nil {
		return err
	}
	defer h.closeFolder(dir)
	if err := retryInterrupted(func() error { return unix.Mkdirat(dir, base, r.folder()&0o700) }); err != nil {
		return err
	}
	if err := r.giveFolder(dir, base); err != nil {
		unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
		return err
	}
	return nil
}

func (h handle) remove(name string) error {
	dir, base, err := h.folderOf(name)
	if err != nil {
		return err
	}
	defer h.closeFolder(dir)
	file := retryInterrupted(func() error { return unix.Unlinkat(dir, base, 0) })
	if file == nil {
		return nil
	}
	folder := retryInterrupted(func() error { return unix.Unlinkat(dir, base, unix.AT_REMOVEDIR) })
	if folder == unix.ENOTDIR {
		return file
	}
	return folder
}

func (h handle) link(from, to string) error {
	a, old, err := h.folderOf(from)
	if err != nil {
		return err
	}
	defer h.closeFolder(a)
	b, name, err := h.folderOf(to)
	if err != nil {
		return err
	}
	defer h.closeFolder(b)
	return retryInterrupted(func() error { return unix.Linkat(a, old, b, name, 0) })
}

func (h handle) lstat(name string) (info Info, err error) {
	dir, base, err := h.folderOf(name)
	if err != nil {
		return info, err
	}
	defer h.closeFolder(dir)
	err = retryInterrupted(func() error { return unix.Fstatat(dir, base, &info.st, unix.AT_SYMLINK_NOFOLLOW) })
	return info, err
}

func (h handle) isFolder(name string) error {
	fd, err := openBeneath(int(h), name, searchOnly|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return h.explain(name, err)
	}
	return unix.Close(fd)
}

// folder opens a folder for reading.
func (h handle) folder(name, full string) (*os.File, error) {
	fd, err := openBeneath(int(h), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, h.explain(name, err)
	}
	return os.NewFile(uintptr(fd), full), nil
}

func (h handle) readDir(name, full string) ([]fs.DirEntry, error) {
	f, err := h.folder(name, full)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func (h handle) syncFolder(name string) error {
	f, err := h.folder(name, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// folderOf opens the folder that a name is in, for leave.
func (h handle) folderOf(name string) (fd int, base string, err error) {
	folder, base := splitName(name)
	if folder == "" {
		return int(h), base, nil
	}
	fd, err = openBeneath(int(h), folder, searchOnly|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, "", h.explain(folder, err)
	}
	return fd, base, nil
}

// closeFolder closes what folderOf has opened.
func (h handle) closeFolder(fd int) {
	if fd != int(h) {
		unix.Close(fd)
	}
}

// openThroughFolders is openBeneath, folder by folder.
func openThroughFolders(dir int, name string, flags int, mode uint32) (int, error) {
	at := dir
	for {
		part, rest, more := strings.Cut(name, "/")
		if !more {
			fd, err := openAt(at, part, flags, mode)
			if at != dir {
				unix.Close(at)
			}
			return fd, err
		}
		fd, err := openAt(at, part, searchOnly|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if at != dir {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		at, name = fd, rest
	}
}

// openAt opens a name in a folder, for this process alone.
func openAt(dir int, name string, flags int, mode uint32) (fd int, err error) {
	err = retryInterrupted(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// retryInterrupted makes a call again that a signal has interrupted.
func retryInterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// Info is what is known of a file.
type Info struct{ st unix.Stat_t }

func fdInfo(fd int) (info Info, err error) {
	err = retryInterrupted(func() error { return unix.Fstat(fd, &info.st) })
	return info, err
}

func infoOf(f *os.File) (Info, error) {
	info, err := fdInfo(int(f.Fd()))
	return info, os.NewSyscallError("fstat", err)
}

// Stat returns what is known of the file in a path.
func Stat(path string) (info Info, err error) {
	if err = retryInterrupted(func() error { return unix.Stat(path, &info.st) }); err != nil {
		err = &fs.PathError{Op: string(OpStat), Path: path, Err: err}
	}
	return info, err
}

// Lstat is Stat, of a symbolic link itself.
func Lstat(path string) (info Info, err error) {
	if err = retryInterrupted(func() error { return unix.Lstat(path, &info.st) }); err != nil {
		err = &fs.PathError{Op: string(OpStat), Path: path, Err: err}
	}
	return info, err
}

// Same reports whether two are of one file.
func (i Info) Same(o Info) bool { return i.st.Dev == o.st.Dev && i.st.Ino == o.st.Ino }

// IsZero reports whether nothing is known.
func (i Info) IsZero() bool { return i == Info{} }

// Size returns the number of bytes.
func (i Info) Size() int64 { return i.st.Size }

// ModTime returns when the file was last written to.
func (i Info) ModTime() time.Time { return time.Unix(i.st.Mtim.Unix()) }

// Links returns the number of names.
func (i Info) Links() int { return int(i.st.Nlink) }

// IsRegular reports whether it is a file.
func (i Info) IsRegular() bool { return i.st.Mode&unix.S_IFMT == unix.S_IFREG }

// IsDir reports whether it is a folder.
func (i Info) IsDir() bool { return i.st.Mode&unix.S_IFMT == unix.S_IFDIR }

func (i Info) regular() error {
	if !i.IsRegular() {
		return kindOf(i.mode())
	}
	return nil
}

// mode returns the kind of the file.
func (i Info) mode() fs.FileMode {
	switch uint32(i.st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	}
	return fs.ModeDevice
}

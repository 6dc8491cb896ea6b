//go:build !unix

package osfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// handle opens names below a directory. os.Root follows a symbolic link in the place of a
// folder if the link stays in the directory.
type handle struct{ *os.Root }

// resolve does not follow symbolic links: filepath.EvalSymlinks fails on some volumes of
// Windows.
func resolve(name string) (string, error) { return filepath.Abs(name) }

func openDir(name string) (handle, error) {
	r, err := os.OpenRoot(name)
	return handle{r}, err
}

func (h handle) close() error { return h.Root.Close() }

type access int

const (
	readOnly  access = access(os.O_RDONLY)
	readWrite access = access(os.O_RDWR)
)

func (h handle) open(name, _ string, mode access) (*os.File, Info, error) {
	info, err := h.lstat(name)
	if err == nil {
		err = info.regular() // before it is opened, which may wait
	}
	if err != nil {
		return nil, info, err
	}
	f, err := h.Root.OpenFile(filepath.FromSlash(name), int(mode), 0)
	if err != nil {
		return nil, info, innerError(err)
	}
	if info, err = infoOf(f); err == nil {
		err = info.regular()
	}
	if err != nil {
		f.Close()
		return nil, info, err
	}
	return f, info, nil
}

func (h handle) create(name, _ string, r rights) (*os.File, error) {
	f, err := h.Root.OpenFile(filepath.FromSlash(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return f, innerError(err)
}

func (h handle) mkdir(name string, r rights) error { return innerError(h.Root.Mkdir(name, 0o700)) }

func (h handle) remove(name string) error { return innerError(h.Root.Remove(name)) }

func (h handle) link(from, to string) error { return innerError(h.Root.Link(from, to)) }

func (h handle) lstat(name string) (Info, error) {
	if !strings.Contains(name, "/") && filepath.IsLocal(name) {
		// Root.Lstat opens the file. SQLite may be deleting its journal at that
		// moment; the name could stay until the handle is closed, and another
		// process take the journal for one that a dead writer has left.
		fi, err := os.Lstat(filepath.Join(h.Root.Name(), name))
		return Info{fi}, innerError(err)
	}
	fi, err := h.Root.Lstat(name)
	return Info{fi}, innerError(err)
}

func (h handle) isFolder(name string) error {
	info, err := h.lstat(name)
	if err == nil && !info.IsDir() {
		err = kindOf(info.fi.Mode())
	}
	return err
}

func (h handle) readDir(name, _ string) ([]fs.DirEntry, error) {
	if err := h.isFolder(name); err != nil {
		return nil, err
	}
	f, err := h.Root.Open(name)
	if err != nil {
		return nil, innerError(err)
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// syncFolder does nothing: Windows cannot sync a folder.
func (h handle) syncFolder(string) error { return nil }

// innerError returns the error within one that names the path again.
func innerError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}

// Info is what is known of a file.
type Info struct{ fi fs.FileInfo }

func infoOf(f *os.File) (Info, error) {
	fi, err := f.Stat()
	return Info{fi}, err
}

// Stat returns what is known of the file in a path.
func Stat(path string) (Info, error) {
	fi, err := os.Stat(path)
	return Info{fi}, err
}

// Lstat is Stat, of a symbolic link itself.
func Lstat(path string) (Info, error) {
	fi, err := os.Lstat(path)
	return Info{fi}, err
}

// Same reports whether two are of one file.
func (i Info) Same(o Info) bool { return i.fi != nil && o.fi != nil && os.SameFile(i.fi, o.fi) }

// IsZero reports whether nothing is known.
func (i Info) IsZero() bool { return i.fi == nil }

// Size returns the number of bytes.
func (i Info) Size() int64 { return i.fi.Size() }

// ModTime returns when the file was last written to.
func (i Info) ModTime() time.Time { return i.fi.ModTime() }

// Links returns 1: the number of names is not known here.
func (i Info) Links() int { return 1 }

// IsRegular reports whether it is a file.
func (i Info) IsRegular() bool { return i.fi.Mode().IsRegular() }

// IsDir reports whether it is a folder.
func (i Info) IsDir() bool { return i.fi.IsDir() }

func (i Info) regular() error {
	if !i.IsRegular() {
		return kindOf(i.fi.Mode())
	}
	return nil
}

// rights of files are those that they inherit from the directory here.
type rights struct{}

var defaultRights rights

func rightsOf(Info) (r rights) { return r }
func rightsIn(Info) (r rights) { return r }

func (rights) outsiders(Info) string { return "" }

func (d *Dir) vouch(Info) error  { return nil }
func (d *Dir) trusts(Info) error { return nil }

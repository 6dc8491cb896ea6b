package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// paths are the files that a run has told the go command of. They are in a folder of
// the run, which has the name of the store's session: others see by that whether the
// run lives. Most are hard links to the store's files, and stay when the store
// removes its own.
type paths struct {
	dir string // "" where there is no store

	mu   sync.Mutex
	made bool
	temp string // a folder for what cannot be in dir
}

// Names in the folder of a run that no other path has: of the file whose age is how
// long the paths have been kept since the run ended, and of one for all outputs that
// are empty.
const (
	kept  = "kept"
	empty = "empty"
)

// Folders of ended runs stay for keepFor, unless there are more than keepMost later
// ones.
const (
	keepFor  = time.Hour
	keepMost = 64
)

// link is os.Link, but on Windows: there a file cannot be opened in the moment in
// which another of its names is removed, as the store does with its temporary names.
var link = func(from, to string) error {
	if runtime.GOOS == "windows" {
		return errors.ErrUnsupported
	}
	return os.Link(from, to)
}

// to returns the path to a value, and whether it is a link.
func (p *paths) to(f *cache.File) (path string, linked bool, err error) {
	dir, err := p.folder()
	switch {
	case err != nil:
	case f.Size == 0:
		path := filepath.Join(dir, empty)
		if e, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
			return path, false, e.Close()
		}
	case f.Name() != "":
		path := filepath.Join(dir, filepath.Base(f.Name())) // no two values have one name
		if err := link(f.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
			return path, true, nil
		}
		// The value was removed a moment ago, or there are no links here, or too many.
	}
	path, err = p.copy(f)
	return path, false, err
}

// copy makes a file of its own, if need be among the system's temporary ones.
func (p *paths) copy(r io.ReadSeeker) (path string, err error) {
	var errs []error
	for _, folder := range []func() (string, error){p.folder, p.temporary} {
		dir, err := folder()
		if err == nil {
			path, err = copyTo(dir, r)
		}
		if err == nil {
			return path, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func copyTo(dir string, r io.ReadSeeker) (path string, err error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "copy-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

var errNoFolder = errors.New("this run has no folder, since there is no cache")

// folder returns the folder of the run, and makes it.
func (p *paths) folder() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir == "" {
		return "", errNoFolder
	}
	if !p.made {
		if err := makeFolder(filepath.Split(p.dir)); err != nil {
			return "", err
		}
		p.made = true
	}
	return p.dir, nil
}

// temporary returns another folder, and makes it. Nobody removes it when this process
// is killed, as with those of the go command.
func (p *paths) temporary() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.temp == "" {
		dir, err := os.MkdirTemp("", "gocacheprog-")
		if err != nil {
			return "", err
		}
		p.temp = dir
	}
	return p.temp, nil
}

// close removes the paths, or has those in the folder of the run stay for a while.
func (p *paths) close(keep bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.temp != "" {
		err = os.RemoveAll(p.temp)
	}
	switch {
	case !p.made:
		return err
	case keep:
		return errors.Join(err, os.WriteFile(filepath.Join(p.dir, kept), nil, 0o600))
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// sweep removes the folders of runs that have ended: at once what those have left
// that were killed, and in time what those have kept.
func sweep(ctx context.Context, st *cache.Store, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type folder struct {
		path string
		kept time.Time
	}
	var ended []folder
	var errs []error
	for _, e := range entries {
		if alive, err := st.Alive(ctx, e.Name()); alive || err != nil {
			errs = append(errs, err)
			continue
		}
		f := folder{path: filepath.Join(dir, e.Name())}
		if info, err := os.Stat(filepath.Join(f.path, kept)); err == nil {
			f.kept = info.ModTime()
		}
		ended = append(ended, f)
	}
	slices.SortFunc(ended, func(a, b folder) int { return b.kept.Compare(a.kept) })
	for i, f := range ended {
		if i >= keepMost || time.Since(f.kept).Abs() > keepFor {
			errs = append(errs, os.RemoveAll(f.path))
		}
	}
	return errors.Join(errs...)
}

// makeFolder makes a folder in a directory, and that, unless they are there. They are
// this user's only, but in a directory that a group shares (mode 2770) the group's.
func makeFolder(dir, name string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	parent, err := os.Stat(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	err = os.Mkdir(path, 0o700)
	switch mode := parent.Mode(); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err == nil && mode&os.ModeSetgid != 0 && mode&0o070 == 0o070:
		err = os.Chmod(path, os.ModeSetgid|0o770)
	}
	return err
}

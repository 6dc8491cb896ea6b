package session

import (
	"errors"
	"io/fs"
	"path"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// LockFile is the name of the file that is always in a session's folder. Where
// bytes have no locks it is what the session locks.
const LockFile = "lock"

// Folder returns the folder of a session, below the store's directory.
func (s *Sessions) Folder(name string) string { return path.Join(s.Root, name) }

// InFolder calls fn with the folder of this store's session, and again if fn has
// failed because there is none.
func (s *Sessions) InFolder(fn func(folder string) error) error {
	own, _, err := s.Begin()
	if err != nil {
		return err
	}
	if err = fn(s.Folder(own)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.Check() // it may have gone with the session
	if own, _, err = s.Begin(); err != nil {
		return err
	}
	if err := makeFolder(s.Dir, s.Folder(own)); err != nil {
		return err
	}
	return fn(s.Folder(own))
}

// makeFolder makes the folder of a session.
func makeFolder(dir *osfs.Dir, folder string) (err error) {
	for range 100 {
		if err = dir.MkdirAll(folder); err == nil {
			var f *osfs.File
			if f, err = dir.Shared(path.Join(folder, LockFile)); err == nil {
				return f.Close()
			}
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		// Another process has just removed the folder above, which was empty.
	}
	return err
}

// Ended returns the sessions that have ended and left a folder. What is there
// besides is none of the store's.
func (s *Sessions) Ended() (names []string, err error) {
	entries, err := s.Dir.ReadDir(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || !isName(e.Name()) {
			continue
		}
		alive, err := s.Alive(e.Name())
		if err != nil {
			return nil, err
		}
		if !alive && s.live.sweepable(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Remove removes what a session left that has ended: what sessions make, and
// nothing else. Several processes may do so at a time.
func (s *Sessions) Remove(name string) error {
	folder := s.Folder(name)
	entries, err := s.Dir.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	foreign := false
	for _, e := range entries {
		if e.Name() == LockFile { // last
			continue
		}
		gone, err := s.Discard(path.Join(folder, e.Name()), e.IsDir())
		foreign = foreign || !gone
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || foreign {
		return err
	}
	return s.removeFolder(folder)
}

// removeFolder removes the folder of a session, in which there is only the lock.
func (s *Sessions) removeFolder(folder string) error {
	return errors.Join(s.Dir.RemoveIfThere(path.Join(folder, LockFile)), s.Dir.RemoveIfThere(folder))
}

// removeOwnFolder removes the folder of this store's session. A temporary file that is still
// there stays with it: by its name the next sweep finds a value without a row.
func (s *Sessions) removeOwnFolder(name string) {
	folder := s.Folder(name)
	entries, err := s.Dir.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err == nil && len(entries) <= 1:
		err = s.removeFolder(folder)
	case err == nil:
		err = errors.New("there are temporary files")
	}
	if err != nil {
		s.Log.Warn("files of the session stay until the next sweep", "error", err)
	}
}

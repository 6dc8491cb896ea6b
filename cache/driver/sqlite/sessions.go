package sqlite

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// sessions is this core's session, and the way to those of others.
//
// A session is a folder with a file on which its process holds a lock that the
// kernel takes away when the process ends, however that happens. Whoever wants
// to know whether the session lives tries to lock the file. Beside it lie the
// values that the session is writing. The folder comes into being when it is
// first needed, so that opening a store writes nothing, and is never empty:
// DiskCache's check warns of empty folders and removes them.
type sessions struct {
	dir      *osfs.Dir
	readOnly bool // nothing is written to the directory
	id       string

	mu   sync.Mutex
	f    *osfs.File // locked; nil until needed
	done bool
}

// sessionLock is the name of the file that is locked.
const sessionLock = "lock"

func (s *sessions) init(dir *osfs.Dir, readOnly bool) {
	s.dir, s.readOnly = dir, readOnly
	var id [12]byte
	rand.Read(id[:])
	s.id = hex.EncodeToString(id[:])
}

// folder and file return names below the store's directory.
func (s *sessions) folder(id string) string { return path.Join(sessionsName, id) }
func (s *sessions) file(id string) string   { return path.Join(sessionsName, id, sessionLock) }

// isSessionName reports whether a session may be called that.
func isSessionName(id string) bool { return isHex(id, 24) }

// isHex reports whether s is n digits as hex.EncodeToString writes them.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// begin makes the session known to others.
func (s *sessions) begin() error {
	if s.done {
		return driver.ErrClosed
	}
	if s.f != nil {
		return nil
	}
	// Whoever clears away sessions that have ended may take this one for one
	// of them before its lock is there.
	for {
		err := s.dir.MkdirAll(s.folder(s.id))
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has just removed the root, which was empty
		}
		if err != nil {
			return err
		}
		f, err := s.dir.Shared(s.file(s.id))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		ok, err := f.TryLock()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if ok && s.dir.Has(f, s.file(s.id)) {
			s.f = f
			return nil
		}
		f.Close()
	}
}

// tempDir returns the folder for this session's temporary files.
func (s *sessions) tempDir() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.folder(s.id), s.begin()
}

// alive reports whether a session lives.
func (s *sessions) alive(id string) (bool, error) {
	if !isSessionName(id) {
		return false, nil // no session was ever called that
	}
	if s.mine(id) {
		return true, nil
	}
	// For reading, so that those who are told when it is closed by somebody
	// who could write, are not told of this.
	f, err := s.dir.ReadShared(s.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, translate(err)
	}
	defer f.Close()
	// Shared, so that those who ask do not take each other for the session.
	ok, err := f.TryLockShared()
	return !ok, translate(err)
}

func (s *sessions) mine(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return id == s.id && s.f != nil
}

// ifEnded calls fn if a session, of which there is a folder, has ended, and
// holds its lock meanwhile: a session that is just beginning waits for that,
// and begins its folder anew.
func (s *sessions) ifEnded(id string, fn func() error) error {
	if s.mine(id) {
		return nil
	}
	if s.readOnly {
		if alive, err := s.alive(id); alive || err != nil {
			return err
		}
		return fn()
	}
	f, err := s.dir.Shared(s.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has just been cleared away
	}
	if err != nil {
		return translate(err)
	}
	defer f.Close()
	ok, err := f.TryLock()
	if err != nil || !ok || !s.dir.Has(f, s.file(id)) {
		return translate(err)
	}
	return fn()
}

// isSessionFile reports whether a session may have made what is in its folder
// beside its lock: a value, or a backup's folder of links.
func isSessionFile(e fs.DirEntry) bool {
	if e.IsDir() {
		return isHoldName(e.Name())
	}
	return len(finalNames(e.Name())) > 0
}

// remove removes what a session left that has ended: what sessions make, and
// nothing else. The caller holds its lock.
func (s *sessions) remove(id string) error {
	folder := s.folder(id)
	entries, err := s.dir.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	strange := false
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		switch {
		case e.Name() == sessionLock: // last
		case !isSessionFile(e):
			strange = true
		case e.IsDir():
			gone, err := removeHold(s.dir, name)
			strange = strange || !gone
			errs = append(errs, err)
		default:
			errs = append(errs, s.dir.RemoveIfThere(name))
		}
	}
	if err := errors.Join(errs...); err != nil || strange {
		return err
	}
	return errors.Join(s.dir.RemoveIfThere(s.file(id)), s.dir.RemoveIfThere(folder))
}

// others returns the sessions that have a folder, without this one. What is
// there besides is none of the project's.
func (s *sessions) others() ([]string, error) {
	entries, err := s.dir.ReadDir(sessionsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && isSessionName(e.Name()) && e.Name() != s.id {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}

// close ends the session.
func (s *sessions) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	if s.f == nil {
		return nil
	}
	// Removed before it is unlocked: a file that can be locked and is there
	// is that of a session which died.
	err := s.dir.RemoveIfThere(s.file(s.id))
	err = errors.Join(err, s.f.Close())
	for range 100 { // whoever looks for sessions that have ended makes a lock there
		rerr := s.dir.RemoveIfThere(s.folder(s.id))
		if rerr == nil {
			break
		}
		if s.dir.RemoveIfThere(s.file(s.id)) != nil {
			break
		}
	}
	s.dir.Remove(sessionsName) // stays if others use it
	s.f = nil
	return err
}

// Session implements [driver.Store]. Where the session cannot be made known to
// others (a full disk, a read-only store), they will take it for ended.
func (s *Store) Session() string {
	ss := &s.core.sessions
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if !s.ReadOnly() {
		if err := ss.begin(); err != nil {
			s.core.log.Warn("session cannot be made known", "error", err)
		}
	}
	return ss.id
}

package sqlite

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
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
	root     string // of all sessions
	readOnly bool   // nothing is written to the directory
	id       string

	mu   sync.Mutex
	f    *os.File // locked; nil until needed
	done bool
}

// sessionLock is the name of the file that is locked.
const sessionLock = "lock"

func (s *sessions) init(dir string, readOnly bool) {
	s.readOnly = readOnly
	var id [12]byte
	rand.Read(id[:])
	s.root, s.id = filepath.Join(dir, sessionsName), hex.EncodeToString(id[:])
}

func (s *sessions) folder(id string) string { return filepath.Join(s.root, id) }
func (s *sessions) file(id string) string   { return filepath.Join(s.root, id, sessionLock) }

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
		err := os.MkdirAll(s.folder(s.id), 0o700)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has just removed the root, which was empty
		}
		if err != nil {
			return err
		}
		f, err := os.OpenFile(s.file(s.id), os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		ok, err := tryLockFile(f)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if ok && sameFile(f, s.file(s.id)) {
			s.f = f
			return nil
		}
		f.Close()
	}
}

// sameFile reports whether f is what the path leads to.
func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// tempDir returns the folder for this session's temporary files.
func (s *sessions) tempDir() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.folder(s.id), s.begin()
}

// alive reports whether a session lives.
func (s *sessions) alive(id string) (bool, error) {
	if filepath.Base(id) != id || id == "." || id == ".." {
		return false, nil // no session was ever called that
	}
	if s.mine(id) {
		return true, nil
	}
	// For reading, so that those who are told when it is closed by somebody
	// who could write, are not told of this.
	f, err := os.Open(s.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, translate(err)
	}
	defer f.Close()
	// Shared, so that those who ask do not take each other for the session.
	ok, err := tryLockFileShared(f)
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
	f, err := os.OpenFile(s.file(id), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has just been cleared away
	}
	if err != nil {
		return translate(err)
	}
	defer f.Close()
	ok, err := tryLockFile(f)
	if err != nil || !ok || !sameFile(f, s.file(id)) {
		return translate(err)
	}
	return fn()
}

// others returns the sessions that have a folder, without this one.
func (s *sessions) others() ([]string, error) {
	entries, err := os.ReadDir(s.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if e.Name() != s.id {
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
	err := removeIfThere(s.file(s.id))
	err = errors.Join(err, s.f.Close())
	for range 100 { // whoever looks for sessions that have ended makes a lock there
		rerr := removeIfThere(s.folder(s.id))
		if rerr == nil {
			break
		}
		if removeIfThere(s.file(s.id)) != nil {
			break
		}
	}
	os.Remove(s.root) // stays if others use it
	s.f = nil
	return err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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

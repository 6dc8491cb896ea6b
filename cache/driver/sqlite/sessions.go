package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// sessions is this core's session, and the way to those of others.
//
// A session is a file on which its process holds a lock that the kernel takes
// away when the process ends, however that happens. Whoever wants to know
// whether the session lives tries to lock the file. The file and the folder
// for temporary values come into being when they are first needed, so that
// opening a store writes nothing.
type sessions struct {
	dir string // of the store
	id  string

	mu   sync.Mutex
	f    *os.File // locked; nil until needed
	temp bool     // the folder exists
	done bool
}

func (s *sessions) init(dir string) {
	var id [12]byte
	rand.Read(id[:])
	s.dir, s.id = dir, hex.EncodeToString(id[:])
}

func (s *sessions) file(id string) string { return filepath.Join(s.dir, sessionsName, id) }

// begin makes the session known to others.
func (s *sessions) begin() error {
	if s.done {
		return driver.ErrClosed
	}
	if s.f != nil {
		return nil
	}
	// Whoever looks for sessions that have ended removes files that are not
	// locked, perhaps this one before its lock is there.
	for {
		if err := os.MkdirAll(filepath.Join(s.dir, sessionsName), 0o700); err != nil {
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
	if err := s.begin(); err != nil {
		return "", err
	}
	dir := filepath.Join(s.dir, tempName, s.id)
	if s.temp {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	s.temp = true
	return dir, nil
}

// alive reports whether a session lives, and clears away one that does not.
func (s *sessions) alive(id string) (bool, error) {
	if filepath.Base(id) != id || id == "." || id == ".." {
		return false, nil // no session was ever called that
	}
	s.mu.Lock()
	mine := id == s.id && s.f != nil
	s.mu.Unlock()
	if mine {
		return true, nil
	}
	f, err := os.OpenFile(s.file(id), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, translate(err)
	}
	defer f.Close()
	ok, err := tryLockFile(f)
	if err != nil || !ok {
		return true, translate(err)
	}
	if sameFile(f, s.file(id)) {
		os.Remove(s.file(id))
	}
	return false, nil
}

// close ends the session.
func (s *sessions) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	var errs []error
	if s.temp {
		errs = append(errs, removeIfThere(filepath.Join(s.dir, tempName, s.id)))
		os.Remove(filepath.Join(s.dir, tempName)) // stays if others use it
	}
	if s.f != nil {
		errs = append(errs, removeIfThere(s.file(s.id)), s.f.Close())
		os.Remove(filepath.Join(s.dir, sessionsName))
		s.f = nil
	}
	return errors.Join(errs...)
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

// Alive implements [driver.Store].
func (s *Store) Alive(ctx context.Context, session string) (bool, error) {
	if err := s.gate.enter(); err != nil {
		return false, err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return s.core.sessions.alive(session)
}

// awaitEvery is how often AwaitEnd looks. A look is two system calls; nobody
// tells when a lock is given up but to the one who waits for it, and such a
// wait could not be ended with the context.
const awaitEvery = 20 * time.Millisecond

// AwaitEnd implements [driver.Store].
func (s *Store) AwaitEnd(ctx context.Context, session string) error {
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for {
		if ok, err := s.Alive(ctx, session); err != nil || !ok {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.core.watches.closed:
			return fmt.Errorf("while waiting for a session: %w", driver.ErrClosed)
		}
	}
}

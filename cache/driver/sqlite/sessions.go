package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// sessions is this core's session, and the way to those of others.
//
// A session lives as long as life shows it. It has a folder too, for the values
// that it is writing: a folder of a session that has ended was left behind. The
// folder comes into being when it is first needed, so that opening a store writes
// nothing, and again if somebody has removed it. It is never empty: DiskCache's
// check warns of empty folders and removes them.
type sessions struct {
	core *core
	life life

	mu   sync.Mutex
	own  *session // nil until needed, and after it was lost
	done bool
}

// session is a session of this core.
type session struct {
	name string
	lost chan struct{}
}

// sessionLock is the name of the file that is always in a session's folder, and
// that fileLife locks.
const sessionLock = "lock"

// noByteLocks has tests do without locks on bytes.
var noByteLocks bool

func (s *sessions) init(c *core) error {
	s.core, s.life = c, &byteLife{c.dbFile}
	_, err := s.life.alive(strings.Repeat("0", 2*nameSize))
	if noByteLocks || errors.Is(err, errors.ErrUnsupported) {
		s.life, err = &fileLife{dir: c.files}, nil
	}
	return err
}

// folder returns a name below the store's directory.
func (s *sessions) folder(name string) string { return path.Join(sessionsName, name) }

// isHex reports whether s is n digits as hex.EncodeToString writes them.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// begin returns this core's session, and begins one if need be.
func (s *sessions) begin() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.done:
		return nil, driver.ErrClosed
	case s.own != nil:
		return s.own, nil
	case s.core.opts.ReadOnly:
		return nil, driver.ErrReadOnly
	}
	if err := s.core.present(); err != nil {
		return nil, err // others look at another file
	}
	for {
		b := make([]byte, nameSize)
		rand.Read(b)
		own := &session{hex.EncodeToString(b), make(chan struct{})}
		ok, err := s.life.begin(own.name)
		if err != nil {
			return nil, fmt.Errorf("other processes cannot be shown that this one lives, and without that nothing can be held: %w", translate(err))
		}
		if ok {
			s.own = own
			s.core.ends.guard(true)
			return own, nil
		}
	}
}

// mine reports whether a session is this core's.
func (s *sessions) mine(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own != nil && s.own.name == name
}

// check loses the session if others do not see it alive any more: another file is
// in the place of the database, or of what shows it.
func (s *sessions) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil && (s.core.present() != nil || !s.life.kept(s.own.name)) {
		s.core.log.Warn("the session is lost, and with it what was held")
		s.lose()
	}
}

// lose ends the session while the store is open, if there is one. The caller
// holds mu.
func (s *sessions) lose() {
	if s.own == nil {
		return
	}
	close(s.own.lost)
	if err := s.life.end(s.own.name); err != nil {
		s.core.log.Warn("others may see a session alive that is lost", "error", err)
	}
	s.own = nil
	s.core.ends.guard(false)
	cores.mu.Lock()
	defer cores.mu.Unlock()
	for _, c := range cores.list { // the file system does not tell
		signal(c.ends.told)
	}
}

// inFolder calls fn with the folder of this core's session, and again if fn has
// failed because there is none.
func (s *sessions) inFolder(fn func(folder string) error) error {
	own, err := s.begin()
	if err != nil {
		return err
	}
	if err = fn(s.folder(own.name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.check() // it may have gone with the session
	if own, err = s.begin(); err != nil {
		return err
	}
	if err := makeFolder(s.core.files, s.folder(own.name)); err != nil {
		return err
	}
	return fn(s.folder(own.name))
}

// makeFolder makes the folder of a session.
func makeFolder(dir *osfs.Dir, folder string) (err error) {
	for range 100 {
		if err = dir.MkdirAll(folder); err == nil {
			var f *osfs.File
			if f, err = dir.Shared(path.Join(folder, sessionLock)); err == nil {
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

// alive reports whether a session lives.
func (s *sessions) alive(name string) (bool, error) {
	if s.mine(name) {
		return true, nil
	}
	ok, err := s.life.alive(name)
	return ok, translate(err)
}

// ended returns the sessions that have ended and left a folder. What is there
// besides is none of the project's.
func (s *sessions) ended() (names []string, err error) {
	entries, err := s.core.files.ReadDir(sessionsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, translate(err)
	}
	for _, e := range entries {
		if !e.IsDir() || !isSessionName(e.Name()) {
			continue
		}
		alive, err := s.alive(e.Name())
		if err != nil {
			return nil, err
		}
		if !alive && s.life.sweepable(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
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
// nothing else. Several processes may do so at a time.
func (s *sessions) remove(name string) error {
	dir, folder := s.core.files, s.folder(name)
	entries, err := dir.ReadDir(folder)
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
			gone, err := removeHold(dir, name)
			strange = strange || !gone
			errs = append(errs, err)
		default:
			errs = append(errs, dir.RemoveIfThere(name))
		}
	}
	if err := errors.Join(errs...); err != nil || strange {
		return err
	}
	return errors.Join(dir.RemoveIfThere(path.Join(folder, sessionLock)), dir.RemoveIfThere(folder))
}

// close ends the session.
func (s *sessions) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	if s.own == nil {
		return nil
	}
	err := s.life.end(s.own.name)
	s.leave(s.own.name)
	s.core.files.Remove(sessionsName) // stays if others use it
	s.own = nil
	return err
}

// leave removes the folder of this core's session. A temporary file that is still
// there stays with it: by its name the next sweep finds a value without a row.
func (s *sessions) leave(name string) {
	dir, folder := s.core.files, s.folder(name)
	entries, err := dir.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err == nil && len(entries) <= 1:
		err = errors.Join(dir.RemoveIfThere(path.Join(folder, sessionLock)), dir.RemoveIfThere(folder))
	case err == nil:
		err = errors.New("there are temporary files")
	}
	if err != nil {
		s.core.log.Warn("files of the session stay until the next sweep", "error", err)
	}
}

// Session implements [driver.Store]. The session is lost when the directory, or
// the database in it, is removed or replaced.
func (s *Store) Session(ctx context.Context) (name string, lost <-chan struct{}, err error) {
	if err := s.gate.enter(); err != nil {
		return "", nil, err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return "", nil, context.Cause(ctx)
	}
	own, err := s.core.sessions.begin()
	if err != nil {
		return "", nil, err
	}
	return own.name, own.lost, nil
}

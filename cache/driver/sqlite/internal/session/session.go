// Package session tells which processes live, of those that have a store open.
//
// A session is one process's use of a store, from the first time that something
// needs it until the store is closed or the process dies. Others ask whether it is
// alive, or are told when it has ended. Neither a process id nor a clock is
// trusted: a lock decides, which the kernel takes away.
//
// A session has a folder too, for the files that it is writing: a folder of a
// session that has ended was left behind. The folder comes into being when it is
// first needed, so that opening a store writes nothing, and again if somebody has
// removed it. It is never empty: DiskCache's check warns of empty folders and
// removes them.
//
// The package owns the locks that show which sessions live, their folders, and the goroutine
// that watches. It does not know what is in the folders, nor what a session holds.
// Lock order: Sessions.mu, and then fileLocks.mu or watcher.mu, and after that runningWatchers.
package session

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Options say where sessions are.
type Options struct {
	Dir      *osfs.Dir  // of the store
	Root     string     // the folder in it that has those of sessions
	Database *osfs.File // bytes of it are locked, where bytes can be
	ReadOnly bool       // no session can begin
	Log      *slog.Logger

	// Present fails if the database is no longer the file under its name: other
	// processes look at another one.
	Present func() error

	// Subscribe has closed called when the database may have been closed by another
	// process, which is how sessions end, until stop. Nil or an error: nobody tells.
	Subscribe func(closed func()) (stop func(), err error)

	// LookEvery is how often the watcher looks although Subscribe tells.
	LookEvery time.Duration

	// Discard removes what a session that has ended has left in its folder. It
	// reports false if that is nothing that sessions make, and has left it then.
	Discard func(path string, isFolder bool) (gone bool, err error)

	// LockFiles has sessions lock a file each also where bytes can be locked.
	LockFiles bool
}

// Sessions is the session of one open store, and the way to those of others.
type Sessions struct {
	Options
	live    liveness
	watcher watcher

	mu     sync.Mutex
	own    *session // nil until needed, and after it was lost
	closed bool
}

// session is the one of this store.
type session struct {
	name string
	lost chan struct{}
}

// Open returns the sessions of a store, of which this process has none yet.
func Open(o Options) (*Sessions, error) {
	var live liveness = &byteLocks{o.Database}
	_, err := live.alive(strings.Repeat("0", 2*nameSize))
	if o.LockFiles || errors.Is(err, errors.ErrUnsupported) {
		live, err = &fileLocks{dir: o.Dir, root: o.Root}, nil
	}
	if err != nil {
		return nil, err
	}
	return newSessions(o, live), nil
}

func newSessions(o Options, live liveness) *Sessions {
	s := &Sessions{Options: o, live: live}
	s.watcher.init(s)
	return s
}

// Begin returns this store's session, and begins one if need be. lost is closed
// if others do not see it alive any more while the store is open.
func (s *Sessions) Begin() (name string, lost <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return "", nil, driver.ErrClosed
	case s.own != nil:
		return s.own.name, s.own.lost, nil
	case s.ReadOnly:
		return "", nil, driver.ErrReadOnly
	}
	if err := s.Present(); err != nil {
		return "", nil, err
	}
	for {
		b := make([]byte, nameSize)
		rand.Read(b)
		own := &session{hex.EncodeToString(b), make(chan struct{})}
		ok, err := s.live.begin(own.name)
		if err != nil {
			return "", nil, fmt.Errorf("other processes cannot be shown that this one lives, and without that nothing can be held: %w", err)
		}
		if ok {
			s.own = own
			s.watcher.guard(true)
			return own.name, own.lost, nil
		}
	}
}

// mine reports whether a session is this store's.
func (s *Sessions) mine(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own != nil && s.own.name == name
}

// Alive reports whether a session lives.
func (s *Sessions) Alive(name string) (bool, error) {
	if s.mine(name) {
		return true, nil
	}
	return s.live.alive(name)
}

// Check loses the session if others do not see it alive any more: another file is
// in the place of the database, or of what shows it. The watcher calls it, too.
func (s *Sessions) Check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil && (s.Present() != nil || !s.live.stillSeen(s.own.name)) {
		s.Log.Warn("the session is lost, and with it what was held")
		s.lose()
	}
}

// Lose ends the session as if Check had found it lost, if there is one. It is for tests.
func (s *Sessions) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose()
}

// lose is Lose for a caller that holds mu.
func (s *Sessions) lose() {
	if s.own == nil {
		return
	}
	close(s.own.lost)
	if err := s.live.end(s.own.name); err != nil {
		s.Log.Warn("others may see a session alive that is lost", "error", err)
	}
	s.own = nil
	s.watcher.guard(false)
	lookAll() // nobody tells of it
}

// Close ends the session.
func (s *Sessions) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.own == nil {
		return nil
	}
	err := s.live.end(s.own.name)
	s.removeOwnFolder(s.own.name)
	s.Dir.Remove(s.Root) // stays if others use it
	s.own = nil
	return err
}

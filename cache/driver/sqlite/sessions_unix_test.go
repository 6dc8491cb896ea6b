//go:build unix

package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/codec"
)

func sessionOf(t *testing.T, s *Store) (name string, lost <-chan struct{}) {
	t.Helper()
	name, lost, err := s.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return name, lost
}

// Where bytes cannot be locked, a session locks a file, which somebody may remove
// or keep it from making.
func TestConformanceOfLockFiles(t *testing.T) {
	if raceEnabled {
		return // the race detector finds the same in TestConformance
	}
	h := harness(Options{lockFiles: true})
	h.LoseSession = func(s driver.Store) {
		c := s.(*Store).core
		if err := os.RemoveAll(c.path(sessionsName)); err != nil {
			t.Error(err)
		}
		c.sessions.Check()
	}
	h.RefuseSession = func(s driver.Store) (allow func()) {
		root := s.(*Store).core.path(sessionsName)
		if err := os.WriteFile(root, nil, 0o600); err != nil {
			t.Error(err)
		}
		return func() {
			if err := os.Remove(root); err != nil {
				t.Error(err)
			}
		}
	}
	drivertest.Run(t, h)
}

// Nobody who removes what a session has in the directory ends it, and values can
// be written into files afterwards.
func TestSessionFolderRemoved(t *testing.T) {
	for _, files := range []bool{false, true} {
		dir := t.TempDir()
		s, other := open(t, dir, &Options{lockFiles: files}), open(t, dir, &Options{ReadOnly: true, lockFiles: files})
		c := collectionOf(t, s, "")
		name, lost := sessionOf(t, s)
		for range 3 {
			putFile(t, s, c, "k", "content")
			if err := os.RemoveAll(filepath.Join(dir, sessionsName)); err != nil {
				t.Fatal(err)
			}
			putFile(t, s, c, "k", "content")
			if err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "backup")); err != nil {
				t.Error(err)
			}
		}
		alive, err := other.Alive(t.Context(), name)
		if alive == files || err != nil {
			t.Errorf("Alive is %v, %v", alive, err)
		}
		if closed(lost) != files {
			t.Errorf("lost: %v", closed(lost))
		}
	}
}

// A session is lost with the store that it is of.
func TestSessionLostWithStore(t *testing.T) {
	for _, files := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "store")
		s, err := Open(t.Context(), dir, &Options{lockFiles: files})
		if err != nil {
			t.Fatal(err)
		}
		name, lost := sessionOf(t, s)
		s.core.sessions.Check()
		if closed(lost) {
			t.Error("lost without a reason")
		}
		if err := os.Rename(dir, dir+".old"); err != nil {
			t.Fatal(err)
		}
		other := open(t, dir, &Options{lockFiles: files})
		if alive, err := other.Alive(t.Context(), name); alive || err != nil {
			t.Errorf("alive in another store: %v, %v", alive, err)
		}
		s.core.sessions.Check()
		if !closed(lost) {
			t.Error("not lost")
		}
		if _, _, err := s.Session(t.Context()); !errors.Is(err, driver.ErrNotStore) {
			t.Errorf("another session: %v", err)
		}
		if _, err := s.Create(t.Context(), codec.Blob); !errors.Is(err, driver.ErrNotStore) {
			t.Errorf("Create: %v", err)
		}
		s.Close()
	}
}

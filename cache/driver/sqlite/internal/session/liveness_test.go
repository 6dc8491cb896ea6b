package session

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Names of sessions have the form that a session gives them, and no two the same
// byte.
func TestByteOf(t *testing.T) {
	const name = "0123456789abcdef01234567"
	at, ok := byteOf(name)
	if !ok || at != 0x4123456789abcdef {
		t.Errorf("%x, %v", at, ok)
	}
	for _, bad := range []string{"", "0", name[:22], name + "00", strings.ToUpper(name), strings.Repeat("x", 24), "../" + name[3:], "."} {
		if at, ok := byteOf(bad); ok {
			t.Errorf("%q has byte %x", bad, at)
		}
	}
	if at, ok := byteOf(strings.Repeat("f", 24)); !ok || at < 0 {
		t.Errorf("%x, %v", at, ok)
	}
}

func openDir(t *testing.T) (*osfs.Dir, string) {
	t.Helper()
	path := t.TempDir()
	dir, err := osfs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir, path
}

func openFiles(t *testing.T, dir *osfs.Dir) *Sessions {
	t.Helper()
	db, err := dir.Shared("db")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{
		Dir: dir, Root: "sessions", Database: db, LockFiles: true, LookEvery: time.Minute,
		Log: slog.New(slog.DiscardHandler), Present: func() error { return nil },
		Discard: func(path string, isFolder bool) (bool, error) {
			if !strings.HasSuffix(path, ".val") {
				return false, nil
			}
			return true, dir.Remove(path)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.EndWatches()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	return s
}

// A file that others may have made and not locked yet belongs to no session that
// has ended, for a while.
func TestSweepable(t *testing.T) {
	dir, path := openDir(t)
	s := openFiles(t, dir)
	folder := s.Folder(otherName)
	if err := makeFolder(dir, folder); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{LockFile, "value.val"} {
		if err := os.WriteFile(filepath.Join(path, folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ended := func() int {
		t.Helper()
		names, err := s.Ended()
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	if n := ended(); n != 0 {
		t.Errorf("%d sessions have ended that may be beginning", n)
	}
	old := time.Now().Add(-2 * beginsWithin)
	if err := os.Chtimes(filepath.Join(path, folder, LockFile), old, old); err != nil {
		t.Fatal(err)
	}
	if n := ended(); n != 1 {
		t.Errorf("%d sessions have ended", n)
	}
	foreign := filepath.Join(path, folder, "notes")
	for _, left := range []bool{true, false} {
		if left {
			if err := os.WriteFile(foreign, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Remove(otherName); err != nil {
			t.Error(err)
		}
		_, err := os.Lstat(filepath.Join(path, folder))
		if left != (err == nil) {
			t.Errorf("left %v: %v", left, err)
		}
		os.Remove(foreign)
	}
}

// The file of a session is used now and then, or programs that clear away
// temporary files would remove it.
func TestLockFileUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, path := openDir(t)
		s := openFiles(t, dir)
		name, lost, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(path, s.Folder(name), LockFile)
		for after, want := range []int64{0, 1} {
			time.Sleep(time.Duration(after) * (useEvery + 2*time.Minute))
			if info, err := os.Stat(file); err != nil || info.Size() != want {
				t.Errorf("after %v hours: %v, %v", after, info, err)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if !closed(lost) {
			t.Error("a session without its file is not lost")
		}
	})
}

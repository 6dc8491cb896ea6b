package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
)

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A sweep looks for rows of those files only that have got their names in the
// store, and for all of them at once; meanwhile sessions that have ended are seen
// ended. Files that are none of a session's stay.
func TestSweepOfMany(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	<-s.core.maintainer.swept
	c := collectionOf(t, s, "named")
	var kept []driver.Row
	var made []string
	write := func(name string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(s.core.path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.core.path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		made = append(made, name)
	}
	foreign := []string{sessionsName + "/notes", sessionsName + "/other/notes", sessionsName + "/" + strings.Repeat("F", 24) + "/notes"}
	for _, name := range foreign {
		write(name)
	}
	var dead []string
	for _, name := range []string{strings.Repeat("d", 24), strings.Repeat("e", 24)} {
		dead = append(dead, name)
		folder := sessionsName + "/" + name + "/"
		write(folder + session.LockFile)
		for i := range 16 {
			half := name[:1] + strings.Repeat("0", 29) + string("0123456789abcdef"[i]) + "0"
			write(folder + half + ".val") // half written
			placed := half[:31] + "1"
			write(folder + placed + ".val") // without a row
			write(valuefile.FinalNames(valuesName, placed+".val")[0])
			r := putFile(t, s, c, name+half, "content")
			kept = append(kept, r)
			write(folder + strings.ReplaceAll(strings.TrimPrefix(r.File, valuesName+"/"), "/", "")) // with one
		}
	}
	found := make(map[string]bool)
	for _, name := range dead {
		if err := s.core.values.Placed(s.core.sessions.Folder(name), found); err != nil {
			t.Fatal(err)
		}
	}
	if len(found) != 2*2*16 {
		t.Errorf("rows of %d files are looked for", len(found))
	}
	if err := s.core.maintainer.dropUsed(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2*16 {
		t.Errorf("%d files have no row", len(found))
	}

	second := open(t, dir, nil) // of the same core: it does not sweep
	reader := open(t, dir, &Options{ReadOnly: true})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		s.core.maintainer.sweep()
	}()
	for over := false; !over; over = closed(swept) {
		for _, name := range dead {
			for _, s := range []*Store{second, reader} {
				if alive, err := s.Alive(t.Context(), name); alive || err != nil {
					t.Fatalf("alive while its left-overs are swept: %v, %v", alive, err)
				}
			}
		}
	}
	<-swept
	for _, name := range made {
		_, err := os.Lstat(s.core.path(name))
		stays := strings.HasSuffix(name, "/notes")
		if stays != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range kept {
		if f, err := s.OpenFile(t.Context(), c, r); err != nil {
			t.Error(err)
		} else {
			f.Close()
		}
	}
}

// The folder of sessions goes also if a process died when it had none of its own in it.
func TestEmptyFolderOfSessions(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, sessionsName), 0o700); err != nil {
		t.Fatal(err)
	}
	s.core.maintainer.sweep()
	if _, err := os.Stat(filepath.Join(dir, sessionsName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder stays: %v", err)
	}
	// With anything in it, it stays.
	if err := os.MkdirAll(filepath.Join(dir, sessionsName, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.core.maintainer.sweep()
	if _, err := os.Stat(filepath.Join(dir, sessionsName, "a")); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

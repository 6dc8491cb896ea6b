package valuefile

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// store has value files, and what their user knows.
type store struct {
	*Files
	t       *testing.T
	path    string
	gone    error                   // what Present says
	fail    func(op *osfs.Op) error // instead of an access
	room    int                     // how often MakeRoom makes some
	emptied []int64
}

const (
	folder  = "values"
	session = "sessions/one"
)

func newStore(t *testing.T) *store {
	s := &store{t: t, path: t.TempDir()}
	t.Cleanup(osfs.SetHook(s.path, func(op *osfs.Op, do func() error) error {
		if s.fail != nil {
			if err := s.fail(op); err != nil {
				return err
			}
		}
		return do()
	}))
	dir, err := osfs.Open(s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	s.Files = New(Options{
		Dir: dir, Folder: folder, Log: slog.New(slog.DiscardHandler),
		Present: func() error { return s.gone },
		IsName:  func(rel string) bool { return filepath.IsLocal(rel) && rel != "database" },
		InSession: func(fn func(folder string) error) error {
			err := fn(session)
			if errors.Is(err, fs.ErrNotExist) {
				err = errors.Join(dir.MkdirAll(session), fn(session))
			}
			return err
		},
		MakeRoom: func() bool {
			s.room--
			return s.room >= 0
		},
		Emptied: func(ids []int64) { s.emptied = append(s.emptied, ids...) },
	})
	return s
}

// names returns the files and folders that there are.
func (s *store) names() (files, folders []string) {
	s.t.Helper()
	err := filepath.WalkDir(s.path, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(s.path, name)
		if rel = filepath.ToSlash(rel); rel == "." {
			return err
		}
		if d.IsDir() {
			folders = append(folders, rel)
		} else {
			files = append(files, rel)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files, folders
}

func (s *store) has(want ...string) {
	s.t.Helper()
	files, _ := s.names()
	slices.Sort(want)
	if !slices.Equal(files, want) {
		s.t.Errorf("there is %q, want %q", files, want)
	}
}

func (s *store) write(content string) *File {
	s.t.Helper()
	f, err := s.Create()
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := fmt.Fprint(f, content); err != nil {
		s.t.Fatal(err)
	}
	if err := f.Finish(); err != nil {
		s.t.Fatal(err)
	}
	return f
}

// A file has a temporary name, then both, and then the one that its row has; or none,
// if there is no row.
func TestFile(t *testing.T) {
	for _, named := range []bool{false, true} {
		s := newStore(t)
		f := s.write("content")
		temp := f.temp
		s.has(temp)
		if f.Size() != 7 || f.Session() != path.Base(session) {
			t.Errorf("%d bytes of session %s", f.Size(), f.Session())
		}
		if err := f.Place(named); err != nil {
			t.Fatal(err)
		}
		final := f.Path()
		s.has(temp, final)
		if !slices.Contains(FinalNames(folder, path.Base(temp)), final) || strings.HasPrefix(final, folder+"/") != named {
			t.Errorf("named %v: %s has become %s", named, temp, final)
		}
		if err := f.Place(named); err == nil {
			t.Error("put twice")
		}
		f.Unplace()
		if s.has(temp); f.Path() != "" {
			t.Error("a name without a row:", f.Path())
		}
		if err := f.Place(named); err != nil {
			t.Fatal("again, as in a second run of a transaction:", err)
		}
		var left Trash
		f.Keep(&left)
		f.Unplace()
		f.Discard()
		s.has(temp, final)
		if left.Names() != 1 || left.Old() != 0 || left.Bytes() != 7 {
			t.Errorf("left %+v", left)
		}
		s.Empty(left)
		s.has(final)
		r, err := s.Dir.Read(final)
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := Checksum(r); err != nil || sum != f.Sum() {
			t.Errorf("checksum %x, want %x: %v", sum, f.Sum(), err)
		}
		r.Close()

		if err := s.Remove(final); err != nil {
			t.Error(err)
		}
		if _, folders := s.names(); !slices.Equal(folders, []string{"sessions", session}) {
			t.Errorf("empty folders stay: %q", folders)
		}
		if err := s.Remove(final); err != nil {
			t.Error("what is not there is removed:", err)
		}
		f = s.write("content")
		if err := f.Place(named); err != nil {
			t.Fatal(err)
		}
		f.Discard()
		s.has()
	}
	s := newStore(t)
	f, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Place(false); err == nil {
		t.Error("put before Finish")
	}
	f.Discard()
	s.has()
	for _, bad := range []string{"database", "../other"} {
		if err := s.Remove(bad); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("%s is removed: %v", bad, err)
		}
	}
}

// Names of temporary files have the form that Create gives them.
func TestFinalNames(t *testing.T) {
	name := strings.Repeat("0123456789abcdef", 2)
	want := []string{"01/23/456789abcdef0123456789abcdef.val", folder + "/01/23/456789abcdef0123456789abcdef.val"}
	if got := FinalNames(folder, name+".val"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, bad := range []string{"", ".val", name, name + ".txt", name[1:] + ".val", name + "00.val", strings.ToUpper(name) + ".val", strings.Repeat("x", 32) + ".val"} {
		if got := FinalNames(folder, bad); got != nil {
			t.Errorf("%q has become %q", bad, got)
		}
	}
}

// What a session that has ended was placing is told, and folders that it made for
// nothing go.
func TestPlaced(t *testing.T) {
	s := newStore(t)
	placed := s.write("placed")
	if err := placed.Place(true); err != nil {
		t.Fatal(err)
	}
	written := s.write("written")
	for _, rel := range FinalNames(folder, path.Base(written.temp)) {
		if err := s.Dir.MkdirAll(path.Dir(rel)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.path, session, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	if err := s.Placed(session, names); err != nil {
		t.Fatal(err)
	}
	if len(names) != 1 || !names[placed.Path()] {
		t.Errorf("placed %v, want %s", names, placed.Path())
	}
	_, folders := s.names()
	want := []string{"sessions", session, folder, folder + "/" + placed.base[:2], path.Dir(placed.Path())}
	if slices.Sort(want); !slices.Equal(folders, want) {
		t.Errorf("there are %q, want %q", folders, want)
	}
	if err := s.Placed("sessions/other", names); err != nil {
		t.Error("another process sweeps too:", err)
	}
	broken := errors.New("the disk is broken")
	s.fail = func(op *osfs.Op) error {
		if op.Name == placed.Path() {
			return broken
		}
		return nil
	}
	if err := s.Placed(session, names); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// Old files stay for views that began before, and for another database.
func TestTrash(t *testing.T) {
	s := newStore(t)
	var id int64
	discard := func() (name string) {
		f := s.write("old")
		if err := f.Place(false); err != nil {
			t.Fatal(err)
		}
		var left Trash
		f.Keep(&left)
		id++
		left.Discard(f.Path(), id)
		s.Empty(left)
		return f.Path()
	}
	discard()
	s.has()
	first := s.EnterView()
	one := discard()
	second := s.EnterView()
	two := discard()
	s.has(one, two)
	if s.LeaveView(first); !s.Viewed() {
		t.Error("nobody views")
	}
	s.has(two)
	if s.LeaveView(second); s.Viewed() {
		t.Error("somebody views")
	}
	s.has()
	// A view that began later does not hold what came before, but one that is
	// older than it does.
	first = s.EnterView()
	one = discard()
	second = s.EnterView()
	s.LeaveView(second)
	s.has(one)
	s.LeaveView(first)
	s.has()
	if want := []int64{1, 2, 3, 4}; !slices.Equal(s.emptied, want) {
		t.Errorf("rows %v are done with, want %v", s.emptied, want)
	}
	s.gone = driver.ErrNotStore
	s.has(discard())
	if len(s.emptied) != 4 {
		t.Error("a row is done with whose file is there")
	}
}

// A folder that cannot be made fails what is to be placed, and leaves no other.
func TestPlaceFails(t *testing.T) {
	s := newStore(t)
	f := s.write("content")
	if err := os.WriteFile(filepath.Join(s.path, folder), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Place(true); err == nil {
		t.Error("placed in a file")
	}
	if f.Path() != "" {
		t.Error("has a name:", f.Path())
	}
	if err := f.Place(false); err != nil || f.IsCopied() {
		t.Error("elsewhere:", f.IsCopied(), err)
	}
	f.Unplace()
	before, _ := s.names()
	noLinks := func(op *osfs.Op) error {
		if op.Kind == osfs.OpLink {
			return syscall.EPERM
		}
		return nil
	}
	s.fail = func(op *osfs.Op) error {
		if op.Kind == osfs.OpCreate {
			return syscall.EIO
		}
		return noLinks(op)
	}
	if err := f.Place(false); !errors.Is(err, syscall.EIO) {
		t.Error("neither linked nor copied:", err)
	}
	s.has(before...)
	if _, folders := s.names(); len(folders) != 2 {
		t.Errorf("folders are left: %q", folders)
	}
	s.fail = noLinks
	if err := f.Place(false); err != nil || !f.IsCopied() {
		t.Error("where there are no links:", f.IsCopied(), err)
	}
	s.has(append(before, f.Path())...)
}

// What cannot be synced is told, and what is gone need not be; a folder concerns all
// that is in it.
func TestSync(t *testing.T) {
	s := newStore(t)
	write := func(name string) string {
		if err := os.MkdirAll(filepath.Join(s.path, path.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.path, name), []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var files []string
	for i := range 2 * syncers {
		files = append(files, write(fmt.Sprintf("a/%d/file", i)))
	}
	linked := write("a/b/linked")
	var mu sync.Mutex
	synced := make(map[string]int)
	broken := errors.New("the disk is broken")
	fail := ""
	s.fail = func(op *osfs.Op) error {
		if op.Kind != osfs.OpSync && op.Kind != osfs.OpSyncFolder {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		synced[op.Name]++
		if op.Name == fail {
			return broken
		}
		return nil
	}
	for bad, want := range map[string]int{"": 0, "a/3/file": 1, "a/3": 1, "a/b": 1, ".": 2*syncers + 3} {
		clear(synced)
		fail = bad
		failed := Sync(s.Dir, append(slices.Clone(files), "a/gone", "c/gone"), []string{linked})
		if len(failed) != want {
			t.Errorf("%q cannot be synced: %d files may be lost, want %d", bad, len(failed), want)
		}
		for name, err := range failed {
			if !errors.Is(err, broken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, name := range append(slices.Clone(files), "a", "a/b", ".") {
			if synced[name] != 1 {
				t.Errorf("%s is synced %d times", name, synced[name])
			}
		}
		if synced[linked] != 0 {
			t.Error("synced what Finish has synced")
		}
	}
}

// On a full disk a file is written where room can be made, and fails where not.
func TestFull(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("its error is another one")
	}
	for _, kind := range []osfs.OpKind{osfs.OpCreate, osfs.OpWrite} {
		for room := range 2 {
			s := newStore(t)
			if err := s.Dir.MkdirAll(session); err != nil {
				t.Fatal(err)
			}
			s.room = room
			s.fail = func(op *osfs.Op) error {
				if op.Kind == kind {
					s.fail = nil
					return syscall.ENOSPC
				}
				return nil
			}
			f, err := s.Create()
			if err == nil {
				_, err = fmt.Fprint(f, "content")
				if e := f.Finish(); !errors.Is(e, err) {
					t.Errorf("Finish says %v, Write %v", e, err)
				}
			}
			if osfs.IsFull(err) != (room == 0) {
				t.Errorf("%s with room for %d: %v", kind, room, err)
			}
			if err == nil && f.Size() != 7 {
				t.Errorf("%d bytes", f.Size())
			}
			if f != nil {
				f.Discard()
			}
			s.has()
		}
	}
}

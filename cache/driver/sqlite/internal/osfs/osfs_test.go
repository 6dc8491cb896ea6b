package osfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func openTest(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func write(t *testing.T, d *Dir, name, content string) {
	t.Helper()
	f, err := d.Create(name)
	ok(t, err)
	_, err = f.Write([]byte(content))
	ok(t, errors.Join(err, f.Close()))
}

func read(t *testing.T, d *Dir, name string) string {
	t.Helper()
	f, err := d.Read(name)
	ok(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	ok(t, err)
	return string(b)
}

// The everyday.
func TestDir(t *testing.T) {
	d := openTest(t, t.TempDir())
	_, err := d.Create("a/b/file")
	want(t, err, fs.ErrNotExist)
	ok(t, d.MkdirAll("a/b"))
	ok(t, d.MkdirAll("a/b"))
	want(t, d.Mkdir("a"), fs.ErrExist)
	write(t, d, "a/b/file", "content")
	_, err = d.Create("a/b/file")
	want(t, err, fs.ErrExist)
	ok(t, d.Link("a/b/file", "a/link"))
	want(t, d.Link("a/b/file", "a/link"), fs.ErrExist)
	want(t, d.Link("a/b/file", "c/link"), fs.ErrNotExist)
	want(t, d.Link("a/b/none", "c"), fs.ErrNotExist)
	if got := read(t, d, "a/link"); got != "content" {
		t.Errorf("the link reads %q", got)
	}
	ok(t, d.CopyTo("a/link", d, "a/copy"))
	want(t, d.CopyTo("a/link", d, "a/copy"), fs.ErrExist)
	if got := read(t, d, "a/copy"); got != "content" {
		t.Errorf("the copy reads %q", got)
	}
	ok(t, d.SyncFolder("a"))
	ok(t, d.SyncFolder("."))
	a, err := d.Lstat("a/link")
	ok(t, err)
	b, err := d.Lstat("a/b/file")
	ok(t, err)
	c, err := d.LstatByPath("a/copy")
	ok(t, err)
	if !a.Same(b) || a.Same(c) || !a.IsRegular() || a.IsDir() || a.Size() != 7 || a.IsZero() || a.ModTime().IsZero() {
		t.Errorf("%+v, %+v, %+v", a, b, c)
	}
	entries, err := d.ReadDir("a")
	ok(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"b", "copy", "link"}) {
		t.Errorf("there are %q", names)
	}
	if d.Remove("a") == nil {
		t.Error("a folder was removed that is not empty")
	}
	for _, name := range []string{"a/b/file", "a/b", "a/copy", "a/link", "a"} {
		ok(t, d.Remove(name))
	}
	want(t, d.Remove("a"), fs.ErrNotExist)
	ok(t, d.RemoveIfThere("a"))
	if kind, err := d.Network(); kind != "" || err != nil {
		t.Error(kind, err)
	}
	if n, total, err := d.Space(); (n <= 0 || n > total) && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(n, err)
	}
}

// No name leads out of the directory.
func TestNames(t *testing.T) {
	root := t.TempDir()
	outside := filepath.Join(root, "outside")
	ok(t, os.WriteFile(outside, []byte("secret"), 0o600))
	ok(t, os.Mkdir(filepath.Join(root, "dir"), 0o700))
	d := openTest(t, filepath.Join(root, "dir"))
	write(t, d, "in", "")
	for _, name := range []string{"../outside", "a/../../outside", outside, "", "/", "..", "../dir/in"} {
		for what, fn := range accesses(d, name) {
			if err := fn(); name == "" && (what == "stat" || what == "readdir" || what == "syncfolder" || what == "mkdirall") {
				continue // "" is the directory
			} else if err == nil {
				t.Errorf("%s of %q", what, name)
			}
		}
	}
	if b, err := os.ReadFile(outside); string(b) != "secret" || err != nil {
		t.Error(b, err)
	}
	for _, name := range []string{"./in", "x/../in", "in/"} {
		if _, err := d.Lstat(name); err != nil {
			t.Error(name, err)
		}
	}
}

// accesses are all that can be done with a name.
func accesses(d *Dir, name string) map[string]func() error {
	file := func(open func(string) (*File, error)) func() error {
		return func() error {
			f, err := open(name)
			if err == nil {
				f.Close()
			}
			return err
		}
	}
	return map[string]func() error{
		"read":       file(d.Read),
		"modify":     file(d.Modify),
		"create":     file(d.Create),
		"first":      file(d.CreateFirst),
		"shared":     file(d.Shared),
		"readshared": file(d.ReadShared),
		"stat":       func() error { _, err := d.Lstat(name); return err },
		"readdir":    func() error { _, err := d.ReadDir(name); return err },
		"mkdir":      func() error { return d.Mkdir(name) },
		"mkdirall":   func() error { return d.MkdirAll(name) },
		"remove":     func() error { return d.Remove(name) },
		"from":       func() error { return d.Link(name, "to") },
		"to":         func() error { return d.Link("in", name) },
		"copyfrom":   func() error { return d.CopyTo(name, d, "to") },
		"copyto":     func() error { return d.CopyTo("in", d, name) },
		"syncfolder": func() error { return d.SyncFolder(name) },
	}
}

// After Close nothing is done, with any descriptor that has got the number.
func TestClosed(t *testing.T) {
	d := openTest(t, t.TempDir())
	write(t, d, "in", "")
	ok(t, d.Close())
	for what, fn := range accesses(d, "in") {
		if err := fn(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := Open(filepath.Join(d.Path(), "none"))
	want(t, err, fs.ErrNotExist)
	if _, err := Open(filepath.Join(d.Path(), "in")); err == nil {
		t.Error("a file was opened as a directory")
	}
}

// Locks are of the open file.
func TestLocks(t *testing.T) {
	d := openTest(t, t.TempDir())
	a, err := d.Shared("lock")
	ok(t, err)
	defer a.Close()
	b, err := d.ReadShared("lock")
	ok(t, err)
	defer b.Close()
	try := func(lock func() (bool, error), expect bool) {
		t.Helper()
		if got, err := lock(); got != expect || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
	ok(t, a.Lock())
	try(b.TryLockShared, false)
	a.Unlock()
	ok(t, b.LockShared())
	try(a.TryLock, false)
	try(a.TryLockShared, true)
	b.Unlock()
	try(a.TryLock, true)
	try(b.TryLockShared, false)
	ok(t, a.Close())
	try(b.TryLockShared, true)
	if !d.Has(b, "lock") {
		t.Error("the file is another one")
	}
	ok(t, d.Remove("lock"))
	write(t, d, "lock", "")
	if d.Has(b, "lock") {
		t.Error("another file is the same")
	}
}

// A hook sees each access, and may have it fail, before and after.
func TestHook(t *testing.T) {
	root := t.TempDir()
	var seen []string
	fail := map[OpKind]error{}
	defer SetHook(root, func(op *Op, do func() error) error {
		seen = append(seen, strings.TrimSpace(string(op.Kind)+" "+op.Name+" "+op.To))
		if err := fail[op.Kind]; err != nil {
			if op.Kind == OpWrite {
				op.Data = op.Data[:3]
				return errors.Join(do(), err)
			}
			return err
		}
		return do()
	})()
	d := openTest(t, root)
	write(t, d, "in", "content")
	ok(t, d.Link("in", "out"))
	read(t, d, "out")
	expect := []string{"open .", "create in", "write in", "close in", "link in out", "open out", "read out", "read out", "close out"}
	if !slices.Equal(seen, expect) {
		t.Errorf("seen %q", seen)
	}
	io := errors.New("injected")
	fail[OpWrite] = io
	f, err := d.Create("short")
	ok(t, err)
	n, err := f.Write([]byte("content"))
	if n != 3 || !errors.Is(err, io) {
		t.Error(n, err)
	}
	ok(t, f.Close())
	delete(fail, OpWrite)
	if got := read(t, d, "short"); got != "con" {
		t.Errorf("it reads %q", got)
	}
	fail[OpRemove] = io
	want(t, d.Remove("in"), io)
	delete(fail, OpRemove)
	ok(t, d.Remove("in"))
	// A signal is no error.
	signals := 0
	defer SetHook(root, func(op *Op, do func() error) error {
		if signals++; signals%3 != 0 {
			return syscall.EINTR
		}
		return do()
	})()
	d = openTest(t, root)
	write(t, d, "in", "content")
	if got := read(t, d, "in"); got != "content" {
		t.Errorf("it reads %q", got)
	}
}

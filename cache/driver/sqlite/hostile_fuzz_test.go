//go:build unix

package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzHostile has somebody who may write to the directory of a store prepare it:
// files and folders, and what is in them. Then everything is
// done with it that can be done. Nothing outside is changed, nothing takes longer
// than its context, nothing panics.
func FuzzHostile(f *testing.F) {
	for _, seed := range []string{
		"", "0123456789", "hostile", "\x01\x02\x03\x04\x05\x06\x07\x08", "\xff\xfe\xfd\xfc\xfb\xfa\xf9",
		"\x00\x00\x00\x00", "\x00\x08\x00\x00", "\x01\x00\x00", "\x02\x00\x00\x00\x00", "\x03\x00\x07",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 40 {
			return // what takes more steps finds nothing that fewer do not
		}
		a := &adversary{t: t, h: newHostile(t), data: data}
		for len(a.data) > 0 {
			a.step()
		}
		exercise(t, a.h.dir)
		a.h.intact(t)
		if t.Failed() {
			t.Logf("steps:\n%s", strings.Join(a.done, "\n"))
		}
	})
}

// adversary makes choices by data.
type adversary struct {
	t    *testing.T
	h    *hostile
	data []byte
	done []string
}

func (a *adversary) choose(n int) int {
	if len(a.data) == 0 {
		return 0
	}
	b := a.data[0]
	a.data = a.data[1:]
	return int(b) % n
}

func pick[T any](a *adversary, all []T) T { return all[a.choose(len(all))] }

func (a *adversary) step() {
	switch a.choose(3) {
	case 0:
		name, kind := pick(a, a.places()), pick(a, kinds)
		a.note("a %s in the place of %s", kind, name)
		root, err := os.OpenRoot(a.h.dir)
		if err != nil {
			a.t.Fatal(err)
		}
		defer root.Close()
		if root.MkdirAll(filepath.Dir(name), 0o700) == nil && root.RemoveAll(name) == nil { // unless a link is in the way
			strange[kind](a.h, a.path(name))
		}
	case 1:
		name, mode := pick(a, a.places()), pick(a, []os.FileMode{0, 0o400, 0o777, 0o666 | os.ModeSetgid, 0o100})
		a.note("mode %v for %s", mode, name)
		if path := a.path(name); a.inside(path) {
			os.Chmod(path, mode)
		}
	case 2:
		name, at := pick(a, a.places()), a.choose(256)<<a.choose(14)
		content := pick(a, [][]byte{nil, {0}, bytes.Repeat([]byte{0xff}, 64), []byte("SQLite format 3\x00"), bytes.Repeat([]byte("../"), 300)})
		a.note("%.20q at %d in %s", content, at, name)
		if path := a.path(name); a.inside(path) {
			a.overwrite(path, content, int64(at))
		}
	}
}

func (a *adversary) note(format string, args ...any) {
	a.done = append(a.done, fmt.Sprintf(format, args...))
}

func (a *adversary) path(name string) string {
	return filepath.Join(a.h.dir, filepath.FromSlash(name))
}

// inside reports whether a path is of a file or folder of the store: it is the
// store that is to be attacked, and not what is outside.
func (a *adversary) inside(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return false
	}
	if linked, err := os.Stat(filepath.Join(a.h.sentinel, "file")); err == nil && os.SameFile(info, linked) {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	return err == nil && strings.HasPrefix(real, a.h.dir)
}

func (a *adversary) overwrite(path string, content []byte, at int64) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if content == nil {
		f.Truncate(at)
		return
	}
	f.WriteAt(content, at)
}

var kinds = []string{"link", "link to file", "link to none", "link inside", "other name", "pipe", "socket", "folder", "empty"}

// places are those of the store, and some that it does not have.
func (a *adversary) places() []string {
	return append(a.h.places(), valuesName+"/"+valuesName, sessionsName+"/"+strings.Repeat("e", 24)+"/"+sessionLock,
		sessionsName+"/"+strings.Repeat("E", 24), sessionsName+"/..x", "a\nb", "\xff", "zz/yy/x.val", "001", "cache/c",
		"CACHE.DB", databaseName+"-probe-0", strings.Repeat("n", 250), strings.Repeat("d/", 100)+"f", reserveName)
}

//go:build linux

package cache_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
	"golang.org/x/sys/unix"
)

// nobody has no rights but those that everybody has.
const nobody = 65534

// rightsChild uses a store without the rights of root and says what comes of
// it, a line each: whether a store could be opened, what is in it, and whether
// it can be written to. Its arguments are the directory and "read-only".
func rightsChild(ch *inChild) error {
	if os.Getuid() == 0 {
		err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
		if err != nil {
			return err
		}
	}
	st, err := cache.OpenStore(ch.ctx, ch.arg(0), &cache.StoreOptions{ReadOnly: ch.arg(1) == "read-only"})
	ch.say("open: %s", outcome(err))
	if err != nil {
		return nil
	}
	c, err := cache.New[string, string](ch.ctx, st, "", nil)
	if err != nil {
		return err
	}
	for _, k := range []string{"k", "big"} {
		v, _, err := c.Get(ch.ctx, k)
		if err == nil {
			ch.say("%s: %.1s", k, v)
		} else {
			ch.say("%s: %s", k, outcome(err))
		}
	}
	ch.say("set: %s", outcome(c.Set(ch.ctx, "new", "v")))
	ch.say("set big: %s", outcome(c.Set(ch.ctx, "new", strings.Repeat("v", 40_000))))
	ch.say("close: %s", outcome(st.Close()))
	return nil
}

// outcome tells what kind of error err is, and its message if that is not one
// a program could go by.
func outcome(err error) string {
	var detail *cache.Error
	switch {
	case err == nil:
		return "ok"
	case !errors.As(err, &detail):
		return "not a *cache.Error: " + err.Error()
	case !strings.HasSuffix(err.Error(), ")"):
		return "no advice: " + err.Error()
	case errors.Is(err, cache.ErrReadOnly):
		return "read-only"
	case errors.Is(err, cache.ErrPermission):
		return "permission"
	case errors.Is(err, cache.ErrFull):
		return "full"
	}
	return err.Error()
}

// TestRights uses stores without the rights to do so.
func TestRights(t *testing.T) {
	const all = "open: ok, k: v, big: v, set: ok, set big: ok, close: ok"
	const reading = "open: ok, k: v, big: v, set: read-only, set big: read-only, close: ok"
	chmod := func(mode fs.FileMode, names ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			ok(t, os.Chmod(filepath.Join(append([]string{dir}, names...)...), mode))
		}
	}
	values := func(mode fs.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { ok(t, os.Chmod(valueFiles(t, dir)[0], mode)) }
	}
	for _, c := range []struct {
		name     string
		state    string // new, closed or killed
		take     func(t *testing.T, dir string)
		readOnly bool
		want     string
	}{
		{"all rights", "closed", chmod(0o700), false, all},
		{"all rights, for reading", "closed", chmod(0o700), true, reading},
		{"new in an unwritable directory", "new", chmod(0o500), false, "open: permission"},
		{"new below an unwritable directory", "new", chmod(0o500, ".."), false, "open: permission"},
		{"no right to enter", "closed", chmod(0), false, "open: permission"},
		{"no right to enter, for reading", "closed", chmod(0), true, "open: permission"},
		{"unwritable directory", "closed", chmod(0o500), false, "open: permission"},
		{"unwritable directory, for reading", "closed", chmod(0o500), true, reading},
		{"unwritable directory after a kill, for reading", "killed", chmod(0o500), true, reading},
		{"unwritable database", "closed", chmod(0o400, "cache.db"), false, "open: permission"},
		{"unwritable database, for reading", "closed", chmod(0o400, "cache.db"), true, reading},
		{"unreadable database", "closed", chmod(0, "cache.db"), false, "open: permission"},
		{"unreadable database, for reading", "closed", chmod(0, "cache.db"), true, "open: permission"},
		{"unreadable value", "closed", values(0), false, strings.Replace(all, "big: v", "big: permission", 1)},
		{"unwritable value", "closed", values(0o400), false, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			ok(t, errors.Join(os.Chmod(temp, 0o755), os.Chmod(filepath.Dir(temp), 0o755)))
			above := filepath.Join(temp, "above")
			dir := filepath.Join(above, "store")
			ok(t, os.MkdirAll(dir, 0o700))
			switch c.state {
			case "closed":
				makeStore(t, dir)
			case "killed":
				killedStore(t, dir)
			}
			if strings.HasPrefix(c.name, "new below") {
				ok(t, os.Remove(dir))
			}
			giveAway(t, above)
			if c.take != nil && !strings.HasPrefix(c.name, "new below") {
				c.take(t, dir)
			} else {
				ok(t, os.Chmod(above, 0o500))
			}
			t.Cleanup(func() { // so that the directory can be removed
				os.Chmod(above, 0o700)
				os.Chmod(dir, 0o700)
			})
			mode := ""
			if c.readOnly {
				mode = "read-only"
			}
			before := contents(t, dir)
			got := useWithRights(t, dir, mode)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			after := contents(t, dir)
			if strings.HasPrefix(c.want, "open: ok") {
				if !c.readOnly {
					return
				}
				// What SQLite needs to read while others may write.
				for _, m := range []map[string]string{before, after} {
					delete(m, "/cache.db-shm")
					if m["/cache.db-wal"] == "" {
						delete(m, "/cache.db-wal")
					}
				}
			}
			same(t, before, after)
		})
	}
}

// useWithRights runs rightsChild and returns all it says.
func useWithRights(t *testing.T, dir, mode string) string {
	t.Helper()
	c := spawn(t, "rights", dir, mode)
	var lines []string
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	c.finish()
	return strings.Join(lines, ", ")
}

// makeStore makes a store with a short value "v..." under "k" and a long one
// under "big".
func makeStore(t *testing.T, dir string) {
	t.Helper()
	c := must(cache.Open[string, string](t.Context(), dir, nil))(t)
	set(t, c, "k", "vvv")
	set(t, c, "big", strings.Repeat("v", 40_000))
	ok(t, c.Close())
}

// killedStore is makeStore by a process that is killed, so that there is a log
// with all the data in it.
func killedStore(t *testing.T, dir string) {
	t.Helper()
	c := spawn(t, "hold", dir, "fill")
	c.expect("filled")
	c.killed()
	if info := must(os.Stat(filepath.Join(dir, "cache.db-wal")))(t); info.Size() == 0 {
		t.Fatal("there is no log")
	}
}

// giveAway makes everything nobody's.
func giveAway(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	ok(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	}))
}

// valueFiles returns the paths of a store's value files.
func valueFiles(t *testing.T, dir string) (paths []string) {
	t.Helper()
	ok(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".val") {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// contents returns what is in the files of a directory, by name, and which
// folders there are.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel := strings.TrimPrefix(path, dir)
		if err != nil || d.IsDir() {
			all[rel] = "a folder"
			if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		all[rel] = string(b)
		if errors.Is(err, fs.ErrPermission) {
			err = nil
		}
		return err
	})
	ok(t, err)
	return all
}

// same demands that nothing was written, made or removed.
func same(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name, was := range before {
		if is, there := after[name]; !there {
			t.Errorf("%q was removed", name)
		} else if is != was {
			t.Errorf("%q was written to", name)
		}
	}
	for name := range after {
		if _, there := before[name]; !there {
			t.Errorf("%q was made", name)
		}
	}
}

// TestReadOnlyDisk uses stores on a file system that cannot be written to.
func TestReadOnlyDisk(t *testing.T) {
	for _, state := range []string{"closed", "killed"} {
		t.Run(state, func(t *testing.T) {
			ctx := t.Context()
			disk := smallDisk(t, 4<<10)
			dir := filepath.Join(disk, "store")
			if state == "closed" {
				makeStore(t, dir)
			} else {
				killedStore(t, dir)
			}
			ok(t, unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
			before := contents(t, dir)
			_, err := cache.OpenStore(ctx, dir, nil)
			failed(t, err, cache.ErrReadOnly, "OpenStore", "")
			equal(t, outcome(err), "read-only")
			_, err = cache.OpenStore(ctx, filepath.Join(disk, "new"), nil)
			failed(t, err, cache.ErrReadOnly, "OpenStore", "")

			st := must(cache.OpenStore(ctx, dir, &cache.StoreOptions{ReadOnly: true}))(t)
			defer st.Close()
			c := must(cache.New[string, string](ctx, st, "", nil))(t)
			has(t, c, "k", "vvv")
			has(t, c, "big", strings.Repeat("v", 40_000))
			failed(t, c.Set(ctx, "k", "w"), cache.ErrReadOnly, "Set", "")
			if r := must(st.Check(ctx, nil))(t); !r.OK() {
				t.Errorf("problems: %+v", r.Problems)
			}
			to := filepath.Join(t.TempDir(), "backup")
			ok(t, st.Backup(ctx, to))
			clean(t, to)
			same(t, before, contents(t, dir))
		})
	}
}

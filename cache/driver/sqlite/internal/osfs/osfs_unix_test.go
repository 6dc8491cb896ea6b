//go:build unix

package osfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// With something else in the place of a file or of a folder before it, nothing
// outside is read or changed, nothing waits, and the error says what it is.
func TestStrangeFiles(t *testing.T) {
	root := t.TempDir()
	outside := filepath.Join(root, "outside")
	ok(t, os.MkdirAll(filepath.Join(outside, "sub"), 0o700))
	ok(t, os.WriteFile(filepath.Join(outside, "sub", "file"), []byte("secret"), 0o600))
	before := listing(t, outside)
	strange := map[string]func(path string) error{
		"link":     func(p string) error { return os.Symlink(outside, p) },
		"filelink": func(p string) error { return os.Symlink(filepath.Join(outside, "sub", "file"), p) },
		"dangling": func(p string) error { return os.Symlink(filepath.Join(outside, "none"), p) },
		"loop":     func(p string) error { return os.Symlink(filepath.Base(p), p) },
		"inside":   func(p string) error { return os.Symlink("real", p) },
		"fifo":     func(p string) error { return unix.Mkfifo(p, 0o600) },
		"socket": func(p string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p})
			if err == nil {
				l.SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		},
		"folder": func(p string) error { return os.MkdirAll(filepath.Join(p, "sub"), 0o700) },
	}
	for kind, make := range strange {
		for _, name := range []string{"x", "x/file", "x/sub/file", "real/x"} {
			if kind == "folder" && strings.HasPrefix(name, "x/") {
				continue
			}
			for what := range accesses(nil, "") {
				t.Run(fmt.Sprint(kind, "/", strings.ReplaceAll(name, "/", "_"), "/", what), func(t *testing.T) {
					dir, err := os.MkdirTemp("", "d") // short, for the socket
					ok(t, err)
					defer os.RemoveAll(dir)
					ok(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
					ok(t, os.WriteFile(filepath.Join(dir, "in"), nil, 0o600))
					at := filepath.Join(dir, "x")
					if name == "real/x" {
						at = filepath.Join(dir, "real", "x")
					}
					ok(t, make(at))
					d := openTest(t, dir)
					err = accesses(d, name)[what]()
					last := name == "x" || name == "real/x" // in the place itself
					switch what {
					case "stat", "remove":
						if last && kind != "folder" { // the thing itself
							ok(t, err)
							return
						}
						if last && what == "stat" {
							ok(t, err)
							return
						}
					case "from", "copyfrom":
						if last && what == "from" { // whoever links looks before
							return
						}
					case "create", "first", "mkdir", "to", "copyto":
						if last {
							want(t, err, fs.ErrExist)
							return
						}
					case "readdir", "syncfolder", "mkdirall":
						if last && kind == "folder" {
							ok(t, err)
							return
						}
					}
					if err == nil {
						t.Fatal("no error")
					}
					if what != "remove" && !errors.Is(err, ErrNotRegular) {
						t.Errorf("got %v", err)
					}
				})
			}
		}
	}
	if after := listing(t, outside); after != before {
		t.Errorf("outside was\n%s\nand is\n%s", before, after)
	}
}

// listing describes a tree.
func listing(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(root, func(path string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		content := []byte(nil)
		if info.Mode().IsRegular() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		fmt.Fprintln(&b, path, info.Mode(), content)
		return nil
	})
	ok(t, err)
	return b.String()
}

// The two ways to open below a directory agree.
func TestWalk(t *testing.T) {
	d := openTest(t, t.TempDir())
	ok(t, d.MkdirAll("a/b"))
	write(t, d, "a/b/file", "")
	ok(t, os.Symlink("a", filepath.Join(d.Path(), "link")))
	ok(t, os.Symlink("file", filepath.Join(d.Path(), "a/b/link")))
	for name, want := range map[string]error{
		"a/b/file": nil, "a/b/none": unix.ENOENT, "a/none/file": unix.ENOENT, "a/b/file/x": unix.ENOTDIR,
		"link/b/file": unix.ELOOP, "a/b/link": unix.ELOOP,
	} {
		for _, open := range []func(int, string, int, uint32) (int, error){openBeneath, openThroughFolders} {
			fd, err := open(int(d.handle), name, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
			if err == nil {
				unix.Close(fd)
			}
			if err == unix.ENOTDIR && want == unix.ELOOP || err == unix.EMLINK {
				err = want // which of them says so differs between systems
			}
			if err != want {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
	}
}

// A file of several names may be anything.
func TestSharedLinked(t *testing.T) {
	d := openTest(t, t.TempDir())
	write(t, d, "in", "content")
	ok(t, d.Link("in", "near"))
	_, err := d.Shared("near")
	want(t, err, ErrNotRegular)
	want(t, d.Vouch("near"), ErrNotRegular)
	ok(t, d.Remove("in"))
	f, err := d.Shared("near")
	ok(t, err)
	ok(t, f.Close())
	ok(t, d.Vouch("near"))
	ok(t, d.Vouch("none"))
}

// rightsHelper does what its arguments say, as another user.
func TestRightsHelper(t *testing.T) {
	args := os.Getenv("OSFS_TEST")
	if args == "" {
		return
	}
	dir, what, _ := strings.Cut(args, " ")
	d, err := Open(dir)
	ok(t, err)
	if info, err := d.Lstat("first"); err == nil {
		d.Follow(info)
	} else {
		f, err := d.CreateFirst("first")
		ok(t, err)
		ok(t, f.Close())
	}
	switch what {
	case "shared":
		f, err := d.Shared("shared")
		if err == nil {
			_, err = f.WriteAt([]byte("x"), 0)
			f.Close()
		}
		if errors.Is(err, ErrOwner) && errors.Is(err, fs.ErrPermission) {
			os.Exit(3)
		}
		ok(t, err)
	case "folder":
		ok(t, d.MkdirAll("a/b"))
		ok(t, d.RemoveIfThere("a/b/file"))
		write(t, d, "a/b/file", "")
	}
}

// runAs runs TestRightsHelper and returns its exit status.
func runAs(t *testing.T, dir, what string, uid, gid uint32, groups ...uint32) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testBinary(t), "-test.run=^TestRightsHelper$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "OSFS_TEST="+dir+" "+what)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		return 3
	}
	if err != nil {
		t.Fatalf("%s as %d: %v\n%s", what, uid, err, out)
	}
	return 0
}

// testBinary returns a copy of this program that other users may run.
func testBinary(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	ok(t, err)
	b, err := os.ReadFile(self)
	ok(t, err)
	dir, err := os.MkdirTemp("", "osfs")
	ok(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ok(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "test")
	ok(t, os.WriteFile(path, b, 0o755))
	return path
}

// userDir makes a directory that belongs to a user.
func userDir(t *testing.T, uid, gid int, mode os.FileMode) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be other users")
	}
	dir, err := os.MkdirTemp("", "osfs")
	ok(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ok(t, os.Chown(dir, uid, gid))
	ok(t, os.Chmod(dir, mode))
	return dir
}

func rightsAt(t *testing.T, dir, name string) string {
	t.Helper()
	info, err := os.Lstat(filepath.Join(dir, name))
	ok(t, err)
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %s", st.Uid, st.Gid, strconv.FormatUint(uint64(st.Mode)&0o7777, 8))
}

func wantRights(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	for name, rights := range want {
		if got := rightsAt(t, dir, name); got != rights {
			t.Errorf("%s: %s, want %s", name, got, rights)
		}
	}
}

const alice, bob, team, other = 60001, 60002, 60010, 60011

// What root makes belongs to the owner of the first file, and that to the owner
// of the directory.
func TestRoot(t *testing.T) {
	dir := userDir(t, alice, alice, 0o700)
	runAs(t, dir, "folder", 0, 0)
	wantRights(t, dir, map[string]string{"first": "60001:60001 600", "a": "60001:60001 700", "a/b/file": "60001:60001 600"})
	runAs(t, dir, "shared", 0, 0)
	runAs(t, dir, "shared", alice, alice)
	runAs(t, dir, "folder", alice, alice)

	dir = userDir(t, alice, alice, 0o700)
	runAs(t, dir, "shared", alice, alice)
	ok(t, os.Chmod(filepath.Join(dir, "first"), 0o644))
	runAs(t, dir, "folder", 0, 0)
	wantRights(t, dir, map[string]string{"shared": "60001:60001 600", "a": "60001:60001 755", "a/b": "60001:60001 755", "a/b/file": "60001:60001 644"})
}

// A directory that root makes for a store belongs to the owner of the one that it
// is in, or is shared with the group as that is.
func TestMake(t *testing.T) {
	dir := userDir(t, alice, alice, 0o755)
	made, err := Make(filepath.Join(dir, "a/b"))
	ok(t, err)
	again, err := Make(filepath.Join(dir, "a/b"))
	ok(t, err)
	if !made || again {
		t.Error(made, again)
	}
	wantRights(t, dir, map[string]string{"a": "60001:60001 700", "a/b": "60001:60001 700"})
	dir = userDir(t, alice, team, os.ModeSetgid|0o770)
	_, err = Make(filepath.Join(dir, "a/b"))
	ok(t, err)
	wantRights(t, dir, map[string]string{"a": "60001:60010 2770", "a/b": "60001:60010 2770"})
}

// A directory with the set-group-ID bit serves its group.
func TestGroup(t *testing.T) {
	dir := userDir(t, alice, team, os.ModeSetgid|0o770)
	runAs(t, dir, "shared", bob, bob, team)
	runAs(t, dir, "shared", alice, alice, team)
	runAs(t, dir, "folder", alice, alice, team)
	wantRights(t, dir, map[string]string{"first": "60002:60010 660", "shared": "60002:60010 660", "a": "60001:60010 2770", "a/b/file": "60001:60010 660"})
	runAs(t, dir, "folder", 0, 0)
	wantRights(t, dir, map[string]string{"a/b/file": "60002:60010 660"})
	runAs(t, dir, "shared", 0, 0)
	// Others could have made it, if they can write there.
	ok(t, os.Chmod(dir, os.ModeSetgid|0o777))
	runAs(t, dir, "shared", alice, alice, team) // bob made the first file too
	ok(t, os.Chown(filepath.Join(dir, "shared"), other, team))
	if runAs(t, dir, "shared", alice, alice, team) != 3 {
		t.Error("a shared file of anybody's")
	}
}

// Whoever may write to a directory can leave a file there for others to share,
// and read what they write to it.
func TestStranger(t *testing.T) {
	dir := userDir(t, alice, alice, 0o777)
	runAs(t, dir, "folder", alice, alice)
	path := filepath.Join(dir, "shared")
	ok(t, os.WriteFile(path, nil, 0o666))
	ok(t, os.Chown(path, bob, bob))
	ok(t, os.Chmod(path, 0o666))
	if runAs(t, dir, "shared", alice, alice) != 3 {
		t.Error("bob's file is shared")
	}
	if b, err := os.ReadFile(path); len(b) > 0 || err != nil {
		t.Error("bob's file was written to", err)
	}
	if runAs(t, dir, "shared", 0, 0) != 3 {
		t.Error("bob's file is shared by root")
	}
	ok(t, os.Chown(path, alice, alice))
	runAs(t, dir, "shared", alice, alice)
}

// Who else may write to a directory.
func TestOutsiders(t *testing.T) {
	for _, c := range []struct {
		uid, gid int
		mode     os.FileMode
		first    os.FileMode
		want     string
	}{
		{0, 0, 0o700, 0o600, ""},
		{0, 0, 0o755, 0o600, ""},
		{0, 0, 0o777, 0o600, "everybody"},
		{0, 0, os.ModeSticky | 0o777, 0o600, "everybody"},
		{alice, alice, 0o700, 0o600, "user 60001"},
		{0, 0, 0o770, 0o600, ""},
		{0, team, 0o770, 0o600, "group 60010"},
		{0, team, os.ModeSetgid | 0o770, 0o660, ""},
	} {
		d := openTest(t, userDir(t, c.uid, c.gid, c.mode))
		write(t, d, "first", "")
		ok(t, os.Chmod(filepath.Join(d.Path(), "first"), c.first))
		info, err := d.Lstat("first")
		ok(t, err)
		d.Follow(info)
		if who, err := d.Outsiders(); who != c.want || err != nil {
			t.Errorf("%d:%d %v: %q, want %q (%v)", c.uid, c.gid, c.mode, who, c.want, err)
		}
	}
}

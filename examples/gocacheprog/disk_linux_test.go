package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mount mounts a small disk.
func mount(t *testing.T, options string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, options)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("no right to mount a small file system: run the tests as root")
	}
	ok(t, err)
	t.Cleanup(func() { ok(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// On a full disk, what is there is found, and what is put has a path for this run.
func TestFullDisk(t *testing.T) {
	disk := mount(t, "size=8m")
	c := start(t, "-dir", disk+"/cache")
	c.put("a", body(50_000))
	c.hit("a", body(50_000))
	fill := func() {
		t.Helper()
		full, err := os.OpenFile(filepath.Join(disk, "full"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		ok(t, err)
		for block := make([]byte, 4096); err == nil; {
			_, err = full.Write(block)
		}
		ok(t, full.Close())
	}
	fill()
	for range 3 {
		c.put("b", body(60_000))
		c.hit("a", body(50_000))
		c.miss("b")
	}
	if stderr := c.close(); strings.Count(stderr, "\n") == 0 || strings.Count(stderr, "\n") > 2 {
		t.Errorf("standard error is %q", stderr)
	}

	build := func(dir string, fill func()) {
		t.Helper()
		g := newGolang(t, "-dir "+dir)
		for _, env := range []string{"GOFLAGS=", "TMPDIR=" + disk} {
			fill()
			g.env = append(g.env, "GOTMPDIR="+t.TempDir())
			_, stderr, err := g.run(env, "build", "./...")
			if err != nil || !strings.Contains(stderr, "gocacheprog: ") {
				t.Errorf("%v: %s", err, stderr)
			}
		}
	}
	build(disk+"/cache", fill)
	build(disk+"/new", fill)
	ok(t, os.Remove(filepath.Join(disk, "full")))
	c = start(t, "-dir", disk+"/cache")
	c.hit("a", body(50_000))
	c.put("b", body(60_000))
	c.hit("b", body(60_000))
	equal(t, c.close(), "")
	sound(t, disk+"/cache")

	ok(t, unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	build(disk+"/cache", func() {})
}

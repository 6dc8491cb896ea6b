//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Files and directories that cannot be read are left out and reported; the
// rest is compared. A named pipe is not even opened.
func TestUnreadable(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1", "b": "1", "closed": "1", "sub/c": "1"})
	ok(t, os.Chmod(dir, 0o755))
	ok(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666))
	for _, name := range []string{"a", "b"} {
		ok(t, os.Chmod(filepath.Join(dir, name), 0o644))
	}
	ok(t, os.Chmod(filepath.Join(dir, "closed"), 0))
	ok(t, os.Chmod(filepath.Join(dir, "sub"), 0))
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "sub"), 0o700) })

	store := t.TempDir()
	cmd, stdout, stderr := process(t, store, dir)
	if os.Getuid() == 0 { // who may read everything
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		// The temporary directories and the program must be open to nobody.
		exe := filepath.Join(dir, "exe")
		text, err := os.ReadFile(cmd.Path)
		ok(t, err)
		ok(t, os.WriteFile(exe, text, 0o755))
		cmd.Path = exe
		ok(t, os.Chown(store, nobody, nobody))
		for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
			ok(t, os.Chmod(d, 0o755))
		}
		for d := filepath.Dir(store); len(d) > len(os.TempDir()); d = filepath.Dir(d) {
			ok(t, os.Chmod(d, 0o755))
		}
	}
	err := cmd.Run()
	o := parse(t, stdout, stderr.String(), cmd.ProcessState.ExitCode())
	if o.status != exitIncomplete {
		t.Fatalf("%v: %s", err, o.stderr)
	}
	equal(t, o.files(dir), [][]string{{"a", "b"}})
	equal(t, o.LeftOut, int64(2))
	for _, name := range []string{"closed", "sub"} {
		if !strings.Contains(o.stderr, filepath.Join(dir, name)) {
			t.Errorf("%s is not reported: %s", name, o.stderr)
		}
	}
}

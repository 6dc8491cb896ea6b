package vfs_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/vfs"
)

// TestOFDLocks has a child process take a lock with OFD locks, open and
// close the database's files by other means, and keep the lock all the same.
func TestOFDLocks(t *testing.T) {
	if path := os.Getenv("VFS_TEST_OFD"); path != "" {
		ofdChild(t, path)
		return
	}
	for _, mode := range []string{"delete", "wal"} { // the lock is on the database, on the WAL-index
		t.Run(mode, func(t *testing.T) { testOFDLocks(t, mode) })
	}
}

func testOFDLocks(t *testing.T, mode string) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := openFile(t, path)
	must(t, c.Exec("PRAGMA journal_mode = "+mode+"; CREATE TABLE t(a)"))

	child := exec.Command(os.Args[0], "-test.run=^TestOFDLocks$")
	child.Env = append(os.Environ(), "VFS_TEST_OFD="+path)
	stdin, err := child.StdinPipe()
	must(t, err)
	stdout, err := child.StdoutPipe()
	must(t, err)
	child.Stderr = os.Stderr
	must(t, child.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if err := c.Exec("BEGIN IMMEDIATE"); !sqlite3.IsBusy(err) {
		t.Errorf("got %v", err)
	}
	must(t, stdin.Close())
	must(t, child.Wait())
	must(t, c.Exec("BEGIN IMMEDIATE; COMMIT"))
}

func ofdChild(t *testing.T, path string) {
	if !sqlite3.UseOFDLocks() {
		t.Fatal("no OFD locks")
	}
	c := openFile(t, path)
	must(t, c.Exec("BEGIN EXCLUSIVE"))
	files, err := filepath.Glob(path + "*")
	must(t, err)
	for _, path := range files {
		f, err := os.Open(path)
		must(t, err)
		must(t, f.Close())
	}
	if !sqlite3.UseOFDLocks() {
		t.Fatal("the kernel has no OFD locks")
	}
	os.Stdout.WriteString("locked\n")
	os.Stdin.Read(make([]byte, 1)) // until the parent closes it
}

// TestOFDLocksAtOnce has goroutines open the first databases of a process at the same
// time.
func TestOFDLocksAtOnce(t *testing.T) {
	processes := 40
	if testing.Short() {
		processes = 8
	}
	for i := range processes {
		cmd := child("ofd", filepath.Join(t.TempDir(), fmt.Sprint(i)))
		must(t, cmd.Run())
	}
}

func childOFD(path string, _ []string) error {
	const goroutines = 16
	errs := make([]error, goroutines)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			<-begin
			if !sqlite3.UseOFDLocks() {
				errs[i] = errors.New("no OFD locks")
				return
			}
			c, err := open(fmt.Sprint(path, i), sqlite3.ReadWriteCreate)
			if err == nil {
				err = errors.Join(c.Exec("PRAGMA journal_mode = wal; CREATE TABLE t(a)"), c.Close())
			}
			errs[i] = err
		})
	}
	close(begin)
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !vfs.IndexHasOFD() {
		return errors.New("no OFD locks on the WAL-index")
	}
	return nil
}

func init() { children["ofd"] = childOFD }

//go:build unix

package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/codec"
)

// Users and groups that no machine has.
const alice, bob, carol, team = 60001, 60002, 60003, 60010

// asUser is what TestAsUser does for the other tests, as another user: it opens
// a store, writes and reads values, with files too, and closes it.
func asUser(ctx context.Context, dir, name string) error {
	s, err := Open(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	<-s.core.maintainer.swept
	if _, err := s.core.sessions.Ended(); err != nil { // it looks at all
		return err
	}
	for _, collection := range []string{"", "c"} {
		c, err := s.Open(ctx, collection, driver.Spec{Settings: driver.PersistentSettings()})
		if err != nil {
			return err
		}
		var rows []driver.Row
		if err := s.View(ctx, func(tx driver.Tx) (err error) {
			rows, err = tx.Scan(ctx, c, driver.Scan{Limit: 1000})
			return err
		}); err != nil {
			return err
		}
		for _, r := range rows { // of all others
			f, err := s.OpenFile(ctx, c, r)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, f)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
		}
		for i := range 20 { // in folders that others have made
			f, err := s.Create(ctx, codec.Blob)
			if err != nil {
				return err
			}
			io.WriteString(f, "content")
			if err := f.Finish(); err != nil {
				return err
			}
			err = s.Update(ctx, driver.Shared, func(tx driver.Tx) error {
				return errOf(tx.Put(ctx, c, driver.Put{Key: codec.TextValue(fmt.Sprint(name, i)), File: f, Now: at()}))
			})
			f.Discard()
			if err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			if err := s.Update(ctx, driver.Alone, func(tx driver.Tx) error {
				_, err := tx.Delete(ctx, c, rows[0].Key, at())
				return err
			}); err != nil {
				return err
			}
		}
	}
	err = s.Check(ctx, true, func(p driver.Problem) { err = errors.Join(err, fmt.Errorf("Check: %v", p)) })
	return errors.Join(err, s.Close())
}

const refused = 3 // exit status

func TestAsUser(t *testing.T) {
	dir := os.Getenv("SQLITE_TEST_AS_USER")
	if dir == "" {
		return // the process that other tests start
	}
	err := asUser(t.Context(), dir, fmt.Sprint(os.Geteuid(), "-"))
	if errors.Is(err, driver.ErrPermission) {
		fmt.Println(err)
		os.Exit(refused)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// users runs asUser as others.
type users struct {
	t      *testing.T
	binary string
}

func newUsers(t *testing.T) *users {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be other users")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	u := &users{t: t}
	u.binary = filepath.Join(u.dir(0, 0, 0o755), "test")
	if err := os.WriteFile(u.binary, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return u
}

// dir makes a directory that belongs to a user.
func (u *users) dir(uid, gid int, mode os.FileMode) string {
	u.t.Helper()
	dir, err := os.MkdirTemp("", "users")
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(os.Chown(dir, uid, gid), os.Chmod(dir, mode)); err != nil {
		u.t.Fatal(err)
	}
	return dir
}

// run runs asUser, and returns what it says if it was refused.
func (u *users) run(dir string, uid uint32, groups ...uint32) (out string, ok bool) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, u.binary, "-test.run=^TestAsUser$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "SQLITE_TEST_AS_USER="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: groups}}
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == refused {
		return string(b), false
	}
	if err != nil {
		u.t.Fatalf("user %d: %v\n%s", uid, err, b)
	}
	return "", true
}

func (u *users) must(dir string, uid uint32, groups ...uint32) {
	u.t.Helper()
	if out, ok := u.run(dir, uid, groups...); !ok {
		u.t.Fatalf("user %d is refused: %s", uid, out)
	}
}

// everything checks owner and rights of all that is in a directory.
func (u *users) everything(dir string, check func(name string, st *syscall.Stat_t) bool) {
	u.t.Helper()
	for _, name := range names(u.t, dir) {
		for ; name != "."; name = filepath.Dir(name) {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil {
				u.t.Fatal(err)
			}
			if st := info.Sys().(*syscall.Stat_t); !check(name, st) {
				u.t.Errorf("%s belongs to %d:%d and has %o", name, st.Uid, st.Gid, st.Mode&0o7777)
			}
		}
	}
}

// A program that root runs once does not lock the owner out, whoever of them was
// first.
func TestRootOnce(t *testing.T) {
	u := newUsers(t)
	for _, rootFirst := range []bool{false, true} {
		dir := u.dir(alice, alice, 0o700)
		if !rootFirst {
			u.must(dir, alice)
		}
		u.must(dir, 0)
		u.must(dir, alice)
		u.must(dir, 0)
		u.everything(dir, func(name string, st *syscall.Stat_t) bool {
			return st.Uid == alice && st.Gid == alice && st.Mode&0o077 == 0
		})
	}
	// The rights are those of the database, as the owner has set them.
	dir := u.dir(alice, alice, 0o700)
	u.must(dir, alice)
	if err := os.RemoveAll(filepath.Join(dir, nearName)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, databaseName), 0o640); err != nil {
		t.Fatal(err)
	}
	u.must(dir, 0)
	u.everything(dir, func(name string, st *syscall.Stat_t) bool {
		return name != nearName || st.Mode&0o777 == 0o640
	})
}

// A directory with the set-group-ID bit that a group may write to serves it.
func TestSharedByGroup(t *testing.T) {
	u := newUsers(t)
	dir := u.dir(0, team, os.ModeSetgid|0o770)
	for range 2 {
		for _, user := range []uint32{bob, alice, 0} {
			u.must(dir, user, team)
		}
	}
	u.everything(dir, func(name string, st *syscall.Stat_t) bool {
		return st.Gid == team && st.Mode&0o007 == 0 && st.Mode&0o060 == 0o060
	})
	// What is shared may have been made by any of them, and not only by the owner
	// of the database.
	for _, name := range []string{nearName, watchName, lockName, queueHeadName, reserveName} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []uint32{alice, bob, carol} {
		u.must(dir, user, team)
	}
	if out, ok := u.run(dir, carol); ok {
		t.Error("somebody who is not in the group uses the store", out)
	}
}

// A file that others have put there for this process to share with them is
// refused, and the error says why.
func TestStrangersFiles(t *testing.T) {
	u := newUsers(t)
	for _, name := range []string{nearName, watchName, lockName, queueHeadName, reserveName, sessionsName, valuesName,
		databaseName + "-wal", databaseName + "-shm", databaseName + "-journal"} {
		dir := u.dir(alice, alice, 0o777)
		u.must(dir, alice)
		path := filepath.Join(dir, name)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		folder := name == sessionsName || name == valuesName
		var err error
		if folder {
			err = os.Mkdir(path, 0o777)
		} else {
			err = os.WriteFile(path, nil, 0o666)
		}
		if err := errors.Join(err, os.Chown(path, bob, bob), os.Chmod(path, 0o777)); err != nil {
			t.Fatal(err)
		}
		for _, user := range []uint32{alice, 0} {
			if out, ok := u.run(dir, user); ok || !strings.Contains(out, name) || !strings.Contains(out, "user") {
				t.Errorf("with %s of bob's, user %d: %v, %q", name, user, ok, out)
			}
		}
		if folder {
			if entries, err := os.ReadDir(path); len(entries) > 0 || err != nil {
				t.Error(name, "was written to", err)
			}
		} else if b, err := os.ReadFile(path); len(b) > 0 || err != nil {
			t.Error(name, "was written to", err)
		}
	}
	// Where bytes cannot be locked, a session's file is what its process lives by.
	dir := u.dir(alice, alice, 0o777)
	u.must(dir, alice)
	path := filepath.Join(dir, sessionsName, deadSession, session.LockFile)
	writeOld(t, path, "")
	if err := errors.Join(os.Chown(filepath.Join(dir, sessionsName), alice, alice), os.Chmod(filepath.Join(dir, sessionsName), 0o777), os.Chmod(filepath.Dir(path), 0o777),
		os.Chown(path, bob, bob), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	if alive, err := open(t, dir, &Options{lockFiles: true}).Alive(t.Context(), deadSession); !errors.Is(err, driver.ErrPermission) {
		t.Errorf("a session of bob's is believed: %v, %v", alive, err)
	}
	u.must(dir, alice)
}

// Who else can write to a directory is told once.
func TestOutsidersTold(t *testing.T) {
	var log bytes.Buffer
	o := &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, mode := range []os.FileMode{0o700, 0o777} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		open(t, dir, o) // shares what the first has opened
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		told := strings.Count(log.String(), "who=everybody")
		if want := map[os.FileMode]int{0o700: 0, 0o777: 1}[mode]; told != want {
			t.Errorf("%v: told %d times, want %d:\n%s", mode, told, want, &log)
		}
	}
}

package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/codec"
)

// What is not told keeps the test that waits for it for longer than it has.
func init() { safetyPollEvery = time.Minute }

// childVar makes TestChild one of the children, with what follows it as
// arguments.
const childVar = "DISKCACHE_SQLITE_CHILD"

var children = map[string]func(args []string, hear func() string) error{
	"session": sessionChild,
	"posix":   posixChild,
	"turns":   turnsChild,
	"drop":    dropChild,
}

// TestChild is not a test, but what the tests start as other processes.
func TestChild(t *testing.T) {
	args := strings.Split(os.Getenv(childVar), "\n")
	child := children[args[0]]
	if child == nil {
		return
	}
	in := bufio.NewScanner(os.Stdin)
	if err := child(args[1:], func() string { in.Scan(); return in.Text() }); err != nil {
		t.Fatal(err)
	}
}

// process is a child, or another program, as the test sees it.
type process struct {
	*exec.Cmd
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func run(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &process{cmd, t, in, bufio.NewScanner(out)}
}

func spawn(t *testing.T, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVar+"="+strings.Join(args, "\n"))
	return run(t, cmd)
}

func (p *process) say(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) hear() string {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatal("the other process has ended")
	}
	return p.out.Text()
}

// sessionChild opens a store, closes it when it is told to, and lives on.
func sessionChild(args []string, hear func() string) error {
	s, err := Open(context.Background(), args[0], &Options{lockFiles: len(args) > 1 && args[1] == "true"})
	if err != nil {
		return err
	}
	session, _, err := s.Session(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(session)
	hear()
	err = s.Close()
	fmt.Println("closed")
	hear()
	return err
}

// posixChild has two cores of one store, in a process in which SQLite was used
// before, so that its locks are POSIX locks, and closes one.
func posixChild(args []string, hear func() string) error {
	ctx := context.Background()
	early, err := sqlite3.Open(args[1], sqlite3.ReadWriteCreate)
	if err != nil {
		return err
	}
	defer early.Close()
	if err := early.Exec("CREATE TABLE t(a)"); err != nil {
		return err
	}
	s, err := Open(ctx, args[0], nil)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := Open(ctx, args[0], &Options{ReadOnly: true})
	if err != nil {
		return err
	}
	if sqlite3.UseOFDLocks() {
		return errors.New("SQLite has OFD locks")
	}
	fmt.Println("open")
	hear()
	if err := r.Close(); err != nil {
		return err
	}
	fmt.Println("closed one")
	hear()
	return nil
}

// Whoever closes one of two cores of a store does not drop the locks that SQLite
// has on the database for the other one.
func TestPOSIXLocksStay(t *testing.T) {
	dir := t.TempDir()
	child := spawn(t, "posix", dir, filepath.Join(t.TempDir(), "early.db"))
	for _, said := range []string{"open", "closed one"} {
		if got := child.hear(); got != said {
			t.Fatal(got)
		}
		f, err := os.Open(filepath.Join(dir, databaseName))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const sharedFirst, sharedSize = 1<<30 + 2, 510 // of SQLite
		l := unix.Flock_t{Type: unix.F_WRLCK, Start: sharedFirst, Len: sharedSize}
		if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err != nil || l.Type != unix.F_RDLCK {
			t.Errorf("%s, and the lock on the database is %d, %v", said, l.Type, err)
		}
		child.say("go on")
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

// watchSession waits for the end of a session on each store, several times.
func watchSession(t *testing.T, session string, stores ...*Store) (all []<-chan struct{}) {
	t.Helper()
	for range 3 {
		for _, s := range stores {
			ended, stop, err := s.WatchSession(session)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(stop)
			all = append(all, ended)
		}
	}
	return all
}

// Whoever waits for a session is told when its process is killed, and when it
// closes the store and lives on, but not while it is stopped; whoever else opens
// and closes the database, and whether it was waited for before.
func TestWatchSession(t *testing.T) {
	for _, files := range []bool{false, true} {
		for _, end := range []string{"kill", "close"} {
			t.Run(fmt.Sprintf("files=%v/%s", files, end), func(t *testing.T) {
				dir := t.TempDir()
				writer, reader := open(t, dir, &Options{lockFiles: files}), open(t, dir, &Options{ReadOnly: true, lockFiles: files})
				child := spawn(t, "session", dir, fmt.Sprint(files))
				session := child.hear()
				all := watchSession(t, session, writer, reader)
				child.Process.Signal(syscall.SIGSTOP)
				all = append(all, watchSession(t, session, writer, reader)...)
				for range 3 {
					f, err := os.OpenFile(filepath.Join(dir, databaseName), os.O_RDWR, 0)
					if err != nil {
						t.Fatal(err)
					}
					f.Close()
					time.Sleep(10 * time.Millisecond)
				}
				for _, s := range []*Store{writer, reader} {
					if alive, err := s.Alive(t.Context(), session); !alive || err != nil {
						t.Errorf("the session of a stopped process lives: %v, %v", alive, err)
					}
				}
				for _, ended := range all {
					if closed(ended) {
						t.Fatal("told of the end of a session that lives")
					}
				}
				child.Process.Signal(syscall.SIGCONT)

				began := time.Now()
				if end == "kill" {
					child.Process.Kill()
				} else {
					child.say("close")
					if got := child.hear(); got != "closed" {
						t.Fatal(got)
					}
				}
				for _, ended := range all {
					<-ended
				}
				took := time.Since(began)
				t.Logf("told after %v", took)
				if took > safetyPollEvery/2 { // 50 ms are promised, on a machine that is not this busy
					t.Errorf("nobody has told of the end")
				}
				for _, s := range []*Store{writer, reader} {
					if alive, err := s.Alive(t.Context(), session); alive || err != nil {
						t.Errorf("the session has ended: %v, %v", alive, err)
					}
				}
				for _, ended := range watchSession(t, session, writer, reader) {
					if !closed(ended) {
						t.Error("not told at once that a session has ended before")
					}
				}
			})
		}
	}
}

// turnsChild counts with others: it increments a number when it is its turn.
func turnsChild(args []string, hear func() string) error {
	ctx := context.Background()
	me, _ := strconv.ParseInt(args[1], 10, 64)
	all, _ := strconv.ParseInt(args[2], 10, 64)
	rounds, _ := strconv.ParseInt(args[3], 10, 64)
	s, err := Open(ctx, args[0], nil)
	if err != nil {
		return err
	}
	defer s.Close()
	c, err := s.Open(ctx, "turns", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		return err
	}
	for {
		changed, stop, err := s.Watch(c)
		if err != nil {
			return err
		}
		for range me + 3 { // a watch that ends now and then
			n := int64(0)
			if err := s.Update(ctx, driver.Shared, func(tx driver.Tx) error {
				r, _, err := tx.Get(ctx, c, codec.TextValue("n"), driver.Lookup{Now: at()})
				if n = r.Value.Integer(); err != nil || n%all != me || n >= rounds {
					return err
				}
				n++
				return errOf(tx.Put(ctx, c, driver.Put{Key: codec.TextValue("n"), Value: codec.IntegerValue(n), Now: at()}))
			}); err != nil {
				return err
			}
			if n >= rounds {
				stop()
				return nil
			}
			<-changed
		}
		stop()
	}
}

// Several processes each wait for another one. A wake-up that is lost stops
// them all.
func TestTurnsOfProcesses(t *testing.T) {
	dir := t.TempDir()
	const processes = 4
	var all []*process
	for i := range processes {
		all = append(all, spawn(t, "turns", dir, strconv.Itoa(i), strconv.Itoa(processes), "1000"))
	}
	for _, p := range all {
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// Programs that know nothing of us wake those who wait, while somebody of ours
// writes as well and while nobody does.
func TestStrangersWake(t *testing.T) {
	const python = "/usr/bin/python3"
	for name, cmd := range map[string]struct{ check, run []string }{
		"Python": {
			[]string{python, "-c", "import diskcache"},
			[]string{python, "-c", "import diskcache, sys\nc = diskcache.Cache(sys.argv[1])\nfor line in sys.stdin: c.set(line.strip(), b'v')", "DIR"},
		},
		"shell": {
			[]string{"sqlite3", "-version"},
			[]string{"sqlite3", "DIR/cache.db"},
		},
	} {
		for _, o := range []Options{{}, {ReadOnly: true}, {JournalMode: JournalDelete}} {
			t.Run(fmt.Sprintf("%s/ReadOnly=%v,%s", name, o.ReadOnly, o.JournalMode), func(t *testing.T) {
				if exec.Command(cmd.check[0], cmd.check[1:]...).Run() != nil {
					t.Skip(name + " is not installed")
				}
				dir := t.TempDir()
				ours := open(t, dir, &Options{JournalMode: o.JournalMode})
				s := open(t, dir, &o)
				c := collectionOf(t, s, "")
				args := append([]string{}, cmd.run...)
				for i := range args {
					args[i] = strings.Replace(args[i], "DIR", dir, 1)
				}
				other := run(t, exec.Command(args[0], args[1:]...))
				if name == "shell" {
					other.say(".timeout 60000")
				}
				changed, stop, err := s.Watch(c)
				if err != nil {
					t.Fatal(err)
				}
				defer stop()
				began := time.Now()
				for i := range 60 {
					key := fmt.Sprint("key-", i)
					if name == "shell" {
						other.say(`INSERT INTO Cache (key, raw, store_time, access_time, mode, value) VALUES ('` + key + `', 1, 1e9, 1e9, 1, 'v');`)
					} else {
						other.say(key)
					}
					if i >= 40 {
						put(t, ours, collectionOf(t, ours, ""), driver.Put{Key: codec.TextValue("ours"), Value: codec.IntegerValue(int64(i))})
					} else if i >= 20 {
						time.Sleep(time.Duration(i) * time.Millisecond) // it is looked more seldom
					}
					for {
						_, ok, err := s.Get(t.Context(), c, codec.TextValue(key), driver.Lookup{Now: at()})
						if err != nil {
							t.Fatal(err)
						}
						if ok {
							break
						}
						<-changed
					}
				}
				if time.Since(began) > safetyPollEvery { // it takes a second or so
					t.Error("nobody has told of the changes")
				}
			})
		}
	}
}

// Waits leave nothing behind, neither goroutines nor descriptors, when the
// store is closed.
func TestWaitsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	child := spawn(t, "session", dir)
	session := child.hear()
	left := func() string {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(len(fds), " descriptors, ", runtime.NumGoroutine(), " goroutines")
	}
	use := func() {
		s, err := Open(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, unwatch, err := s.WatchSession(session)
		if err != nil {
			t.Fatal(err)
		}
		_, stop, err := s.Watch(collectionOf(t, s, ""))
		if err != nil {
			t.Fatal(err)
		}
		unwatch()
		stop()
		watchSession(t, session, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	use() // what the process keeps once
	var before, after string
	for range 200 {
		before = left()
		use()
		for range 50 { // what ends may take a moment
			if after = left(); after == before {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if after == before {
			return
		}
	}
	t.Errorf("%s, then %s", before, after)
}

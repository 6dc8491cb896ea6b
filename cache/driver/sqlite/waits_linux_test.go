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

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// What is not told keeps the test that waits for it for longer than it has.
func init() { netEvery = time.Minute }

// childVar makes TestChild one of the children, with what follows it as
// arguments.
const childVar = "DISKCACHE_SQLITE_CHILD"

var children = map[string]func(args []string, hear func() string) error{
	"session": sessionChild,
	"turns":   turnsChild,
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
	s, err := Open(context.Background(), args[0], nil)
	if err != nil {
		return err
	}
	fmt.Println(s.Session())
	hear()
	err = s.Close()
	fmt.Println("closed")
	hear()
	return err
}

// awaitEnd waits for the end of a session on each store, several times.
func awaitEnd(ctx context.Context, session string, stores ...*Store) (wait func() error) {
	errs := make(chan error)
	const each = 3
	for range each {
		for _, s := range stores {
			go func() { errs <- s.AwaitEnd(ctx, session) }()
		}
	}
	return func() (err error) {
		for range each * len(stores) {
			err = errors.Join(err, <-errs)
		}
		return err
	}
}

// listens reports whether the end of a session is told by now.
func listens(es *ends, session string) bool {
	es.mu.Lock()
	defer es.mu.Unlock()
	return es.by[session] != nil && es.by[session].f != nil
}

// Whoever waits for a session is told when its process is killed, and when it
// closes the store and lives on, but not while it is stopped; whatever is in
// the session's file, whoever else has opened it, and whether it was waited
// for before.
func TestAwaitEnd(t *testing.T) {
	for _, end := range []string{"kill", "close"} {
		t.Run(end, func(t *testing.T) {
			dir := t.TempDir()
			writer, reader := open(t, dir, nil), open(t, dir, &Options{ReadOnly: true})
			child := spawn(t, "session", dir)
			session := child.hear()
			wait := awaitEnd(t.Context(), session, writer, reader)
			ended := make(chan error, 1)
			go func() { ended <- wait() }()
			for _, s := range []*Store{writer, reader} {
				for !listens(&s.core.ends, session) {
					runtime.Gosched()
				}
			}

			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			child.Process.Signal(syscall.SIGSTOP)
			// The pid of a process that lives on.
			path := filepath.Join(dir, sessionsName, session, sessionLock)
			if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := awaitEnd(ctx, session, writer, reader)(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the session of a stopped process: %v", err)
			}
			if alive, err := writer.Alive(t.Context(), session); !alive || err != nil {
				t.Errorf("the session of a stopped process lives: %v, %v", alive, err)
			}
			child.Process.Signal(syscall.SIGCONT)
			select {
			case err := <-ended:
				t.Fatalf("told of the end of a session that lives: %v", err)
			default:
			}

			began := time.Now()
			if end == "kill" {
				child.Process.Kill()
			} else {
				child.say("close")
				if got := child.hear(); got != "closed" {
					t.Fatal(got)
				}
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			took := time.Since(began)
			t.Logf("told after %v", took)
			if took > netEvery/2 { // 50 ms are promised, on a machine that is not this busy
				t.Errorf("nobody has told of the end")
			}
			if alive, err := writer.Alive(t.Context(), session); alive || err != nil {
				t.Errorf("the session has ended: %v, %v", alive, err)
			}
			if err := awaitEnd(t.Context(), session, writer, reader)(); err != nil {
				t.Error(err)
			}
		})
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
				r, _, err := tx.Get(c, codec.TextValue("n"), driver.Lookup{Now: at()})
				if n = r.Value.Integer(); err != nil || n%all != me || n >= rounds {
					return err
				}
				n++
				return tx.Put(c, driver.Put{Key: codec.TextValue("n"), Value: codec.IntegerValue(n), Now: at()})
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
				if time.Since(began) > netEvery { // it takes a second or so
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
		ctx, cancel := context.WithCancel(t.Context())
		wait := awaitEnd(ctx, session, s)
		_, stop, err := s.Watch(collectionOf(t, s, ""))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := wait(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		stop()
		wait = awaitEnd(t.Context(), session, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wait() // cancelled or closed
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

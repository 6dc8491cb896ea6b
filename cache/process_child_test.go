//go:build linux

package cache_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// childEnv makes the test binary one of the children, with its arguments.
const childEnv = "DISKCACHE_TEST_CHILD"

// children are the programs that tests run as processes of their own.
var children = map[string]func(c *inChild) error{
	"add":       addingChild,
	"churn":     churningChild,
	"collide":   collidingChild,
	"create":    creatingChild,
	"elsewhere": elsewhereChild,
	"floor":     floorChild,
	"hold":      holdingChild,
	"limited":   limitedChild,
	"near":      nearChild,
	"rights":    rightsChild,
	"write":     writingChild,
}

func TestMain(m *testing.M) {
	name := os.Getenv(childEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &inChild{ctx: ctx, args: os.Args[1:], lines: make(chan string, 16)}
	go func() {
		// Standard input ends when the test wants the child to, or is gone.
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			c.lines <- in.Text()
		}
		stop()
	}()
	if err := children[name](c); err != nil {
		fmt.Fprintf(os.Stderr, "child %s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// inChild is a child seen from the inside.
type inChild struct {
	ctx   context.Context // ends when the child shall
	args  []string
	lines chan string // what the test says
}

// arg is an argument, "" if there are fewer.
func (c *inChild) arg(i int) string {
	if i >= len(c.args) {
		return ""
	}
	return c.args[i]
}

// say tells the test something.
func (c *inChild) say(format string, args ...any) {
	fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// hear waits for the test to say something, or to want the child to end.
func (c *inChild) hear() (string, error) {
	select {
	case s := <-c.lines:
		return s, nil
	case <-c.ctx.Done():
		return "", c.ctx.Err()
	}
}

// child is a child seen from the test.
type child struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	raw  io.ReadCloser
	out  *bufio.Reader
	errs bytes.Buffer
	once sync.Once
	err  error
}

// spawn starts a child. It ends with the test at the latest.
func spawn(t *testing.T, name string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	ok(t, err)
	c := &child{t: t, cmd: exec.Command(exe, args...)}
	c.cmd.Env = append(os.Environ(), childEnv+"="+name)
	c.cmd.Stderr = &c.errs
	c.in, err = c.cmd.StdinPipe()
	ok(t, err)
	c.raw, err = c.cmd.StdoutPipe()
	ok(t, err)
	c.out = bufio.NewReader(c.raw)
	ok(t, c.cmd.Start())
	t.Cleanup(func() {
		c.kill()
		c.wait()
	})
	return c
}

// kill ends the child with SIGKILL.
func (c *child) kill() { c.signal(syscall.SIGKILL) }

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Error(err)
	}
}

// wait waits until the child has ended. What it has written must have been
// read.
func (c *child) wait() error {
	c.once.Do(func() { c.err = c.cmd.Wait() })
	return c.err
}

// killed is the end of a child that was killed, and nothing else.
func (c *child) killed() {
	c.t.Helper()
	c.kill()
	err := c.wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		c.t.Fatalf("the child was not killed but ended by itself: %v\n%s", err, c.errs.String())
	}
}

// finish has the child end by itself, which it must do without an error.
func (c *child) finish() {
	c.t.Helper()
	ok(c.t, c.in.Close())
	_, err := io.Copy(io.Discard, c.out)
	if err = errors.Join(err, c.wait()); err != nil {
		c.t.Fatalf("child: %v\n%s", err, c.errs.String())
	}
}

// say tells the child something.
func (c *child) say(s string) {
	c.t.Helper()
	_, err := io.WriteString(c.in, s+"\n")
	ok(c.t, err)
}

// hear waits for the child to say something.
func (c *child) hear() string {
	c.t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("the child has ended: %v\n%s", errors.Join(err, c.wait()), c.errs.String())
	}
	return strings.TrimSuffix(s, "\n")
}

// expect waits for the child to say s.
func (c *child) expect(s string) {
	c.t.Helper()
	if got := c.hear(); got != s {
		c.t.Fatalf("the child says %q, not %q", got, s)
	}
}

// random returns a generator, and says in the log of a test that fails what
// would make it the same again.
func random(t *testing.T, salt uint64) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("DISKCACHE_TEST_SEED"); s != "" {
		_, err := fmt.Sscan(s, &seed)
		ok(t, err)
	}
	t.Logf("DISKCACHE_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, salt))
}

// quickDir returns a directory in memory, if there is such a thing, for tests
// that ask nothing of a disk.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "diskcache")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { ok(t, os.RemoveAll(dir)) })
	return dir
}

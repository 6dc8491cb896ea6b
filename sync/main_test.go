package sync_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// The tests start this binary again as other processes: with helperVar set to
// the name of a helper and the store's directory as its argument.
const helperVar = "DISKCACHE_SYNC_HELPER"

var helpers = map[string]func(ctx context.Context, p *peer) error{}

// peer is what a helper has: its store, and lines from and to the test.
type peer struct {
	st *cache.Store
	in *bufio.Scanner
}

func (p *peer) say(format string, args ...any) {
	fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// hear returns the next line of the test, or "" at its end.
func (p *peer) hear() string {
	p.in.Scan()
	return p.in.Text()
}

func TestMain(m *testing.M) {
	name := os.Getenv(helperVar)
	if name == "" {
		code := m.Run()
		if code == 0 {
			code = leaked()
		}
		os.Exit(code)
	}
	ctx := context.Background()
	st, err := cache.OpenStore(ctx, os.Args[len(os.Args)-1], nil)
	if err == nil {
		err = helpers[name](ctx, &peer{st: st, in: bufio.NewScanner(os.Stdin)})
	}
	if err == nil {
		err = st.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "helper", name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// leaked reports goroutines of ours that are left when all tests are over.
func leaked() int {
	var stacks string
	for range 100 {
		buf := make([]byte, 1<<20)
		stacks = ""
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "go-diskcache") && !strings.Contains(g, "TestMain") {
				stacks += g + "\n\n"
			}
		}
		if stacks == "" {
			return 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Fprint(os.Stderr, "goroutines are left:\n", stacks)
	return 1
}

// child is a helper process as the test sees it.
type child struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t testing.TB, helper, dir string) *child {
	t.Helper()
	exe, err := os.Executable()
	ok(t, err)
	cmd := exec.Command(exe, dir)
	cmd.Env = append(os.Environ(), helperVar+"="+helper)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	ok(t, err)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	c := &child{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			c.kill()
		}
	})
	return c
}

func (c *child) say(line string) {
	c.t.Helper()
	_, err := fmt.Fprintln(c.in, line)
	ok(c.t, err)
}

func (c *child) hear(want string) {
	c.t.Helper()
	if !c.out.Scan() || c.out.Text() != want {
		c.t.Fatalf("helper says %q, want %q", c.out.Text(), want)
	}
}

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	ok(c.t, c.cmd.Process.Signal(s))
}

// kill ends the process with SIGKILL and waits until it is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// finish closes the helper's input, returns the rest of its output and fails
// the test if the helper failed.
func (c *child) finish() []string {
	c.t.Helper()
	_ = c.in.Close() // perhaps again
	var lines []string
	for c.out.Scan() {
		lines = append(lines, c.out.Text())
	}
	ok(c.t, c.cmd.Wait())
	return lines
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

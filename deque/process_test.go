package deque_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/index"
)

// childEnv makes the test binary one of the children, on a directory.
const childEnv = "DISKCACHE_DEQUE_TEST_CHILD"

var children = map[string]func(ctx context.Context, dir string) error{
	"produce": produce,
	"consume": consume,
	"echo":    echo,
	"hold":    hold,
	"work":    work,
}

func TestMain(m *testing.M) {
	name := os.Getenv(childEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		// Standard input ends when the test wants the child to, or is gone.
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := children[name](ctx, os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "child %s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const produced = 30

// produce pushes numbers, marked with its process.
func produce(ctx context.Context, dir string) error {
	ctx = context.WithoutCancel(ctx) // it ends by itself
	d, err := deque.Open[string](ctx, dir, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	for i := range produced {
		if err := d.PushBack(ctx, fmt.Sprintf("%d %d", os.Getpid(), i)); err != nil {
			return err
		}
	}
	return nil
}

// consume says what it pops, until it is told to end.
func consume(ctx context.Context, dir string) error {
	d, err := deque.Open[string](ctx, dir, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		v, err := d.PopFrontWait(ctx)
		if err == nil {
			fmt.Println(v) // also if it was told to end just now: the item is gone
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
}

// hold claims one item for good and says so.
func hold(ctx context.Context, dir string) error {
	d, err := deque.Open[string](ctx, dir, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	c, err := d.ClaimWait(ctx, deque.UntilClosed)
	if err != nil {
		return err
	}
	fmt.Println(c.Value, c.Attempt)
	<-ctx.Done()
	return c.Nack(context.WithoutCancel(ctx), 0)
}

// work moves items to an index by claims, counting how often each is done.
func work(ctx context.Context, dir string) error {
	d, err := deque.Open[string](ctx, dir, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	done, err := index.New[string, int](ctx, d.Store(), "done", nil)
	if err != nil {
		return err
	}
	for {
		c, err := d.ClaimWait(ctx, deque.UntilClosed)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Println(c.Value)
		err = d.Update(context.WithoutCancel(ctx), func(tx *cache.Tx) error {
			if _, err := cache.Incr(ctx, done.In(tx).Cache(), c.Value, 1); err != nil {
				return err
			}
			return c.In(tx).Ack(ctx)
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// child is a child seen from the test.
type child struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.Closer
	out  *bufio.Scanner
	errs strings.Builder
	once sync.Once
	err  error
}

// spawn starts a child. It ends with the test at the latest.
func spawn(t *testing.T, name, dir string) *child {
	t.Helper()
	exe := must(os.Executable())(t)
	c := &child{t: t, cmd: exec.Command(exe, dir)}
	c.cmd.Env = append(os.Environ(), childEnv+"="+name)
	c.cmd.Stderr = &c.errs
	c.in = must(c.cmd.StdinPipe())(t)
	c.out = bufio.NewScanner(must(c.cmd.StdoutPipe())(t))
	ok(t, c.cmd.Start())
	t.Cleanup(c.kill)
	return c
}

func (c *child) hear() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("the child has ended: %v %s", c.wait(), c.errs.String())
	}
	return c.out.Text()
}

func (c *child) kill() {
	c.cmd.Process.Kill()
	c.wait()
}

func (c *child) wait() error {
	c.once.Do(func() { c.err = c.cmd.Wait() })
	return c.err
}

// finish has the child end by itself, and returns what it says until then.
func (c *child) finish() (lines []string) {
	c.in.Close()
	for c.out.Scan() {
		lines = append(lines, c.out.Text())
	}
	if err := c.wait(); err != nil {
		c.t.Errorf("child: %v %s", err, c.errs.String())
	}
	return lines
}

// With several processes at both ends, each item is handed out once, and those
// of one producer come to each consumer in order.
func TestProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var producers, consumers []*child
	for range 2 {
		consumers = append(consumers, spawn(t, "consume", dir))
		producers = append(producers, spawn(t, "produce", dir))
	}
	for _, p := range producers {
		p.finish()
	}
	d := must(deque.Open[string](t.Context(), dir, nil))(t)
	defer d.Close()
	for must(d.Len(t.Context()))(t) > 0 {
		time.Sleep(time.Millisecond)
	}
	seen := map[string]bool{}
	for _, c := range consumers {
		last := map[int]int{}
		for _, line := range c.finish() {
			if seen[line] {
				t.Errorf("%q was handed out twice", line)
			}
			seen[line] = true
			var pid, n int
			if _, err := fmt.Sscan(line, &pid, &n); err != nil {
				t.Fatal(err)
			}
			if before, known := last[pid]; known && n <= before {
				t.Errorf("%d after %d", n, before)
			}
			last[pid] = n
		}
	}
	equal(t, len(seen), len(producers)*produced)
}

// What a process holds that is killed comes back to whoever waits, at once and
// whatever the lease.
func TestKilledHolder(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	d := must(deque.Open[string](ctx, dir, nil))(t)
	defer d.Close()
	push(t, d, "a", "b")
	first := spawn(t, "hold", dir)
	equal(t, first.hear(), "a 1")
	second := spawn(t, "hold", dir)
	equal(t, second.hear(), "b 1")
	empty(t, d)
	third := spawn(t, "hold", dir)
	first.kill()
	equal(t, third.hear(), "a 2")
	third.kill()
	c := claim(t, d, time.Minute)
	equal(t, c.Value, "a")
	equal(t, c.Attempt, 3)
	empty(t, d)
	second.finish() // gives it back
	pops(t, d, "b")
	ok(t, c.Ack(ctx))
	holds(t, d)
}

// Workers that are killed at any moment lose nothing and do nothing twice,
// where the work is committed with the Ack.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	d := must(deque.Open[string](ctx, dir, nil))(t)
	defer d.Close()
	done := must(index.New[string, int](ctx, d.Store(), "done", nil))(t)
	const n = 90
	var items []string
	for i := range n {
		items = append(items, fmt.Sprint(i))
	}
	// Each has items of its own: where this process does not get the processor,
	// one of them may have done all that there are before it is killed.
	for i := range 3 {
		push(t, d, items[i*n/3:(i+1)*n/3]...)
		victim := spawn(t, "work", dir)
		for range 3 * (i + 1) {
			victim.hear()
		}
		victim.kill()
	}
	workers := []*child{spawn(t, "work", dir), spawn(t, "work", dir)}
	changed, stop, err := done.Cache().Watch()
	ok(t, err)
	defer stop()
	for must(done.Len(ctx))(t) < n {
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatal("the workers that are left do nothing")
		}
	}
	for _, w := range workers {
		w.finish()
	}
	for e, err := range done.All(ctx) {
		ok(t, err)
		if e.Value != 1 {
			t.Errorf("item %s was done %d times", e.Key, e.Value)
		}
	}
	holds(t, d)
}

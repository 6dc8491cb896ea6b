package deque_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/deque"
)

// python is a Python process that has a Deque open.
type python struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// startPython starts Python, which runs setup and then answers expressions.
func startPython(t *testing.T, dir, setup string) *python {
	t.Helper()
	const exe = "/usr/bin/python3"
	if err := exec.Command(exe, "-c", "import diskcache").Run(); err != nil {
		t.Skip("Python's diskcache is not installed")
	}
	script := "import sys, diskcache\ndir = sys.argv[1]\n" + setup + `
for line in sys.stdin:
    try:
        print(repr(eval(line)), flush=True)
    except Exception as e:
        print(type(e).__name__, e, flush=True)
`
	cmd := exec.Command(exe, "-c", script, dir)
	in := must(cmd.StdinPipe())(t)
	out := must(cmd.StdoutPipe())(t)
	ok(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &python{t: t, in: in, out: bufio.NewReader(out)}
}

func (p *python) say(expr string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in, expr)
	ok(p.t, err)
}

// is checks what Python makes of an expression.
func (p *python) is(expr, want string) {
	p.t.Helper()
	p.say(expr)
	p.answers(want)
}

func (p *python) answers(want string) {
	p.t.Helper()
	got, err := p.out.ReadString('\n')
	ok(p.t, err)
	equal(p.t, strings.TrimSpace(got), want)
}

// Python's Deque and this one use a directory at the same time, whoever made
// it.
func TestPython(t *testing.T) {
	for _, first := range []string{"Go", "Python"} {
		t.Run(first, func(t *testing.T) {
			dir, ctx := t.TempDir(), t.Context()
			var d *deque.Deque[string]
			defer func() {
				if d != nil {
					d.Close()
				}
			}()
			if first == "Go" {
				d = must(deque.Open[string](ctx, dir, nil))(t)
			}
			p := startPython(t, dir, "d = diskcache.Deque(directory=dir)")
			if first == "Python" {
				d = must(deque.Open[string](ctx, dir, nil))(t)
			}
			p.is("d._cache.eviction_policy", "'none'")
			p.is("d.extend(['a', 'b'])", "None")
			push(t, d, "c", "d")
			p.is("d.appendleft('z')", "None")
			p.is("list(d)", "['z', 'a', 'b', 'c', 'd']")
			holds(t, d, "z", "a", "b", "c", "d")
			ok(t, d.Rotate(ctx, 2))
			p.is("list(d), len(d), d[1]", "(['c', 'd', 'z', 'a', 'b'], 5, 'd')")
			p.is("d.rotate(-2), d.reverse()", "(None, None)")
			holds(t, d, "d", "c", "b", "a", "z")
			ok(t, d.Reverse(ctx))
			p.is("list(d)", "['z', 'a', 'b', 'c', 'd']")
			ok(t, d.RemoveAt(ctx, 1))
			p.is("d.remove('b')", "None")
			holds(t, d, "z", "c", "d")
			big := strings.Repeat("x", 40_000)
			p.is("d.append('x' * 40000)", "None")
			v, _, err := d.PopBack(ctx)
			ok(t, err)
			equal(t, v, big)

			// What is claimed or delayed is not there for Python.
			c := claim(t, d, time.Hour)
			equal(t, c.Value, "z")
			ok(t, d.PushBack(ctx, "later", deque.Delay(time.Hour)))
			p.is("list(d)", "['c', 'd']")
			ok(t, c.Nack(ctx, 0))
			p.is("d.popleft(), d.pop(), d.pop()", "('z', 'd', 'c')")
			p.is("d.pop()", "IndexError pop from an empty deque")
			empty(t, d)

			// A push by Python wakes who waits here.
			got := make(chan string)
			go func() {
				v, err := d.PopFrontWait(ctx)
				if err != nil {
					t.Error(err)
				}
				got <- v
			}()
			p.is("d.append('wake')", "None")
			equal(t, <-got, "wake")

			// The maximum length is enforced by the next push here.
			ok(t, d.SetMaxLen(ctx, 2))
			p.is("d.extend('xyz')", "None")
			push(t, d, "!")
			p.is("list(d)", "['z', '!']")

			p.is("d.appendleft({1, 2})", "None")
			_, _, err = d.PopFront(ctx)
			is(t, err, cache.ErrCodecMismatch)
			is(t, d.Reverse(ctx), cache.ErrCodecMismatch)
			p.is("list(d)", "[{1, 2}, 'z', '!']")
			ok(t, d.RemoveAt(ctx, 0))
			holds(t, d, "z", "!")
			equal(t, len(must(d.Store().Check(ctx, nil))(t).Problems), 0)
			p.is("d._cache.check()", "[]")
		})
	}
}

// The same with DiskCache's JSONDisk.
func TestPythonJSON(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	type job struct {
		URL   string `json:"url"`
		Depth int    `json:"depth"`
	}
	d := must(deque.Open(ctx, dir, &deque.Options[job]{Values: codec.Zlib(codec.JSON[job](), 1)}))(t)
	defer d.Close()
	p := startPython(t, dir, "d = diskcache.Deque.fromcache(diskcache.Cache(dir, disk=diskcache.JSONDisk, eviction_policy='none'))")
	push(t, d, job{"a", 1}, job{"b", 2})
	p.is("d.peekleft(), d.peek()", "({'url': 'a', 'depth': 1}, {'url': 'b', 'depth': 2})")
	p.is("d.append({'depth': 3, 'url': 'c'})", "None")
	equal(t, must(d.Count(ctx, job{"c", 3}))(t), 1) // whatever the order of the members
	p.is("d.popleft()", "{'url': 'a', 'depth': 1}")
	holds(t, d, job{"b", 2}, job{"c", 3})
}

// Whatever Python has done to an end since, the next push goes beyond it.
func TestPythonBetween(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	d := must(deque.Open[int](ctx, dir, nil))(t)
	defer d.Close()
	p := startPython(t, dir, "d = diskcache.Deque(directory=dir)")
	var want []int
	for i := range 10 {
		for _, step := range []struct {
			python string
			after  func()
		}{
			{"d.append(-1)", func() { want = append(want, -1) }},
			{"d.appendleft(-2)", func() { want = slices.Insert(want, 0, -2) }},
			{"[d.pop()] and None", func() { want = want[:len(want)-1] }},
			{"[d.popleft()] and None", func() { want = want[1:] }},
			{"d.rotate(3)", func() { want = slices.Concat(want[len(want)-3:], want[:len(want)-3]) }},
			{"d.reverse()", func() { slices.Reverse(want) }},
			{"None", func() {}},
		} {
			for range 1 + i%3 { // the first learns, others know
				ok(t, d.PushBack(ctx, i))
				ok(t, d.PushFront(ctx, i+100))
				want = slices.Concat([]int{i + 100}, want, []int{i})
			}
			p.is(step.python, "None")
			step.after()
		}
		holds(t, d, want...)
	}
	p.is("d.clear()", "None")
	holds[int](t, d)
	ok(t, d.PushBack(ctx, 1))
	ok(t, d.PushBack(ctx, 2))
	holds(t, d, 1, 2)
	p.is("list(d), d._cache.check()", "([1, 2], [])")
}

// Both push and pop at once: each item is handed out once, in the order of its
// producer.
func TestPythonAtOnce(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	d := must(deque.Open[int](ctx, dir, nil))(t)
	defer d.Close()
	p := startPython(t, dir, "d = diskcache.Deque(directory=dir)")
	const n = 100
	p.say(fmt.Sprintf("[d.append(i) for i in range(%d)] and len([d.popleft() for i in range(%d)])", n, n/2))
	var got []int
	for i := range n {
		ok(t, d.PushBack(ctx, n+i))
		v, err := d.PopFrontWait(ctx)
		ok(t, err)
		got = append(got, v)
	}
	p.answers(fmt.Sprint(n / 2))
	got = append(got, must(d.PopFrontN(ctx, n))(t)...)
	equal(t, len(got), 2*n-n/2)
	var own, foreign []int
	for _, v := range got {
		if v < n {
			foreign = append(foreign, v)
		} else {
			own = append(own, v)
		}
	}
	if !slices.IsSorted(own) || !slices.IsSorted(foreign) {
		t.Errorf("out of order: %v", got)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 2*n-n/2 {
		t.Error("an item was handed out twice")
	}
}

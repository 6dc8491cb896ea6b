package index_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/codec"
	"github.com/go-diskcache/diskcache/index"
)

// python is a Python process that has an Index open.
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

// is checks what Python makes of an expression.
func (p *python) is(expr, want string) {
	p.t.Helper()
	fmt.Fprintln(p.in, expr)
	got, err := p.out.ReadString('\n')
	ok(p.t, err)
	equal(p.t, strings.TrimSpace(got), want)
}

// Python's Index and this one use a directory at the same time, whoever made
// it.
func TestPython(t *testing.T) {
	for _, first := range []string{"Go", "Python"} {
		t.Run(first, func(t *testing.T) {
			dir, ctx := t.TempDir(), t.Context()
			var x *index.Index[string, int]
			defer func() {
				if x != nil {
					closing(t, x)
				}
			}()
			if first == "Go" {
				x = must(index.Open[string, int](ctx, dir, nil))(t)
			}
			p := startPython(t, dir, "x = diskcache.Index(dir)")
			if first == "Python" {
				x = must(index.Open[string, int](ctx, dir, nil))(t)
			}
			p.is(`x.update([("b", 2), ("a", 1)])`, "None")
			ok(t, x.Set(ctx, "c", 3))
			p.is("list(x.items())", "[('b', 2), ('a', 1), ('c', 3)]")
			equal(t, must(index.EqualMap(ctx, x, map[string]int{"a": 1, "b": 2, "c": 3}))(t), true)
			e, _, err := x.PopFirst(ctx)
			ok(t, err)
			equal(t, e.Key, "b")
			p.is("x.popitem()", "('c', 3)")
			p.is("x.push(7, prefix='q')", "'q-500000000000000'")
			qe, _, err := x.Queue("q").PopFront(ctx)
			ok(t, err)
			equal(t, qe.Value, 7)
			p.is("x == {'a': 1}, len(x)", "(True, 1)")
			p.is("x.cache.eviction_policy", "'none'")
		})
	}
}

// The same with DiskCache's JSONDisk, which compresses keys too.
func TestPythonJSON(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	type user struct {
		Name string `json:"name"`
		Age  int    `json:"age"`
	}
	x := must(index.Open(ctx, dir, &index.Options[[]int, user]{
		Keys:   codec.Zlib(codec.JSON[[]int](), 1),
		Values: codec.Zlib(codec.JSON[user](), 1),
	}))(t)
	defer closing(t, x)
	p := startPython(t, dir, "x = diskcache.Index.fromcache(diskcache.Cache(dir, disk=diskcache.JSONDisk, eviction_policy='none'))")
	ok(t, x.Set(ctx, []int{1, 2}, user{"Ann", 7}))
	p.is("x[[1, 2]]", "{'name': 'Ann', 'age': 7}")
	p.is("x.__setitem__([3], {'age': 8, 'name': 'Bob'})", "None")
	v, _, err := x.Get(ctx, []int{3})
	ok(t, err)
	equal(t, v, user{"Bob", 8})
	p.is("list(x)", "[[1, 2], [3]]")
	p.is("x.popitem(last=False)", "([1, 2], {'name': 'Ann', 'age': 7})")
	equal(t, must(x.Len(ctx))(t), 1)
}

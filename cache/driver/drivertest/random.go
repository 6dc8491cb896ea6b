package drivertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Side is one of the stores that are compared.
type Side struct {
	Name string

	// Open returns handles of one new, empty store. Operations are spread
	// over them. It is called for each run, and again to find out which
	// operations a failure needs; what it returns is closed after the run.
	Open func(t testing.TB) []driver.Store
}

// Random does the same pseudo-random operations, a number of ops, on all
// sides and compares every result. Of IDs it compares the order, and that a row
// keeps its own; of fences that they grow. Time is a parameter of the operations
// and jumps in both directions. A failure shows the seed and the
// shortest list of operations that was found to fail.
func Random(t testing.TB, seed uint64, ops int, sides ...Side) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	g := newGenerator(r.IntN)
	program := make([]op, ops)
	for i := range program {
		program[i] = g.op()
	}
	replay(t, fmt.Sprintf("seed %d, %d operations", seed, ops), program, sides)
}

// maxProgram bounds the operations that Bytes does.
const maxProgram = 200

// Bytes is Random with choices made by data instead of a seed, for fuzzing.
func Bytes(t testing.TB, data []byte, sides ...Side) {
	t.Helper()
	g := newGenerator(func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	})
	var program []op
	for len(data) > 0 && len(program) < maxProgram {
		program = append(program, g.op())
	}
	replay(t, "bytes", program, sides)
}

// replay runs a program and reports a difference.
func replay(t testing.TB, source string, program []op, sides []Side) {
	t.Helper()
	failure := run(t, program, sides)
	if failure == nil {
		return
	}
	program, failure = shrink(t, program[:failure.done], failure, sides)
	var trace strings.Builder
	for i, o := range program {
		fmt.Fprintf(&trace, "%3d %v\n", i, o)
	}
	t.Fatalf("%s: %s\noperations:\n%s", source, failure.what, &trace)
}

// failure says how far a run came, and what was wrong there.
type failure struct {
	done int // operations, the one that failed included
	what string
}

// shrinking is how long to look for a shorter program that fails.
const shrinking = 15 * time.Second

// shrink leaves operations out, in pieces that get smaller and smaller, as
// long as the rest still fails.
func shrink(t testing.TB, program []op, found *failure, sides []Side) ([]op, *failure) {
	t.Helper()
	deadline := time.Now().Add(shrinking)
	for size := max(len(program)/2, 1); ; size /= 2 {
		for from := 0; from < len(program) && time.Now().Before(deadline); {
			shorter := append(program[:from:from], program[min(from+size, len(program)):]...)
			if f := run(t, shorter, sides); f != nil {
				program, found = shorter[:f.done], f
			} else {
				from += size
			}
		}
		if size <= 1 {
			return program, found
		}
	}
}

// run does the program on new stores and returns the first difference.
func run(t testing.TB, program []op, sides []Side) *failure {
	t.Helper()
	var runners []*runner
	defer func() {
		for _, r := range runners {
			r.close(t)
		}
	}()
	for _, s := range sides {
		r, err := newRunner(s.Name, s.Open(t))
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		runners = append(runners, r)
	}
	inline := slices.ContainsFunc(runners, func(r *runner) bool { _, ok := r.handles[0].(driver.Filer); return !ok })
	for _, r := range runners {
		r.inline = inline
	}
	// In the end everything is looked at.
	complete := append(program[:len(program):len(program)], inspection()...)
	pairs := make([]idPairs, len(runners))
	for i, o := range complete {
		var want outcome
		for n, r := range runners {
			got := r.do(o)
			if n == 0 {
				want = got
				continue
			}
			d := cmp.Diff(want, got, same, cmpopts.IgnoreFields(driver.Row{}, "ID"))
			if d == "" {
				d = pairs[n].compare(&o, &want, &got)
			}
			if d != "" {
				return &failure{
					done: min(i+1, len(program)),
					what: fmt.Sprintf("%v differs (-%s +%s):\n%s", o, runners[0].name, r.name, d),
				}
			}
		}
	}
	return nil
}

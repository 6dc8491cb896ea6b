//go:build linux

package cache_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// event is what a process does to a key.
type event struct {
	kind string
	a, b int64 // what is asked for
	got  int64 // what is returned, or unknown
}

const (
	absent  = 0
	unknown = math.MinInt64
)

// apply returns what a key holds after an event, and what the event returns.
func (e event) apply(was int64) (next, returns int64) {
	found := min(was, 1)
	switch e.kind {
	case "get":
		return was, was
	case "set":
		return e.a, unknown
	case "delete":
		return absent, found
	case "clear":
		return absent, unknown
	case "incr":
		return was + e.a, was + e.a
	case "swap": // a transaction that reads and writes
		return e.a, was
	case "touch":
		return was, found
	case "cas":
		if was == e.a {
			return e.b, 1
		}
		return was, 0
	case "update": // SQL
		if was == absent {
			return absent, 0
		}
		return e.a, 1
	}
	panic("unknown kind of event " + e.kind)
}

// registers is the model of a key: a number, or absent.
var registers = porcupine.Model{
	Init: func() any { return int64(absent) },
	Step: func(state, input, _ any) (bool, any) {
		e := input.(event)
		next, returns := e.apply(state.(int64))
		return e.got == unknown || returns == unknown || e.got == returns, next
	},
}

// recorder gathers what processes say they do, as lines of text, with times of
// CLOCK_MONOTONIC. An id tells threads of a process apart.
//
//   - id key kind a b time    something begins that may change the key
//   - id returned time        it has returned
//     ! id                      it has failed and changed nothing
//     = key returned time time  a get, from begin to end
//
// Of what has begun and not ended, because the process was killed, nobody
// knows whether it has happened.
type recorder struct {
	mu  sync.Mutex
	ops map[string][]porcupine.Operation
	bad []string
}

func newRecorder() *recorder { return &recorder{ops: make(map[string][]porcupine.Operation)} }

// record takes in the lines of a process until it ends.
func (h *recorder) record(out io.Reader) {
	type place struct {
		key string
		i   int
	}
	begun := make(map[string]place)
	for in := bufio.NewScanner(out); in.Scan(); {
		f := strings.Fields(in.Text())
		n := make([]int64, len(f))
		for i := range f {
			n[i], _ = strconv.ParseInt(f[i], 10, 64)
		}
		h.mu.Lock()
		switch {
		case len(f) == 7 && f[0] == "+":
			h.ops[f[2]] = append(h.ops[f[2]], porcupine.Operation{
				Input: event{f[3], n[4], n[5], unknown}, Call: n[6], Return: math.MaxInt64,
			})
			begun[f[1]] = place{f[2], len(h.ops[f[2]]) - 1}
		case len(f) == 4 && f[0] == "-":
			at := begun[f[1]]
			op := &h.ops[at.key][at.i]
			e := op.Input.(event)
			e.got = n[2]
			op.Input, op.Return = e, n[3]
		case len(f) == 2 && f[0] == "!":
			at := begun[f[1]]
			h.ops[at.key][at.i].Input = nil
		case len(f) == 5 && f[0] == "=":
			h.ops[f[1]] = append(h.ops[f[1]], porcupine.Operation{Input: event{"get", 0, 0, n[2]}, Call: n[3], Return: n[4]})
		default:
			h.bad = append(h.bad, in.Text())
		}
		h.mu.Unlock()
	}
}

// check demands that each key was a register. It returns the number of events.
func (h *recorder) check(t *testing.T) int {
	t.Helper()
	if len(h.bad) > 20 { // whoever is killed may leave half a line
		t.Errorf("lines that were not understood: %q", h.bad)
	}
	total, quick, open := 0, 0, 0
	for key, ops := range h.ops {
		ops = slices.DeleteFunc(ops, func(o porcupine.Operation) bool { return o.Input == nil })
		for _, o := range ops {
			if o.Input.(event).kind == "get" && o.Return-o.Call < 3000 {
				quick++
			}
			if o.Return == math.MaxInt64 {
				open++
			}
		}
		total += len(ops)
		res, info := porcupine.CheckOperationsVerbose(registers, ops, 2*time.Minute)
		if res != porcupine.Ok {
			t.Errorf("the history of %s, %d events, is %s", key, len(ops), res)
			explain(t, ops, info.PartialLinearizationsOperations())
		}
	}
	t.Logf("%d events of %d keys, %d of which did not end; %d gets took less than 3 us", total, len(h.ops), open, quick)
	return total
}

// explain shows what is near the end of the longest part of a history that is
// one of a register.
func explain(t *testing.T, ops []porcupine.Operation, parts [][][]porcupine.Operation) {
	var longest []porcupine.Operation
	for _, p := range parts {
		for _, l := range p {
			if len(l) > len(longest) {
				longest = l
			}
		}
	}
	if len(longest) == 0 {
		return
	}
	end := int64(0)
	for _, o := range longest {
		end = max(end, o.Call)
	}
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	const around = int64(time.Millisecond)
	for _, o := range ops {
		if o.Call < end+around && (o.Return > end-around && o.Return < math.MaxInt64) {
			t.Logf("%8d to %8d ns: %+v", o.Call-end, o.Return-end, o.Input)
		} else if o.Return == math.MaxInt64 && o.Call < end {
			t.Logf("%8d, did not end: %+v", o.Call-end, o.Input)
		}
	}
}

// A history with a stale read is found.
func TestRegisters(t *testing.T) {
	for stale, want := range map[int64]porcupine.CheckResult{2: porcupine.Ok, 1: porcupine.Illegal, 0: porcupine.Illegal} {
		h := newRecorder()
		h.record(strings.NewReader(fmt.Sprintf("+ 1 k set 1 0 10\n- 1 0 20\n+ 1 k swap 2 0 30\n- 1 1 40\n+ 1 k set 7 0 41\n! 1\n+ 2 k delete 0 0 35\n= k %d 50 60\n", stale)))
		got := porcupine.CheckOperations(registers, slices.DeleteFunc(h.ops["k"], func(o porcupine.Operation) bool { return o.Input == nil }))
		if stale == 0 {
			want = porcupine.Ok // the delete that did not end may have happened
		}
		if got != (want == porcupine.Ok) || len(h.bad) > 0 {
			t.Errorf("read %d: %v, want %v %q", stale, got, want, h.bad)
		}
	}
}

package deque_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/deque"
)

func filled(b *testing.B, n int) *deque.Deque[int] {
	b.Helper()
	d, err := deque.Open[int](b.Context(), b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	chunk := make([]int, 10_000)
	for left := n; left > 0; left -= len(chunk) {
		if err := d.PushBackMany(b.Context(), slices.Values(chunk[:min(left, len(chunk))])); err != nil {
			b.Fatal(err)
		}
	}
	return d
}

// Each benchmark runs with a short deque and a long one: the costs are to be
// the same.
func onLengths(b *testing.B, fn func(b *testing.B, d *deque.Deque[int])) {
	for _, n := range []int{10, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := filled(b, n)
			b.ResetTimer()
			fn(b, d)
		})
	}
}

func BenchmarkPushBackPopFront(b *testing.B) {
	onLengths(b, func(b *testing.B, d *deque.Deque[int]) {
		ctx := b.Context()
		for i := 0; b.Loop(); i++ {
			if err := d.PushBack(ctx, i); err != nil {
				b.Fatal(err)
			}
			if _, ok, err := d.PopFront(ctx); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}

func BenchmarkPushBack(b *testing.B) {
	onLengths(b, func(b *testing.B, d *deque.Deque[int]) {
		for i := 0; b.Loop(); i++ {
			if err := d.PushBack(b.Context(), i); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The deque gets shorter, down to 10 items.
func BenchmarkPopFront(b *testing.B) {
	d := filled(b, b.N+10)
	b.ResetTimer()
	for range b.N {
		if _, ok, err := d.PopFront(b.Context()); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkPushBackManyPopFrontN100(b *testing.B) {
	onLengths(b, func(b *testing.B, d *deque.Deque[int]) {
		ctx := b.Context()
		batch := make([]int, 100)
		for b.Loop() {
			if err := d.PushBackMany(ctx, slices.Values(batch)); err != nil {
				b.Fatal(err)
			}
			if vs, err := d.PopFrontN(ctx, len(batch)); len(vs) != len(batch) || err != nil {
				b.Fatal(len(vs), err)
			}
		}
	})
}

func BenchmarkAtMiddle(b *testing.B) {
	onLengths(b, func(b *testing.B, d *deque.Deque[int]) {
		n, err := d.Len(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := d.At(b.Context(), n/2); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A hole in the middle takes away the short cut.
func BenchmarkAtMiddleWithHole(b *testing.B) {
	onLengths(b, func(b *testing.B, d *deque.Deque[int]) {
		n, err := d.Len(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := d.RemoveAt(b.Context(), n/2); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := d.At(b.Context(), n/2-1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkClaimAck(b *testing.B) {
	onLengths(b, func(b *testing.B, d *deque.Deque[int]) {
		ctx := b.Context()
		for i := 0; b.Loop(); i++ {
			if err := d.PushBack(ctx, i); err != nil {
				b.Fatal(err)
			}
			c, ok, err := d.Claim(ctx, deque.UntilClosed)
			if !ok || err != nil {
				b.Fatal(ok, err)
			}
			if err := c.Ack(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// How long after another process has pushed a waiter has the item, with what
// the push itself takes.
func BenchmarkWakeAcrossProcesses(b *testing.B) {
	dir := b.TempDir()
	there, err := deque.Open[string](b.Context(), dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer there.Close()
	back, err := deque.New[string](b.Context(), there.Store(), "back", nil)
	if err != nil {
		b.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	echo := exec.Command(exe, dir)
	echo.Env = append(os.Environ(), childEnv+"=echo")
	if _, err := echo.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	if err := echo.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		echo.Process.Kill()
		echo.Wait()
	}()
	var took []time.Duration
	turn := func() {
		began := time.Now()
		if err := there.PushBack(b.Context(), "ping"); err != nil {
			b.Fatal(err)
		}
		if _, err := back.PopFrontWait(b.Context()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began)/2)
	}
	turn() // the child has started
	took = nil
	for b.Loop() {
		turn()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "wake-p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "wake-p99-us")
}

// echo pushes what it pops back.
func echo(ctx context.Context, dir string) error {
	there, err := deque.Open[string](ctx, dir, nil)
	if err != nil {
		return err
	}
	defer there.Close()
	back, err := deque.New[string](ctx, there.Store(), "back", nil)
	if err != nil {
		return err
	}
	for {
		v, err := there.PopFrontWait(ctx)
		if err != nil {
			return err
		}
		if err := back.PushBack(ctx, v); err != nil {
			return err
		}
	}
}

// BenchmarkBeside is pushes, then as many pops, next to Python's, in turns: the
// machine's noise hits both. It reports medians of single calls and the means of
// all, in microseconds.
func BenchmarkBeside(b *testing.B) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import diskcache").Run() != nil {
		b.Skip("Python's diskcache is not installed")
	}
	const script = `
import sys, time, diskcache
d = diskcache.Deque(directory=sys.argv[1])
def loop(fn):
    for i in range(2000):
        t = time.perf_counter_ns()
        fn(i)
        print(time.perf_counter_ns() - t)
loop(d.append)
loop(lambda i: d.popleft())`
	d, dir := filled(b, 10), b.TempDir()
	var push, pop, pyAppend, popleft []float64
	for b.Loop() {
		out, err := exec.Command(python, "-c", script, dir).Output()
		if err != nil {
			b.Fatal(err)
		}
		lines := strings.Fields(string(out))
		for i, line := range lines {
			ns, err := strconv.ParseFloat(line, 64)
			if err != nil {
				b.Fatal(err)
			}
			if i < len(lines)/2 {
				pyAppend = append(pyAppend, ns/1000)
			} else {
				popleft = append(popleft, ns/1000)
			}
		}
		took := func(fn func() error) float64 {
			began := time.Now()
			if err := fn(); err != nil {
				b.Fatal(err)
			}
			return float64(time.Since(began).Nanoseconds()) / 1000
		}
		for i := range len(lines) / 2 {
			push = append(push, took(func() error { return d.PushBack(b.Context(), i) }))
		}
		for range len(lines) / 2 {
			pop = append(pop, took(func() error {
				_, ok, err := d.PopFront(b.Context())
				if !ok {
					err = errors.New("nothing to pop")
				}
				return err
			}))
		}
	}
	for _, m := range []struct {
		name         string
		ours, python []float64
	}{{"push", push, pyAppend}, {"pop", pop, popleft}} {
		b.ReportMetric(median(m.ours), m.name+"-us")
		b.ReportMetric(median(m.python), m.name+"-python-us")
		b.ReportMetric(median(m.ours)/median(m.python), m.name+"-ratio")
		b.ReportMetric(mean(m.ours), m.name+"-mean-us")
		b.ReportMetric(mean(m.python), m.name+"-python-mean-us")
	}
	b.ReportMetric(0, "ns/op")
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

func mean(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

package deque_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
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
		if err := d.PushAll(b.Context(), slices.Values(chunk[:min(left, len(chunk))])); err != nil {
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

func BenchmarkPushAllPopN100(b *testing.B) {
	onLengths(b, func(b *testing.B, d *deque.Deque[int]) {
		ctx := b.Context()
		batch := make([]int, 100)
		for b.Loop() {
			if err := d.PushAll(ctx, slices.Values(batch)); err != nil {
				b.Fatal(err)
			}
			if vs, err := d.PopN(ctx, len(batch)); len(vs) != len(batch) || err != nil {
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
			c, ok, err := d.Claim(ctx, -1)
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

// Python's Deque, for comparison: a push and a pop together.
func BenchmarkPython(b *testing.B) {
	const script = `
import sys, time, diskcache
d = diskcache.Deque(directory=sys.argv[1])
for i in range(%d): d.append(i)
n = 2000
t = time.time()
for i in range(n): d.append(i)
append = time.time() - t
t = time.time()
for i in range(n): d.popleft()
print(append / n * 1e9, (time.time() - t) / n * 1e9)`
	for b.Loop() {
		out, err := exec.Command("/usr/bin/python3", "-c", fmt.Sprintf(script, 10), b.TempDir()).Output()
		if err != nil {
			b.Skip("Python's diskcache is not installed")
		}
		var push, pop float64
		if _, err := fmt.Sscan(string(out), &push, &pop); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(push, "append-ns")
		b.ReportMetric(pop, "popleft-ns")
	}
}

package deque_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/deque"
)

func init() {
	// pop pops what comes and tells when it had it.
	children["pop"] = func(ctx context.Context, dir string) error {
		return stamp(ctx, dir, func(ctx context.Context, d *deque.Deque[int]) error {
			_, err := d.PopFrontWait(ctx)
			return err
		})
	}
	// watch tells when it was told that something has changed.
	children["watch"] = func(ctx context.Context, dir string) error {
		var changed <-chan struct{}
		return stamp(ctx, dir, func(ctx context.Context, d *deque.Deque[int]) (err error) {
			if changed == nil {
				if changed, _, err = d.Cache().Watch(); err != nil {
					return err
				}
				if ok, err := d.Cache().Contains(ctx, 0); ok || err != nil {
					return err
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
	}
}

func stamp(ctx context.Context, dir string, wait func(ctx context.Context, d *deque.Deque[int]) error) error {
	d, err := deque.Open[int](ctx, dir, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		if err := wait(ctx, d); err != nil {
			return nil
		}
		fmt.Println(monotonic())
	}
}

// monotonic is a clock that all processes share, in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// BenchmarkWake measures how long after a push was called a waiter in another
// process has the item, or is told by its Watch; how long after its commit
// began; and how long after it has returned, which is less than nothing where the waiter has taken the
// processor from it. The processes idle for a millisecond before.
func BenchmarkWake(b *testing.B) {
	for _, kind := range []string{"pop", "watch"} {
		b.Run(kind, func(b *testing.B) {
			dir := b.TempDir()
			d, err := deque.Open[int](b.Context(), dir, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			exe, err := os.Executable()
			if err != nil {
				b.Fatal(err)
			}
			child := exec.Command(exe, dir)
			child.Env = append(os.Environ(), childEnv+"="+kind)
			in, err := child.StdinPipe()
			if err != nil {
				b.Fatal(err)
			}
			pipe, err := child.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			if err := child.Start(); err != nil {
				b.Fatal(err)
			}
			defer child.Wait()
			defer in.Close()
			told := bufio.NewScanner(pipe)
			push := func() (committing, pushed int64) {
				err := d.Store().Update(b.Context(), func(tx *cache.Tx) error {
					err := d.In(tx).PushBack(tx.Context(), 1)
					committing = monotonic()
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
				return committing, monotonic()
			}
			hear := func() int64 {
				if !told.Scan() {
					b.Fatal("the child has ended")
				}
				t, err := strconv.ParseInt(told.Text(), 10, 64)
				if err != nil {
					b.Fatal(err)
				}
				return t
			}
			push()
			hear()
			time.Sleep(100 * time.Millisecond) // spurious signals of the start are over
			var took, since, after []int64
			for b.Loop() {
				time.Sleep(time.Millisecond)
				began := monotonic()
				committing, pushed := push()
				for t := hear(); ; t = hear() {
					if t > began { // else it was a signal too much
						took, since, after = append(took, t-began), append(since, t-committing), append(after, t-pushed)
						break
					}
				}
			}
			for _, x := range [][]int64{took, since, after} {
				slices.Sort(x)
			}
			b.ReportMetric(float64(took[len(took)/2])/1000, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100])/1000, "p99-us")
			b.ReportMetric(float64(since[len(since)/2])/1000, "p50-us-commit")
			b.ReportMetric(float64(after[len(after)/2])/1000, "p50-us-after-push")
			b.ReportMetric(0, "ns/op")
		})
	}
}

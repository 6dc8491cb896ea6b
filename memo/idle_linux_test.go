package memo_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-diskcache/diskcache/deque"
	"github.com/go-diskcache/diskcache/memo"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// BenchmarkIdle measures the processor time of a process with twelve
// goroutines that wait: for locks, for items of deques, and for computations
// of another store. It is in percent of one core.
func BenchmarkIdle(b *testing.B) {
	dir := b.TempDir()
	busy, st := openDir(b, dir), openDir(b, dir)
	ctx, cancel := context.WithCancel(b.Context())
	computing := make(chan struct{}, 1)
	compute := func(ctx context.Context, _ int) (int, error) {
		computing <- struct{}{}
		<-ctx.Done()
		return 0, ctx.Err()
	}
	theirs, err := memo.New(ctx, busy, "m", compute, nil)
	ok(b, err)
	ours, err := memo.New(ctx, st, "m", compute, nil)
	ok(b, err)
	lock, err := dsync.NewLock(ctx, busy, "l", nil)
	ok(b, err)
	g, err := lock.Lock(ctx)
	ok(b, err)
	lock, err = dsync.NewLock(ctx, st, "l", nil)
	ok(b, err)
	d, err := deque.New[int](ctx, st, "d", nil)
	ok(b, err)
	var all sync.WaitGroup
	all.Go(func() { _, _ = theirs.Call(ctx, 1) })
	<-computing
	for range 4 {
		all.Go(func() { _, _ = ours.Call(ctx, 1) })
		all.Go(func() { _, _ = d.PopFrontWait(ctx) })
		all.Go(func() { _, _ = lock.Lock(ctx) })
	}
	time.Sleep(time.Second) // what the beginning costs is not of interest
	for b.Loop() {
		before, began := processorTime(b), time.Now()
		time.Sleep(10 * time.Second)
		b.ReportMetric(float64(processorTime(b)-before)/float64(time.Since(began))*100, "percent")
	}
	b.ReportMetric(0, "ns/op")
	cancel()
	all.Wait()
	ok(b, g.Unlock())
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	ok(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

//go:build linux

package sync_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	dsync "github.com/go-diskcache/diskcache/sync"
)

// BenchmarkLock is an uncontended lock and unlock.
func BenchmarkLock(b *testing.B) {
	l := newLock(b, openDir(b, b.TempDir()), "l", nil)
	b.ReportAllocs()
	for b.Loop() {
		ok(b, lock(b, l).Unlock())
	}
}

// BenchmarkLockBeside is BenchmarkLock next to Python's recipe, in turns: the
// machine's noise hits both. It reports the medians, in microseconds.
func BenchmarkLockBeside(b *testing.B) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import diskcache").Run() != nil {
		b.Skip("Python's diskcache is not installed")
	}
	l := newLock(b, openDir(b, b.TempDir()), "l", nil)
	dir := b.TempDir()
	var ours, theirs []float64
	for b.Loop() {
		out, err := exec.Command(python, "-c", `
import sys, time, diskcache
lock = diskcache.Lock(diskcache.Cache(sys.argv[1]), "l")
for i in range(100): lock.acquire(); lock.release()
t = time.perf_counter()
for i in range(500): lock.acquire(); lock.release()
print((time.perf_counter() - t) / 500 * 1e6)`, dir).Output()
		ok(b, err)
		us, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		ok(b, err)
		theirs = append(theirs, us)
		began := time.Now()
		for range 500 {
			ok(b, lock(b, l).Unlock())
		}
		ours = append(ours, float64(time.Since(began).Nanoseconds())/500/1000)
	}
	b.ReportMetric(median(ours), "go-us")
	b.ReportMetric(median(theirs), "python-us")
	b.ReportMetric(median(ours)/median(theirs), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median[T int64 | float64](x []T) T {
	slices.Sort(x)
	if len(x) == 0 {
		return 0
	}
	return x[len(x)/2]
}

// BenchmarkHandOver measures, while two processes contend for a lock, the time
// from the call of Unlock in one to the return of Lock in the other. With a
// lock that is held for a while, the other one is always waiting; without, it
// may have to wait for its place in the queue.
func BenchmarkHandOver(b *testing.B) {
	b.Run("AtOnce", func(b *testing.B) { handOver(b, 0) })
	b.Run("Held", func(b *testing.B) { handOver(b, time.Millisecond) })
}

func handOver(b *testing.B, held time.Duration) {
	dir := b.TempDir()
	openDir(b, dir)
	for b.Loop() {
		type hold struct {
			token, locked, unlocking, unlocked int64
			process                            int
		}
		var holds []hold
		var children []*child
		for range 2 {
			c := start(b, "handover", dir)
			c.hear("ready")
			children = append(children, c)
		}
		for _, c := range children {
			c.say(held.String())
		}
		time.Sleep(time.Second)
		for _, c := range children {
			ok(b, c.in.Close())
		}
		for i, c := range children {
			for _, line := range c.finish() {
				h := hold{process: i}
				_, err := fmt.Sscan(line, &h.token, &h.locked, &h.unlocking, &h.unlocked)
				ok(b, err)
				holds = append(holds, h)
			}
		}
		slices.SortFunc(holds, func(x, y hold) int { return int(x.token - y.token) })
		var between, after []int64
		for i := 1; i < len(holds); i++ {
			if holds[i].process != holds[i-1].process {
				between = append(between, holds[i].locked-holds[i-1].unlocking)
				after = append(after, holds[i].locked-holds[i-1].unlocked)
			}
		}
		b.ReportMetric(float64(len(holds)), "locks/s")
		b.ReportMetric(float64(median(after))/1000, "median-us-after-Unlock")
		b.ReportMetric(float64(median(between))/1000, "median-us")
		b.ReportMetric(float64(between[len(between)*99/100])/1000, "p99-us")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFairness has 8 processes contend for a lock for 10 seconds.
func BenchmarkFairness(b *testing.B) {
	for b.Loop() {
		counts := turns(b, 8, 10*time.Second)
		fair(b, counts)
		b.ReportMetric(float64(slices.Min(counts)), "least")
		b.ReportMetric(float64(slices.Max(counts)), "most")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDeath measures how long after its holder was killed a waiter has
// the lock.
func BenchmarkDeath(b *testing.B) {
	dir := b.TempDir()
	st := openDir(b, dir)
	l := newLock(b, st, "l", nil)
	var took []int64
	for b.Loop() {
		holder := start(b, "hold", dir)
		holder.hear("ready")
		holder.say("go")
		holder.hear("held")
		got := make(chan *dsync.Guard)
		go func() { got <- lock(b, l) }()
		queued(b, st, 1)
		began := time.Now()
		ok(b, holder.cmd.Process.Kill())
		g := <-got
		took = append(took, int64(time.Since(began)))
		ok(b, g.Unlock())
	}
	b.ReportMetric(float64(median(took))/1e6, "median-ms")
	b.ReportMetric(float64(slices.Max(took))/1e6, "worst-ms")
}

// BenchmarkIdle measures the processor time of a process in which 100
// goroutines wait for 10 locks of another one, in percent of one core.
func BenchmarkIdle(b *testing.B) {
	dir := b.TempDir()
	openDir(b, dir)
	holder := start(b, "holdmany", dir)
	holder.hear("held")
	st := openDir(b, filepath.Clean(dir))
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range 100 {
		l := newLock(b, st, strconv.Itoa(i%10), nil)
		all.Go(func() {
			g, err := l.Lock(b.Context())
			if err == nil {
				<-done
				_ = g.Unlock()
			}
		})
	}
	queued(b, st, 10)
	time.Sleep(100 * time.Millisecond)
	for b.Loop() {
		before, began := processorTime(b), time.Now()
		time.Sleep(2 * time.Second)
		b.ReportMetric(float64(processorTime(b)-before)/float64(time.Since(began))*100, "percent")
	}
	b.ReportMetric(0, "ns/op")
	close(done)
	holder.kill()
	all.Wait()
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	ok(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

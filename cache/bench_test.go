package cache_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// Benchmarks report the median and the 99th percentile of single calls beside
// the mean, since background checkpoints and noisy neighbours make the mean
// say little.

// latencies gathers the durations of calls.
type latencies []time.Duration

func (l *latencies) time(fn func() error) error {
	start := time.Now()
	err := fn()
	*l = append(*l, time.Since(start))
	return err
}

func (l latencies) report(b *testing.B, name string) {
	if len(l) == 0 {
		return
	}
	slices.Sort(l)
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	b.ReportMetric(us(l[len(l)/2]), name+"-p50-us")
	b.ReportMetric(us(l[len(l)*99/100]), name+"-p99-us")
	b.ReportMetric(us(l[len(l)-1]), name+"-max-us")
}

func benchKeys(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "key-" + strconv.Itoa(i)
	}
	return out
}

// benchCache opens a cache with n entries of size bytes.
func benchCache(b *testing.B, n, size int, o *cache.Options[string, []byte]) *cache.Cache[string, []byte] {
	b.Helper()
	ctx := b.Context()
	if o == nil {
		o = &cache.Options[string, []byte]{}
	}
	o.SizeLimit = -1
	c, err := cache.Open(ctx, b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	value := make([]byte, size)
	for chunk := range slices.Chunk(benchKeys(n), 1000) {
		err := c.SetMany(ctx, func(yield func(string, []byte) bool) {
			for _, k := range chunk {
				if !yield(k, value) {
					return
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return c
}

var benchSizes = []int{100, 10_000, 1_000_000}

func BenchmarkGet(b *testing.B) {
	for _, near := range []int64{0, -1} {
		for _, policy := range []cache.Policy{cache.LeastRecentlyStored, cache.LeastRecentlyUsed} {
			for _, n := range benchSizes {
				b.Run(fmt.Sprintf("near=%d/%s/entries=%d", near, policy, n), func(b *testing.B) {
					c := benchCache(b, n, 1024, &cache.Options[string, []byte]{
						Policy: policy, Store: &cache.StoreOptions{SQLite: &sqlite.Options{NearCache: near}},
					})
					keys := benchKeys(n)
					var l latencies
					b.ReportAllocs()
					for b.Loop() {
						k := keys[rand.IntN(n)]
						err := l.time(func() error { _, _, err := c.Get(b.Context(), k); return err })
						if err != nil {
							b.Fatal(err)
						}
					}
					l.report(b, "get")
				})
			}
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			c := benchCache(b, n, 1024, nil)
			counters, err := cache.New[string, int64](b.Context(), c.Store(), "counters", nil)
			if err != nil {
				b.Fatal(err)
			}
			keys := benchKeys(n)
			value := make([]byte, 1024)
			ctx := b.Context()
			var set, del, incr latencies
			for b.Loop() {
				k := keys[rand.IntN(n)]
				err := set.time(func() error { return c.Set(ctx, k, value) })
				if err == nil {
					err = del.time(func() error { _, err := c.Delete(ctx, k); return err })
				}
				if err == nil {
					err = incr.time(func() error { _, err := cache.Incr(ctx, counters, "n", 1); return err })
				}
				if err == nil {
					err = c.Set(ctx, k, value)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			set.report(b, "set")
			del.report(b, "delete")
			incr.report(b, "incr")
		})
	}
}

// published is DiskCache's benchmark: 100 keys, values of 1 to 600 bytes, nine
// gets in ten operations, and one delete in ten of the rest.
func published(ctx context.Context, c *cache.Cache[string, []byte], ops int, get, set, del *latencies) error {
	keys := benchKeys(100)
	value := make([]byte, 600)
	for range ops {
		k := keys[rand.IntN(100)]
		var err error
		switch p := rand.IntN(100); {
		case p < 90:
			err = get.time(func() error { _, _, err := c.Get(ctx, k); return err })
		case p < 99:
			v := value[:1+rand.IntN(600)]
			err = set.time(func() error { return c.Set(ctx, k, v) })
		default:
			err = del.time(func() error { _, err := c.Delete(ctx, k); return err })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkPublished(b *testing.B) {
	c := benchCache(b, 100, 300, nil)
	var get, set, del latencies
	b.ResetTimer()
	if err := published(b.Context(), c, b.N, &get, &set, &del); err != nil {
		b.Fatal(err)
	}
	get.report(b, "get")
	set.report(b, "set")
	del.report(b, "delete")
}

func BenchmarkSetGoroutines(b *testing.B) {
	for _, g := range []int{1, 8, 64} {
		b.Run(strconv.Itoa(g), func(b *testing.B) {
			c := benchCache(b, 100, 300, nil)
			keys := benchKeys(100)
			value := make([]byte, 300)
			var wg sync.WaitGroup
			b.ResetTimer()
			for i := range g {
				n := b.N / g
				if i == 0 {
					n += b.N % g
				}
				wg.Go(func() {
					for range n {
						if err := c.Set(b.Context(), keys[rand.IntN(100)], value); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sets/s")
		})
	}
}

const benchChildEnv = "DISKCACHE_BENCH_CHILD"

func init() {
	var dir, workload string
	var ops int
	if n, _ := fmt.Sscan(os.Getenv(benchChildEnv), &dir, &workload, &ops); n != 3 {
		return
	}
	asChild(func() error { return benchChild(dir, workload, ops) })
}

// asChild makes the process one of a benchmark. It is for init functions, but
// does not run fn there: the goroutine of those is bound to a thread, so that
// it could not wait for anything without a switch of threads.
func asChild(fn func() error) {
	done := make(chan error)
	go func() { done <- fn() }()
	if err := <-done; err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// benchChild is a process of BenchmarkProcesses: it runs one workload and
// prints its latencies.
func benchChild(dir, workload string, ops int) error {
	ctx := context.Background()
	c, err := cache.Open(ctx, dir, &cache.Options[string, []byte]{SizeLimit: -1})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	var out struct{ Get, Set, Delete latencies }
	if workload == "published" {
		err = published(ctx, c, ops, &out.Get, &out.Set, &out.Delete)
	} else {
		keys, value := benchKeys(100), make([]byte, 300)
		for range ops {
			k := keys[rand.IntN(100)]
			if err = out.Set.time(func() error { return c.Set(ctx, k, value) }); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// benchProcess is a child as its benchmark sees it.
type benchProcess struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

// startBench starts processes with a variable that says what they do when they
// are told to begin.
func startBench(b *testing.B, processes int, env string) (all []benchProcess) {
	b.Helper()
	for range processes {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), env)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		p := benchProcess{cmd, in, bufio.NewReader(out)}
		if _, err := p.out.ReadString('\n'); err != nil {
			b.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func BenchmarkProcesses(b *testing.B) {
	const processes = 8
	for _, workload := range []string{"published", "set"} {
		b.Run(workload+"/8", func(b *testing.B) {
			children := startBench(b, processes, fmt.Sprintf("%s=%s %s %d", benchChildEnv, b.TempDir(), workload, b.N/processes+1))
			b.ResetTimer()
			for _, c := range children {
				fmt.Fprintln(c.in)
			}
			var get, set, del latencies
			for _, c := range children {
				var r struct{ Get, Set, Delete latencies }
				if err := json.NewDecoder(c.out).Decode(&r); err != nil {
					b.Fatal(err)
				}
				get, set, del = append(get, r.Get...), append(set, r.Set...), append(del, r.Delete...)
				if err := c.cmd.Wait(); err != nil {
					b.Fatal(err)
				}
			}
			get.report(b, "get")
			set.report(b, "set")
			del.report(b, "delete")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// BenchmarkNowAndThen sets an entry every few milliseconds while seven other
// processes do nothing else.
func BenchmarkNowAndThen(b *testing.B) {
	dir := b.TempDir()
	c, err := cache.Open(b.Context(), dir, &cache.Options[string, []byte]{SizeLimit: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for _, p := range startBench(b, 7, fmt.Sprintf("%s=%s set %d", benchChildEnv, dir, math.MaxInt)) {
		fmt.Fprintln(p.in)
		defer p.cmd.Wait()
		defer p.cmd.Process.Kill()
	}
	var l latencies
	value := make([]byte, 300)
	for b.Loop() {
		time.Sleep(5 * time.Millisecond)
		if err := l.time(func() error { return c.Set(b.Context(), "now and then", value) }); err != nil {
			b.Fatal(err)
		}
	}
	l.report(b, "set")
}

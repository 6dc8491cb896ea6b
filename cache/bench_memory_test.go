//go:build linux

package cache_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/go-diskcache/diskcache/cache"
)

const memoryChildEnv = "DISKCACHE_MEMORY_CHILD"

func init() {
	var dir, workload string
	if n, _ := fmt.Sscan(os.Getenv(memoryChildEnv), &dir, &workload); n != 2 {
		return
	}
	asChild(func() error { return memoryChild(dir, workload) })
}

// memoryChild is a process of BenchmarkMemory: it does its work and prints the
// largest resident memory that it had, in KiB.
func memoryChild(dir, workload string) error {
	ctx := context.Background()
	c, err := cache.Open(ctx, dir, &cache.Options[string, []byte]{SizeLimit: -1})
	if err != nil {
		return err
	}
	defer c.Close()
	switch workload {
	case "open":
	case "million":
		const n = 1_000_000
		keys := func(i int) string { return "key-" + strconv.Itoa(i) }
		value := make([]byte, 1024)
		for i := 0; i < n; i += 1000 {
			err := c.SetMany(ctx, func(yield func(string, []byte) bool) {
				for j := range 1000 {
					if !yield(keys(i+j), value) {
						return
					}
				}
			})
			if err != nil {
				return err
			}
		}
		for range 100_000 {
			if _, _, err := c.Get(ctx, keys(rand.IntN(n))); err != nil {
				return err
			}
			if err := c.Set(ctx, keys(rand.IntN(n)), value); err != nil {
				return err
			}
		}
	case "stream":
		if err := c.SetFrom(ctx, "large", io.LimitReader(zeros{}, 1<<30)); err != nil {
			return err
		}
		f, _, err := c.OpenValue(ctx, "large")
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := io.Copy(io.Discard, f); err != nil {
			return err
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Print(strings.Fields(rest)[0])
		}
	}
	return nil
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// BenchmarkMemory reports the peak of resident memory of a whole process,
// including the Go runtime and this test binary.
func BenchmarkMemory(b *testing.B) {
	for _, workload := range []string{"open", "stream", "million"} {
		b.Run(workload, func(b *testing.B) {
			var peak int
			for b.Loop() {
				cmd := exec.Command(os.Args[0], "-test.run=^$")
				cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", memoryChildEnv, b.TempDir(), workload))
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				if err != nil {
					b.Fatal(err)
				}
				n, err := strconv.Atoi(string(out))
				if err != nil {
					b.Fatal(err)
				}
				peak = max(peak, n)
			}
			b.ReportMetric(float64(peak)/1024, "peak-MiB")
		})
	}
}

package cache_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// shardChildEnv makes the test binary a process of BenchmarkShards.
const shardChildEnv = "DISKCACHE_BENCH_SHARDS"

func init() {
	var workload string
	var shards, ops int
	var dir string
	if n, _ := fmt.Sscan(os.Getenv(shardChildEnv), &workload, &shards, &ops, &dir); n < 4 {
		return
	}
	asChild(func() error { return shardChild(workload, shards, ops, dir) })
}

// shardKeys are enough keys for every shard to have some hundreds.
const shardKeys = 4096

// shardChild runs a workload and prints its latencies.
func shardChild(workload string, shards, ops int, dir string) error {
	ctx := context.Background()
	o := &cache.StoreOptions{Shards: shards}
	if workload == "setfull" { // each commit waits for the disk
		o.SQLite, workload = &sqlite.Options{Synchronous: sqlite.SyncFull}, "set"
	}
	c, err := cache.Open(ctx, dir, &cache.Options[string, []byte]{SizeLimit: -1, Store: o})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	var out struct{ Get, Set, Many latencies }
	keys, value := benchKeys(shardKeys), make([]byte, 300)
	key := func() string { return keys[rand.IntN(len(keys))] }
	set := func() error { return c.Set(ctx, key(), value) }
	for i := range ops {
		switch {
		case workload == "set", workload == "mixed" && i%10 == 0:
			err = out.Set.time(set)
		case workload == "update": // four keys in one transaction
			err = out.Many.time(func() error {
				return c.Update(ctx, func(tx *cache.Tx) error {
					for range 4 {
						if err := c.In(tx).Set(ctx, key(), value); err != nil {
							return err
						}
					}
					return nil
				})
			})
		default:
			err = out.Get.time(func() error { _, _, err := c.Get(ctx, key()); return err })
		}
		if err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// BenchmarkShards compares processes on one database with as many on eight
// shards.
func BenchmarkShards(b *testing.B) {
	for _, workload := range []string{"set", "setfull", "mixed", "update"} {
		for _, shards := range []int{0, 8} {
			for _, processes := range []int{1, 8} {
				b.Run(fmt.Sprintf("%s/shards=%d/processes=%d", workload, shards, processes), func(b *testing.B) {
					benchShards(b, workload, shards, processes)
				})
			}
		}
	}
}

func benchShards(b *testing.B, workload string, shards, processes int) {
	dir := b.TempDir()
	children := startBench(b, processes, fmt.Sprintf("%s=%s %d %d %s", shardChildEnv, workload, shards, b.N/processes+1, dir))
	b.ResetTimer()
	start := time.Now()
	for _, c := range children {
		fmt.Fprintln(c.in)
	}
	var get, set, many latencies
	for _, c := range children {
		var r struct{ Get, Set, Many latencies }
		if err := json.NewDecoder(c.out).Decode(&r); err != nil {
			b.Fatal(err)
		}
		get, set, many = append(get, r.Get...), append(set, r.Set...), append(many, r.Many...)
		if err := c.cmd.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(start)
	get.report(b, "get")
	set.report(b, "set")
	many.report(b, "update")
	b.ReportMetric(float64(b.N)/took.Seconds(), "ops/s")
}

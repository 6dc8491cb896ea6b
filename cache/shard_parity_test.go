package cache_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/shard"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// unlike are the tests that a store with shards differs in, and why.
var unlike = map[string]string{
	"TestParity/set":                 "insertion order goes shard by shard",
	"TestParity/peekitem":            "insertion order goes shard by shard",
	"TestParity/iteration,_reversed": "insertion order goes shard by shard",
	"TestParity/evict(tag)":          "insertion order goes shard by shard",
	"TestTx/writes_while_iterating":  "insertion order goes shard by shard",
	"TestParity/new:_eviction_hook":  "each shard culls by itself",
	"TestOnEvict":                    "each shard culls by itself",
	"TestCodecMismatch":              "Drop only empties what has a directory of its own",
}

// sharded is an engine of two shards in a directory.
func sharded(t *testing.T) func(time.Duration, bool) (driver.Store, error) {
	if why := unlike[strings.TrimSuffix(t.Name(), "/sharded")]; why != "" {
		t.Skip(why)
	}
	dir := t.TempDir()
	return func(timeout time.Duration, readOnly bool) (driver.Store, error) {
		return shard.Open(context.Background(), dir, 2, func(ctx context.Context, dir string) (driver.Store, error) {
			return sqlite.Open(ctx, dir, &sqlite.Options{Timeout: timeout, ReadOnly: readOnly})
		})
	}
}

func init() { diskEngines = append(diskEngines, engine{"sharded", sharded}) }

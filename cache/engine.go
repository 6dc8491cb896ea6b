package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/shard"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// openEngine opens the engine that keeps a store in a directory.
func openEngine(ctx context.Context, dir string, o StoreOptions) (driver.Store, error) {
	var err error
	if o.Shards == 0 {
		if err = shard.Refuse(dir); err == nil {
			return openSQLite(ctx, dir, o)
		}
	} else {
		var st *shard.Store
		var divided sqlite.Options
		if o.SQLite != nil {
			divided = *o.SQLite
		}
		divided.CacheSize = perShard(divided.CacheSize, sqlite.DefaultCacheSize, o.Shards)
		divided.NearCache = perShard(divided.NearCache, sqlite.DefaultNearCache, o.Shards)
		o.SQLite = &divided
		st, err = shard.Open(ctx, dir, o.Shards, func(ctx context.Context, dir string) (driver.Store, error) {
			return openSQLite(ctx, dir, o)
		})
		if err == nil {
			return st, nil
		}
	}
	if errors.Is(err, shard.ErrShards) {
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil, err
}

// perShard returns what each shard has of some memory. A negative size stays
// one, and none becomes 0, which would be the default, for each of them.
func perShard(size, byDefault int64, shards int) int64 {
	if size == 0 {
		size = byDefault
	}
	if size < 0 {
		return size
	}
	return max(size/int64(shards), 1)
}

func openSQLite(ctx context.Context, dir string, o StoreOptions) (driver.Store, error) {
	var opts sqlite.Options
	if o.SQLite != nil {
		opts = *o.SQLite
	}
	opts.Timeout, opts.ReadOnly, opts.Logger = o.Timeout, o.ReadOnly, o.Logger
	st, err := sqlite.Open(ctx, dir, &opts)
	if err != nil {
		return nil, err // not a nil *sqlite.Store in an interface
	}
	return st, nil
}

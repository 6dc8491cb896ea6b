package cache

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
)

// openEngine opens the engine that keeps a store in a directory.
func openEngine(ctx context.Context, dir string, o StoreOptions) (driver.Store, error) {
	st, err := sqlite.Open(ctx, dir, &sqlite.Options{
		Timeout:      o.Timeout,
		ReadOnly:     o.ReadOnly,
		Synchronous:  sqlite.Synchronous(o.Synchronous),
		JournalMode:  sqlite.JournalMode(o.JournalMode),
		AutoVacuum:   sqlite.AutoVacuum(o.AutoVacuum),
		CacheSize:    o.CacheSize,
		MmapSize:     o.MmapSize,
		AllowNetwork: o.AllowNetwork,
		Logger:       o.Logger,
	})
	if err != nil {
		return nil, err // not a nil *sqlite.Store in an interface
	}
	return st, nil
}

package sqlite

import (
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
)

// configurations are the ways to run the engine that must not make a
// difference to anybody.
var configurations = map[string]Options{
	"default":   {},
	"ungrouped": {Ungrouped: true},
	"tinyPages": {PageSize: 512, CacheSize: minCacheSize},
	"mmap":      {MmapSize: 64 << 20},
}

func harness(base Options) drivertest.Harness {
	return drivertest.Harness{
		Open: func(t testing.TB, dir string, o drivertest.Options) (driver.Store, error) {
			opts := base
			opts.Timeout = o.Timeout
			opts.ReadOnly = o.ReadOnly
			return Open(t.Context(), dir, &opts)
		},
	}
}

func TestConformance(t *testing.T) {
	for name, o := range configurations {
		t.Run(name, func(t *testing.T) { drivertest.Run(t, harness(o)) })
	}
}

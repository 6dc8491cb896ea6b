package sqlite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// configurations are the ways to run the engine that must not make a
// difference to anybody.
var configurations = map[string]Options{
	"default":   {},
	"ungrouped": {Ungrouped: true},
	"tinyPages": {PageSize: 512, CacheSize: minCacheSize},
	"mmap":      {MmapSize: 64 << 20},
	"shared":    {allShared: true},
}

func harness(base Options) drivertest.Harness {
	return drivertest.Harness{
		Open: func(t testing.TB, dir string, o drivertest.Options) (driver.Store, error) {
			opts := base
			opts.Timeout = o.Timeout
			opts.ReadOnly = o.ReadOnly
			return Open(t.Context(), dir, &opts)
		},
		LoseSession: func(s driver.Store) { s.(*Store).core.sessions.Lose() },
	}
}

func TestConformance(t *testing.T) {
	for name, o := range configurations {
		if raceEnabled && name != "default" {
			continue // the race detector makes them slow, and finds the same in one
		}
		t.Run(name, func(t *testing.T) { drivertest.Run(t, harness(o)) })
	}
}

// sides are the engine in all its configurations, and the memory engine that
// they are compared with.
func sides() []drivertest.Side {
	out := []drivertest.Side{{
		Name: "memory",
		Open: func(testing.TB) []driver.Store { return []driver.Store{memory.New(nil)} },
	}}
	all := maps.Clone(configurations)
	all["noNear"] = Options{NearCache: -1}
	all["tinyNear"] = Options{NearCache: 16 << 10} // which is full all the time
	for _, name := range slices.Sorted(maps.Keys(all)) {
		o := all[name]
		out = append(out, drivertest.Side{Name: name, Open: func(t testing.TB) []driver.Store {
			dir := t.TempDir()
			var handles []driver.Store
			for range 2 {
				s, err := Open(context.Background(), dir, &o)
				if err != nil {
					t.Fatal(err)
				}
				handles = append(handles, s)
			}
			return handles
		}})
	}
	return out
}

func TestRandom(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() || raceEnabled {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { drivertest.Random(t, seed, 300, sides()...) })
	}
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte("put get delete"))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 201, 202, 50, 51, 52})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 256 {
			return // longer programs find nothing that two shorter ones do not
		}
		drivertest.Bytes(t, data, sides()[:2]...)
	})
}

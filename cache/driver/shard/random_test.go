package shard

import (
	"fmt"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// sides are stores of n shards of each engine.
func sides(n int) (out []drivertest.Side) {
	for _, e := range engines() {
		out = append(out, drivertest.Side{Name: e.name, Open: func(t testing.TB) (all []driver.Store) {
			open := e.new(t)
			for range 2 {
				all = append(all, open(n))
			}
			return all
		}})
	}
	return append(out, drivertest.Side{Name: "joined", Open: func(t testing.TB) (all []driver.Store) {
		var p inMemory
		for range 2 {
			s, err := p.join(t, n, memory.Options{})
			ok(t, err)
			all = append(all, s)
		}
		return all
	}})
}

func TestRandom(t *testing.T) {
	seeds, ops := uint64(8), 200
	if testing.Short() || raceEnabled {
		seeds, ops = 2, 60
	}
	for seed := range seeds {
		n := 1 + int(seed+2)%4
		t.Run(fmt.Sprint(seed), func(t *testing.T) { drivertest.Random(t, seed, ops, sides(n)...) })
	}
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte("put get delete"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 256 {
			return
		}
		drivertest.Bytes(t, data, sides(3)[:2]...)
	})
}

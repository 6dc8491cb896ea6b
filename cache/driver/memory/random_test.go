package memory_test

import (
	"fmt"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// sides are a store with one handle, a store with several that runs functions
// twice, and one that leaves out IDs and fences: nobody may see a difference.
func sides() []drivertest.Side {
	return []drivertest.Side{
		{Name: "one", Open: func(testing.TB) []driver.Store {
			return []driver.Store{memory.New(nil)}
		}},
		{Name: "several", Open: func(testing.TB) []driver.Store {
			var data memory.Data
			o := &memory.Options{RunTwice: true}
			return []driver.Store{data.Open(o), data.Open(o), data.Open(o)}
		}},
		{Name: "sparse", Open: func(testing.TB) []driver.Store {
			o := memory.Sparse(memory.Options{})
			return []driver.Store{memory.New(&o)}
		}},
	}
}

func TestRandom(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { drivertest.Random(t, seed, 1500, sides()...) })
	}
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte("put, get and delete"))
	f.Add([]byte{2, 1, 1, 6, 4, 3, 2, 1, 200, 100, 50, 25, 12, 6, 3, 1, 0, 0, 17, 34, 51, 68, 85})
	f.Fuzz(func(t *testing.T, data []byte) { drivertest.Bytes(t, data, sides()...) })
}

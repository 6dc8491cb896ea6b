package memory_test

import (
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/drivertest"
	"github.com/go-diskcache/diskcache/cache/driver/memory"
)

// harness keeps data by directory, so that a directory can be opened again.
func harness(o memory.Options) drivertest.Harness {
	data := make(map[string]*memory.Data)
	return drivertest.Harness{
		Open: func(t testing.TB, dir string, given drivertest.Options) (driver.Store, error) {
			if data[dir] == nil {
				data[dir] = new(memory.Data)
			}
			own := o
			own.Timeout, own.ReadOnly = given.Timeout, given.ReadOnly
			return data[dir].Open(&own), nil
		},
	}
}

func TestConformance(t *testing.T) {
	t.Run("Plain", func(t *testing.T) { drivertest.Run(t, harness(memory.Options{})) })
	t.Run("RunTwice", func(t *testing.T) { drivertest.Run(t, harness(memory.Options{RunTwice: true})) })
}

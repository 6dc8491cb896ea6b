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

// fickle has sessions that can be refused or lost.
func fickle(h drivertest.Harness) drivertest.Harness {
	plain := h.Open
	h.Open = func(t testing.TB, dir string, o drivertest.Options) (driver.Store, error) {
		s, err := plain(t, dir, o)
		if err != nil {
			return nil, err
		}
		return drivertest.NewFickle(s, func() driver.Store {
			s, err := plain(t, dir, drivertest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}), nil
	}
	h.LoseSession = func(s driver.Store) { _ = s.(*drivertest.Fickle).Lose() } // memory's Close does not fail
	h.RefuseSession = func(s driver.Store) (allow func()) {
		s.(*drivertest.Fickle).Refuse(driver.ErrFull)
		return func() { s.(*drivertest.Fickle).Refuse(nil) }
	}
	return h
}

func TestConformance(t *testing.T) {
	t.Run("Fickle", func(t *testing.T) { drivertest.Run(t, fickle(harness(memory.Options{}))) })
	t.Run("Plain", func(t *testing.T) { drivertest.Run(t, harness(memory.Options{})) })
	t.Run("Sparse", func(t *testing.T) { drivertest.Run(t, harness(memory.Sparse(memory.Options{}))) })
	t.Run("RunTwice", func(t *testing.T) { drivertest.Run(t, harness(memory.Options{RunTwice: true})) })
}

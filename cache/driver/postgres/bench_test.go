//go:build unix

package postgres_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/postgres"
	"github.com/go-diskcache/diskcache/codec"
)

// The rows of a benchmark, of 300 bytes each.
const benchRows = 1000

func benchStore(b *testing.B, durable bool, o postgres.Options) (driver.Store, driver.Collection) {
	o.Schema = schemaOf(b.TempDir())
	s, err := postgres.Open(b.Context(), dsn(b), &o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	c, err := s.Open(b.Context(), "bench", driver.Spec{Settings: driver.DefaultSettings(), Durable: durable})
	if err != nil {
		b.Fatal(err)
	}
	err = s.Update(b.Context(), driver.Alone, func(tx driver.Tx) error {
		for i := range benchRows {
			if _, err := tx.Put(b.Context(), c, benchPut(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s, c
}

var benchValue = codec.TextValue(strings.Repeat("v", 300))

func benchPut(i int) driver.Put {
	return driver.Put{Key: codec.IntegerValue(int64(i)), Value: benchValue, Now: 1_750_000_000, Cull: driver.CullLimit}
}

// BenchmarkGet is of rows that are read from the server, and of copies: each checked, and
// for a while not.
func BenchmarkGet(b *testing.B) {
	for _, kind := range []struct {
		name string
		o    postgres.Options
	}{{"server", postgres.Options{NearCache: -1}}, {"near", postgres.Options{}}, {"stale", postgres.Options{MaxStale: time.Minute}}} {
		for _, goroutines := range []int{1, 8, 64} {
			b.Run(fmt.Sprint(kind.name, "/", goroutines), func(b *testing.B) {
				s, c := benchStore(b, false, kind.o)
				get := func(i int64) {
					if _, ok, err := s.Get(b.Context(), c, codec.IntegerValue(i%benchRows), driver.Lookup{}); !ok || err != nil {
						b.Error(ok, err)
					}
				}
				for i := range int64(benchRows) {
					get(i)
				}
				b.ReportAllocs()
				var next atomic.Int64
				b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0)))
				b.ResetTimer()
				if goroutines == 1 {
					for i := range b.N {
						get(int64(i))
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						get(next.Add(1))
					}
				})
			})
		}
	}
}

func benchSet(b *testing.B, durable bool) {
	s, c := benchStore(b, durable, postgres.Options{})
	var next atomic.Int64
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p := benchPut(int(next.Add(1)) % benchRows)
			if err := s.Update(b.Context(), driver.Shared, func(tx driver.Tx) error {
				_, err := tx.Put(b.Context(), c, p)
				return err
			}, c); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkSet(b *testing.B) {
	for _, durable := range []bool{false, true} {
		b.Run(map[bool]string{false: "cache", true: "durable"}[durable], func(b *testing.B) {
			s, c := benchStore(b, durable, postgres.Options{})
			for i := 0; b.Loop(); i++ {
				p := benchPut(i % benchRows)
				if err := s.Update(b.Context(), driver.Shared, func(tx driver.Tx) error {
					_, err := tx.Put(b.Context(), c, p)
					return err
				}, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSetParallel(b *testing.B) {
	b.Run("cache", func(b *testing.B) { benchSet(b, false) })
	b.Run("durable", func(b *testing.B) { benchSet(b, true) })
}

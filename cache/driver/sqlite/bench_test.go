package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// fill opens a store whose default collection has n rows of size bytes.
func fill(b *testing.B, n, size int, policy driver.Policy, o *Options) (*Store, driver.Collection) {
	b.Helper()
	ctx := context.Background()
	s, err := Open(ctx, b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	c, err := s.Open(ctx, "", driver.Spec{Configure: func(s *driver.Settings) { s.Policy = policy; s.SizeLimit = driver.NoLimit }})
	if err != nil {
		b.Fatal(err)
	}
	value := codec.BlobValue(make([]byte, size))
	for i := 0; i < n; {
		err := s.Update(ctx, driver.Alone, func(t driver.Tx) error {
			for range 1000 {
				if i == n {
					break
				}
				if _, err := t.Put(ctx, c, driver.Put{Key: key(i), Value: value, Now: at()}); err != nil {
					return err
				}
				i++
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s, c
}

func key(i int) codec.Value { return codec.TextValue(fmt.Sprintf("key-%d", i)) }
func at() driver.Instant    { return driver.At(time.Now()) }

func keys(n int) []codec.Value {
	out := make([]codec.Value, n)
	for i := range out {
		out[i] = key(i)
	}
	return out
}

var sizes = []int{100, 10_000, 1_000_000}

func BenchmarkGet(b *testing.B) {
	for _, p := range []driver.Policy{driver.LeastRecentlyStored, driver.LeastRecentlyUsed} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/rows=%d", p, n), func(b *testing.B) {
				s, c := fill(b, n, 1024, p, nil)
				k := keys(n)
				now := at()
				ctx := b.Context()
				b.ReportAllocs()
				b.ResetTimer()
				for b.Loop() {
					if _, ok, err := s.Get(ctx, c, k[rand.IntN(n)], driver.Lookup{Now: now}); err != nil || !ok {
						b.Fatal(ok, err)
					}
				}
			})
		}
	}
}

func BenchmarkSet(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			s, c := fill(b, n, 1024, driver.LeastRecentlyStored, nil)
			k := keys(n)
			value := codec.BlobValue(make([]byte, 1024))
			ctx := b.Context()
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				p := driver.Put{Key: k[rand.IntN(n)], Value: value, Now: at(), Cull: 10}
				err := s.Update(ctx, driver.Shared, func(t driver.Tx) error {
					return errOf(t.Put(ctx, c, p))
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDelete deletes one row at a time and puts it back, in turn, which
// halves into set and delete by what BenchmarkSet says.
func BenchmarkDelete(b *testing.B) {
	for _, v := range []AutoVacuum{VacuumFull, VacuumNone} {
		for _, size := range []int{300, 1024} {
			b.Run(fmt.Sprintf("vacuum=%s/size=%d", v, size), func(b *testing.B) {
				s, c := fill(b, 10_000, size, driver.LeastRecentlyStored, &Options{AutoVacuum: v})
				ctx := b.Context()
				value := codec.BlobValue(make([]byte, size))
				var deleting time.Duration
				for b.Loop() {
					k := key(rand.IntN(10_000))
					start := time.Now()
					err := s.Update(ctx, driver.Shared, func(t driver.Tx) error {
						_, err := t.Delete(ctx, c, k, at())
						return err
					})
					deleting += time.Since(start)
					if err != nil {
						b.Fatal(err)
					}
					err = s.Update(ctx, driver.Shared, func(t driver.Tx) error {
						return errOf(t.Put(ctx, c, driver.Put{Key: k, Value: value, Now: at()}))
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(deleting.Nanoseconds())/float64(b.N), "ns/delete")
			})
		}
	}
}

func BenchmarkSetParallel(b *testing.B) {
	for _, g := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", g), func(b *testing.B) {
			s, c := fill(b, 100, 300, driver.LeastRecentlyStored, nil)
			k := keys(100)
			value := codec.BlobValue(make([]byte, 300))
			ctx := context.Background()
			var seq atomic.Int64
			b.SetParallelism((g + 1) / 2)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p := driver.Put{Key: k[seq.Add(1)%100], Value: value, Now: at(), Cull: 10}
					err := s.Update(ctx, driver.Shared, func(t driver.Tx) error {
						return errOf(t.Put(ctx, c, p))
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

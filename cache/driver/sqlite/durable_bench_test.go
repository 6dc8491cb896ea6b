package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// BenchmarkValueFile writes values of 40,000 bytes, alone or on 16 goroutines:
// under new keys, in the place of others, and takes them away again.
func BenchmarkValueFile(b *testing.B) {
	for _, sync := range []Synchronous{SyncNormal, SyncFull} {
		for _, goroutines := range []int{1, 16} {
			for _, what := range []string{"new", "overwrite", "delete"} {
				b.Run(fmt.Sprintf("%s/%d/%s", sync, goroutines, what), func(b *testing.B) {
					valueFiles(b, &Options{Synchronous: sync}, goroutines, what)
				})
			}
		}
	}
}

func valueFiles(b *testing.B, o *Options, goroutines int, what string) {
	ctx := context.Background()
	s, err := Open(ctx, b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	c, err := s.Open(ctx, "c", driver.Spec{Settings: driver.PersistentSettings()})
	if err != nil {
		b.Fatal(err)
	}
	content := make([]byte, 40_000)
	set := func(key string) { setFile(b, s, c, key, content) }
	prepared := map[string]int{"overwrite": 1000, "delete": b.N}[what]
	for i := range prepared {
		set(strconv.Itoa(i))
	}
	var next atomic.Int64
	b.ReportAllocs()
	b.SetParallelism((goroutines + 1) / 2)
	b.ResetTimer()
	one := func() {
		i := int(next.Add(1)) - 1
		switch what {
		case "overwrite":
			i %= 1000
			fallthrough
		case "new":
			set(strconv.Itoa(i))
		case "delete":
			err := s.Update(ctx, driver.Shared, func(tx driver.Tx) error {
				_, err := tx.Delete(ctx, c, codec.TextValue(strconv.Itoa(i)), at())
				return err
			})
			if err != nil {
				b.Error(err)
			}
		}
	}
	if goroutines == 1 {
		for range b.N {
			one()
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one()
			}
		})
	}
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

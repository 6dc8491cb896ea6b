//go:build 386 || arm || mips || mipsle

package sqlite

import (
	"math"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// A 32-bit process can have many stores open, whatever memory they are asked to
// use: what there are no addresses for is not asked for.
func TestManyStores(t *testing.T) {
	for name, o := range map[string]*Options{
		"default": nil,
		"large":   {NearCache: 100 << 20},
		"endless": {CacheSize: math.MaxInt64, MmapSize: math.MaxInt64, NearCache: math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			var stores []*Store
			for range 80 {
				stores = append(stores, open(t, t.TempDir(), o))
			}
			key, value := codec.TextValue("k"), codec.BlobValue(make([]byte, 1<<20))
			for _, s := range stores {
				c := collectionOf(t, s, "")
				put(t, s, c, driver.Put{Key: key, Value: value})
				r, ok, err := s.Get(t.Context(), c, key, driver.Lookup{Now: at()})
				if err != nil || !ok || len(r.Value.Blob()) != 1<<20 {
					t.Fatal(ok, err)
				}
			}
		})
	}
}

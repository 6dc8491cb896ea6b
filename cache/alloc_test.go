package cache_test

import (
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// The typed layer adds nothing to what the engine allocates for a Get.
func TestGetAllocations(t *testing.T) {
	oneByOne(t, func(t *testing.T, e *env) {
		c := open[string, []byte](t, e.st, "", nil)
		ok(t, c.Set(t.Context(), "k", []byte("value")))
		ctx := t.Context()
		n := testing.AllocsPerRun(100, func() {
			if _, found, err := c.Get(ctx, "k"); !found || err != nil {
				t.Error(found, err)
			}
		})
		d := must(e.engine())(t)
		defer d.Close()
		coll := must(d.Open(ctx, "", driver.Spec{KeyCodec: "string", ValueCodec: "bytes", Settings: driver.DefaultSettings()}))(t)
		key, l := codec.TextValue("k"), driver.Lookup{Now: driver.At(e.clock.Now())}
		engine := testing.AllocsPerRun(100, func() {
			if _, found, err := d.Get(ctx, coll, key, l); !found || err != nil {
				t.Error(found, err)
			}
		})
		if n > engine || e.st.Dir() != "" && n > 3 {
			t.Errorf("%v allocations, %v of them the engine's", n, engine)
		}
	})
}

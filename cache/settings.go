package cache

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Settings belong to a collection, are stored with it and are the same for
// all processes that use it. They begin as [Options] say. The fields are
//
//	Policy      Policy
//	SizeLimit   int64 // bytes; math.MaxInt64 is no limit
//	CullLimit   int   // entries that a write may remove; 0 is none
//	MinFileSize int64 // bytes; math.MaxInt64 keeps no value in a file
//	Statistics  bool
//	TagIndex    bool
type Settings = driver.Settings

// Settings returns the collection's settings as this process has read them last,
// without reading them again. Each write reads them, and without writes the process
// does within a second or so. So a change by another process may be missing for that
// long; [Cache.Configure] returns the settings as they are stored.
func (c *Cache[K, V]) Settings() Settings { return c.dc.Settings() }

// Configure changes the collection's settings by fn, which is given those
// that are stored, and returns the new ones. Negative numbers mean none, as in
// [Options], but 0 is no default here: nothing fits into a SizeLimit of 0. All
// processes take notice with their next write, or within a second or so. fn
// may run more than once.
//
// A collection that was opened with [Options.Persistent] stays persistent: what
// fn says of Policy, SizeLimit and CullLimit is ignored. Opened without, it can
// be made to evict.
func (c *Cache[K, V]) Configure(ctx context.Context, fn func(*Settings)) (Settings, error) {
	s, err := c.configure(ctx, fn)
	return s, c.fail(ctx, "Configure", err)
}

func (c *Cache[K, V]) configure(ctx context.Context, fn func(*Settings)) (Settings, error) {
	if fn == nil {
		return Settings{}, invalid("nil function")
	}
	if err := c.unbound(ctx); err != nil {
		return Settings{}, err
	}
	var bad error
	s, err := c.st.engine.Configure(ctx, c.dc, func(s *driver.Settings) {
		bad = nil
		was := *s
		fn(s)
		normalize(s)
		if !s.Policy.Valid() {
			bad = invalid("Policy %q is not one of the policies", string(s.Policy))
			*s = was
		}
		if c.shared.persistent {
			keep(s)
		}
	})
	if err == nil {
		err = bad
	}
	return s, err
}

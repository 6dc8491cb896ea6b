package cache

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Settings belong to a collection, are stored with it and are the same for
// all processes that use it. They begin as [Options] say.
type Settings = driver.Settings

// Settings returns the collection's settings as this process last saw them,
// which it does with each write and otherwise within a second or so.
func (c *Cache[K, V]) Settings() Settings { return c.dc.Settings() }

// Configure changes the collection's settings by fn, which is given those
// that are stored, and returns the new ones. Negative numbers mean none. All
// processes take notice with their next write, or within a second or so. A
// persistent collection stays one. fn may run more than once.
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

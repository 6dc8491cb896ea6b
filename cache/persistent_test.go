package cache_test

import (
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// A persistent collection stays one when somebody opens it with the options of
// a cache.
func TestPersistentStaysPersistent(t *testing.T) {
	st := must(cache.OpenStore(t.Context(), t.TempDir(), nil))(t)
	defer st.Close()
	open(t, st, "p", &cache.Options[string, string]{Persistent: true})
	for _, o := range []cache.Options[string, string]{
		{Policy: cache.LeastRecentlyUsed}, {SizeLimit: 1000}, {CullLimit: 1}, {TTL: time.Hour},
	} {
		_, err := cache.New(t.Context(), st, "p", &o)
		is(t, err, cache.ErrInvalid)
	}
	c := open[string, string](t, st, "p", nil)
	equal(t, c.Settings().Policy, cache.NoEviction)
	must(c.Configure(t.Context(), func(s *cache.Settings) { s.Policy, s.CullLimit = cache.LeastRecentlyUsed, 10 }))(t)
	open(t, st, "p", &cache.Options[string, string]{SizeLimit: 1000})
}

// A File is closed once, whether its value is in a file or not.
func TestFileIsClosed(t *testing.T) {
	c := must(cache.Open[string, []byte](t.Context(), t.TempDir(), nil))(t)
	defer c.Close()
	for _, size := range []int{10, 100_000} {
		ok(t, c.Set(t.Context(), "k", make([]byte, size)))
		f, _, err := c.OpenValue(t.Context(), "k")
		ok(t, err)
		ok(t, f.Close())
		if _, err := f.Read(make([]byte, 1)); err == nil {
			t.Errorf("a value of %d bytes is readable after Close", size)
		}
		if f.Close() == nil {
			t.Errorf("a value of %d bytes is closed twice", size)
		}
	}
}

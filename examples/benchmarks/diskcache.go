package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite"
	"github.com/go-diskcache/diskcache/deque"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// nearOff makes reads go through SQLite each time.
func nearOff(o *cache.StoreOptions) { o.SQLite = &sqlite.Options{NearCache: -1} }

const survivesProcess = "any process may die; a power cut may undo the last moments, never corrupts"

// diskcacheEngines are this project, as it is configured by default and
// otherwise.
func diskcacheEngines() []*engine {
	variant := func(name, about, durability string, does []string, set func(o *cache.StoreOptions)) *engine {
		return &engine{
			name: name, about: about, durability: durability, does: does,
			processes: true, policies: []string{"", "lru"},
			open: func(ctx context.Context, j *job) (store, error) {
				o := &cache.StoreOptions{}
				if set != nil {
					set(o)
				}
				return openDiskcache(ctx, j, o)
			},
		}
	}
	ungrouped := variant("diskcache-single", "this project; each write has a commit of its own", survivesProcess,
		[]string{"published"}, nil)
	ungrouped.open = openUngrouped
	return []*engine{
		variant("diskcache", "this project with its defaults: near cache on, writers grouped, one database", survivesProcess,
			append([]string{"lru", "queue", "lock"}, mapLoads...), nil),
		variant("diskcache-nonear", "this project without the near cache: each read goes through SQLite", survivesProcess,
			append([]string{"lru"}, mapLoads...), nearOff),
		variant("diskcache-shards", "this project on eight databases", survivesProcess,
			[]string{"published", "keys"}, func(o *cache.StoreOptions) { o.Shards = 8 }),
		ungrouped,
		variant("diskcache-full", "this project with `SyncFull`: each commit waits for the disk", survivesPower,
			[]string{"published", "keys"}, func(o *cache.StoreOptions) { o.SQLite = &sqlite.Options{Synchronous: sqlite.SyncFull} }),
	}
}

// diskcacheStore is a cache of this project, with a deque and a lock beside
// it where they are asked for.
type diskcacheStore struct {
	ctx   context.Context
	cache *cache.Cache[string, []byte]
	queue *deque.Deque[[]byte]
	mutex *dsync.Lock
}

func diskcacheOptions(j *job) *cache.Options[string, []byte] {
	o := &cache.Options[string, []byte]{SizeLimit: -1}
	if j.Limit > 0 {
		o.SizeLimit = j.Limit
	}
	if j.Policy == "lru" {
		o.Policy = cache.LeastRecentlyUsed
	}
	return o
}

func openDiskcache(ctx context.Context, j *job, so *cache.StoreOptions) (store, error) {
	o := diskcacheOptions(j)
	o.Store = so
	c, err := cache.Open(ctx, filepath.Join(j.Dir, "store"), o)
	if err != nil {
		return nil, err
	}
	return newDiskcacheStore(ctx, j, c)
}

// openUngrouped opens a store whose writes are not grouped, which is a matter
// of the engine and not an option of the store.
func openUngrouped(ctx context.Context, j *job) (store, error) {
	engine, err := sqlite.Open(ctx, filepath.Join(j.Dir, "store"), &sqlite.Options{Ungrouped: true})
	if err != nil {
		return nil, err
	}
	st := cache.NewStore(engine, nil)
	c, err := cache.New(ctx, st, "", diskcacheOptions(j))
	if err != nil {
		st.Close()
		return nil, err
	}
	return newDiskcacheStore(ctx, j, c)
}

func newDiskcacheStore(ctx context.Context, j *job, c *cache.Cache[string, []byte]) (store, error) {
	s := &diskcacheStore{ctx: ctx, cache: c}
	var err error
	switch j.Kind {
	case "queue":
		s.queue, err = deque.New[[]byte](ctx, c.Store(), "queue", nil)
	case "lock":
		s.mutex, err = dsync.NewLock(ctx, c.Store(), "lock", nil)
	}
	if err != nil {
		c.Store().Close()
		return nil, err
	}
	return s, nil
}

func (s *diskcacheStore) client() (client, error) { return s, nil }

func (s *diskcacheStore) load(src source, from, to int) error {
	const batch = 1000
	for ; from < to; from += batch {
		err := s.cache.SetMany(s.ctx, func(yield func(string, []byte) bool) {
			for i := from; i < min(from+batch, to); i++ {
				if !yield(src.key(i), src.value()) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *diskcacheStore) get(key string) ([]byte, bool, error) { return s.cache.Get(s.ctx, key) }

func (s *diskcacheStore) set(key string, value []byte) error {
	return s.cache.Set(s.ctx, key, value)
}

func (s *diskcacheStore) delete(key string) error {
	_, err := s.cache.Delete(s.ctx, key)
	return err
}

func (s *diskcacheStore) push(b []byte) error { return s.queue.PushBack(s.ctx, b) }

func (s *diskcacheStore) pop() ([]byte, bool, error) { return s.queue.PopFront(s.ctx) }

func (s *diskcacheStore) popWait() ([]byte, error) { return s.queue.PopFrontWait(s.ctx) }

func (s *diskcacheStore) lock() (func() error, error) {
	g, err := s.mutex.Lock(s.ctx)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return g.Unlock, nil
}

func (s *diskcacheStore) close() error { return s.cache.Store().Close() }

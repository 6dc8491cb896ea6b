package main

import (
	"context"

	"github.com/maypok86/otter/v2"
)

// otterEngine is a cache in the memory of one process: the ceiling.
func otterEngine() *engine {
	return &engine{
		name: "otter", about: "otter, in the memory of one process: the ceiling", durability: "gone with its process",
		does: []string{"published", "keys", "million", "growth", "lru"}, memory: true, policies: []string{"lru"},
		open: func(_ context.Context, j *job) (store, error) {
			o := &otter.Options[string, []byte]{}
			if j.Limit > 0 {
				o.MaximumWeight = uint64(j.Limit)
				o.Weigher = func(key string, value []byte) uint32 { return uint32(len(key) + len(value)) }
			}
			c, err := otter.New(o)
			if err != nil {
				return nil, err
			}
			return &otterStore{c}, nil
		},
	}
}

type otterStore struct {
	cache *otter.Cache[string, []byte]
}

func (s *otterStore) client() (client, error) { return s, nil }

func (s *otterStore) load(src source, from, to int) error {
	for i := from; i < to; i++ {
		s.set(src.key(i), src.value())
	}
	return nil
}

// get and set copy the value, as every other engine does.

func (s *otterStore) get(key string) ([]byte, bool, error) {
	v, ok := s.cache.GetIfPresent(key)
	if !ok {
		return nil, false, nil
	}
	return append([]byte{}, v...), true, nil
}

func (s *otterStore) set(key string, value []byte) error {
	s.cache.Set(key, append([]byte{}, value...))
	return nil
}

func (s *otterStore) delete(key string) error {
	s.cache.Invalidate(key)
	return nil
}

func (s *otterStore) close() error {
	s.cache.StopAllGoroutines()
	return nil
}

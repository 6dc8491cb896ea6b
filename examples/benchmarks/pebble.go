package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleEngines are Pebble, which one process at a time can open.
func pebbleEngines() []*engine {
	variant := func(name, about, durability string, write *pebble.WriteOptions, does []string) *engine {
		return &engine{
			name: name, about: about, durability: durability, does: does,
			open: func(_ context.Context, j *job) (store, error) {
				db, err := pebble.Open(j.Dir, &pebble.Options{Logger: quiet{}})
				if err != nil {
					return nil, err
				}
				return &pebbleStore{db, write}, nil
			},
		}
	}
	return []*engine{
		variant("pebble", "Pebble with its defaults: each write waits for the disk", survivesPower, pebble.Sync, syncLoads),
		variant("pebble-nosync", "Pebble with NoSync", "the death of the process or a power cut may undo the last moments", pebble.NoSync, mapLoads),
	}
}

// quiet drops what Pebble logs.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("pebble: "+format, args...))
}

type pebbleStore struct {
	db    *pebble.DB
	write *pebble.WriteOptions
}

func (s *pebbleStore) client() (client, error) { return s, nil }

func (s *pebbleStore) load(src source, from, to int) error {
	const batch = 1000
	for ; from < to; from += batch {
		b := s.db.NewBatch()
		for i := from; i < min(from+batch, to); i++ {
			if err := b.Set([]byte(src.key(i)), src.value(), nil); err != nil {
				return err
			}
		}
		if err := b.Commit(pebble.NoSync); err != nil {
			return err
		}
	}
	return s.db.Flush()
}

func (s *pebbleStore) get(key string) ([]byte, bool, error) {
	v, closer, err := s.db.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	out := append([]byte{}, v...)
	return out, true, closer.Close()
}

func (s *pebbleStore) set(key string, value []byte) error {
	return s.db.Set([]byte(key), value, s.write)
}

func (s *pebbleStore) delete(key string) error { return s.db.Delete([]byte(key), s.write) }

func (s *pebbleStore) close() error { return s.db.Close() }

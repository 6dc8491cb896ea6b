package main

import (
	"context"
	"path/filepath"

	"go.etcd.io/bbolt"
)

const (
	survivesPower = "a power cut undoes nothing that was acknowledged"
	survivesNone  = "the process may die; a power cut may corrupt it"
)

// boltEngines are bbolt, which one process at a time can open.
func boltEngines() []*engine {
	variant := func(name, about, durability string, noSync bool, does []string) *engine {
		return &engine{
			name: name, about: about, durability: durability, does: does,
			open: func(_ context.Context, j *job) (store, error) {
				db, err := bbolt.Open(filepath.Join(j.Dir, "bolt.db"), 0o600, &bbolt.Options{
					NoSync: noSync, NoFreelistSync: noSync, FreelistType: bbolt.FreelistMapType,
				})
				if err != nil {
					return nil, err
				}
				err = db.Update(func(tx *bbolt.Tx) error {
					_, err := tx.CreateBucketIfNotExists(boltBucket)
					return err
				})
				if err != nil {
					db.Close()
					return nil, err
				}
				return &boltStore{db, noSync}, nil
			},
		}
	}
	return []*engine{
		variant("bbolt", "bbolt; each write waits for the disk", survivesPower, false, syncLoads),
		variant("bbolt-nosync", "bbolt with NoSync", survivesNone, true, mapLoads),
	}
}

var boltBucket = []byte("entries")

type boltStore struct {
	db     *bbolt.DB
	noSync bool
}

func (s *boltStore) client() (client, error) { return s, nil }

func (s *boltStore) load(src source, from, to int) error {
	const batch = 10_000
	for ; from < to; from += batch {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(boltBucket)
			for i := from; i < min(from+batch, to); i++ {
				if err := b.Put([]byte(src.key(i)), src.value()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *boltStore) get(key string) (value []byte, ok bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(boltBucket).Get([]byte(key)); v != nil {
			value, ok = append([]byte{}, v...), true
		}
		return nil
	})
	return value, ok, err
}

func (s *boltStore) set(key string, value []byte) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(boltBucket).Put([]byte(key), value) })
}

func (s *boltStore) delete(key string) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(boltBucket).Delete([]byte(key)) })
}

func (s *boltStore) close() error {
	if s.noSync {
		if err := s.db.Sync(); err != nil {
			s.db.Close()
			return err
		}
	}
	return s.db.Close()
}

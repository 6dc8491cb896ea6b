package main

import (
	"context"
	"errors"

	"github.com/dgraph-io/badger/v4"
)

// badgerEngines are Badger, which one process at a time can open.
func badgerEngines() []*engine {
	variant := func(name, about, durability string, sync bool, does []string) *engine {
		return &engine{
			name: name, about: about, durability: durability, does: does,
			open: func(_ context.Context, j *job) (store, error) {
				db, err := badger.Open(badger.DefaultOptions(j.Dir).WithLogger(nil).WithSyncWrites(sync))
				if err != nil {
					return nil, err
				}
				return &badgerStore{db}, nil
			},
		}
	}
	return []*engine{
		variant("badger-sync", "Badger with SyncWrites", survivesPower, true, syncLoads),
		variant("badger", "Badger with its defaults", "the process may die; a power cut may undo the last moments", false, mapLoads),
	}
}

type badgerStore struct{ db *badger.DB }

func (s *badgerStore) client() (client, error) { return s, nil }

func (s *badgerStore) load(src source, from, to int) error {
	b := s.db.NewWriteBatch()
	defer b.Cancel()
	for i := from; i < to; i++ {
		// The batch keeps both.
		if err := b.Set([]byte(src.key(i)), append([]byte{}, src.value()...)); err != nil {
			return err
		}
	}
	return b.Flush()
}

func (s *badgerStore) get(key string) (value []byte, ok bool, err error) {
	err = s.db.View(func(tx *badger.Txn) error {
		it, err := tx.Get([]byte(key))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		value, err = it.ValueCopy(nil)
		ok = err == nil
		return err
	})
	return value, ok, err
}

func (s *badgerStore) set(key string, value []byte) error {
	return s.db.Update(func(tx *badger.Txn) error { return tx.Set([]byte(key), value) })
}

func (s *badgerStore) delete(key string) error {
	return s.db.Update(func(tx *badger.Txn) error { return tx.Delete([]byte(key)) })
}

func (s *badgerStore) close() error { return s.db.Close() }

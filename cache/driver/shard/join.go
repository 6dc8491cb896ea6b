package shard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// New makes one store of several that are open already: its default collection is spread
// over them, and all others are in the first one. They must be empty when that is done
// for the first time, and the same ones, in the same order, each time after: anything
// else is [ErrShards]. Nobody else should write to them. Close closes them; if New fails
// they stay open.
//
// With SQLite, use [Open] or cache.StoreOptions.Shards instead, which keep all of it in
// one directory.
func New(ctx context.Context, stores ...driver.Store) (*Store, error) {
	if err := possible(len(stores)); err != nil {
		return nil, err
	}
	s := newOf(nowhere{})
	s.joined = true
	for i, st := range stores {
		s.shards = append(s.shards, &member{rel: shardName(i), store: st})
	}
	if err := s.mark(ctx); err != nil {
		return nil, err
	}
	return s, s.divide(ctx)
}

// nowhere is the layout of shards that New was given: there are no other members.
type nowhere struct{}

func (nowhere) Open(context.Context, string) (driver.Store, error) {
	return nil, errors.New("shard: there are no stores but the shards")
}
func (nowhere) Exists(string) (bool, error)   { return false, nil }
func (nowhere) List(string) ([]string, error) { return nil, nil }
func (nowhere) Dir() string                   { return "" }

// metaMark is the key, in the collection called metaName of each shard that was given to
// New, of what tells it from all others.
var metaMark = codec.TextValue("mark")

// mark makes sure that the shards belong together and are in order, and marks them if
// they are new. Nothing is written before all were looked at. Where that ends halfway,
// or several programs do it at once, the next one does the rest.
func (s *Store) mark(ctx context.Context) error {
	metas, marks := make([]driver.Collection, len(s.shards)), make([]string, len(s.shards))
	complete := false // all were marked before
	for i, m := range s.shards {
		var err error
		if metas[i], marks[i], err = look(ctx, m); err == nil && i == 0 {
			_, complete, err = m.store.Get(ctx, metas[0], metaDivided, quietly(1)) // which comes after the marks
		}
		if err != nil {
			return fmt.Errorf("shard %s: %w", m.rel, err)
		}
	}
	if marks[0] == "" && slices.ContainsFunc(marks, func(mark string) bool { return mark != "" }) {
		// Another program may mark them now: it has begun with the first.
		row, _, err := s.shards[0].store.Get(ctx, metas[0], metaMark, quietly(1))
		if err != nil {
			return fmt.Errorf("shard %s: %w", s.shards[0].rel, err)
		}
		marks[0] = row.Value.Text()
	}
	all, _, ok := strings.Cut(marks[0], " ") // what the shards have in common
	if !ok {
		all = rand.Text()
	}
	is := func(i int) string { return fmt.Sprintf("%s %d/%d", all, i, len(s.shards)) }
	for i, m := range s.shards {
		if marks[i] != is(i) && (marks[i] != "" || complete) {
			return misjoined(m)
		}
	}
	for i, m := range s.shards {
		if marks[i] != "" {
			continue
		}
		err := m.store.Update(ctx, driver.Alone, func(tx driver.Tx) error {
			row, ok, err := tx.Get(ctx, metas[i], metaMark, quietly(1))
			if err != nil {
				return err
			}
			if ok { // somebody else was faster
				marks[i] = row.Value.Text()
				return nil
			}
			marks[i] = is(i)
			_, err = tx.Put(ctx, metas[i], driver.Put{Key: metaMark, Value: codec.TextValue(marks[i]), Now: 1})
			return err
		})
		if err != nil {
			return fmt.Errorf("shard %s: %w", m.rel, err)
		}
		if i == 0 {
			all, _, _ = strings.Cut(marks[0], " ")
		}
		if marks[i] != is(i) {
			return misjoined(m)
		}
	}
	return nil
}

// look returns the mark of a shard, and where it is. Without a mark the shard has to be
// empty.
func look(ctx context.Context, m *member) (meta driver.Collection, mark string, err error) {
	meta, err = m.store.Open(ctx, metaName, driver.Spec{Settings: driver.PersistentSettings(), Durable: true})
	if err != nil {
		return nil, "", err
	}
	read := func() (string, error) {
		row, _, err := m.store.Get(ctx, meta, metaMark, quietly(1))
		return row.Value.Text(), err
	}
	if mark, err = read(); err != nil || mark != "" {
		return meta, mark, err
	}
	if err = unused(ctx, m); errors.Is(err, ErrShards) {
		// Somebody may have marked and used it meanwhile.
		if again, failed := read(); failed == nil && again != "" {
			return meta, again, nil
		}
	}
	return meta, "", err
}

func misjoined(m *member) error {
	return fmt.Errorf("%w: what was given as shard %s is another one, or belongs to other shards: give all shards, in the order of the first time", ErrShards, m.rel)
}

// unused fails if a store that is to be a shard holds something.
func unused(ctx context.Context, m *member) error {
	names, err := m.store.Names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != "" && name != metaName {
			return fmt.Errorf("%w: it holds a store that is no shard: copy that into new shards", ErrShards)
		}
	}
	empty, err := isEmpty(ctx, m)
	if err == nil && !empty {
		err = fmt.Errorf("%w: it holds a store that is no shard: copy that into new shards", ErrShards)
	}
	return err
}

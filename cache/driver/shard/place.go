package shard

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// families are those whose collections have a directory of their own, as
// FanoutCache's methods of these names make it.
var families = []string{"cache", "deque", "index"}

// home says where a collection is.
type home struct {
	rel  string // of the member; "" means that it is spread over the shards
	name string // in the member
}

// homeOf returns where the collection called name is. Without create, false
// means that it does not exist.
func (s *Store) homeOf(ctx context.Context, name string, create bool) (home, bool, error) {
	if name == "" {
		return home{}, true, nil
	}
	if name == metaName {
		return home{}, false, invalid(fmt.Sprintf("the name %q is the store's own", name))
	}
	if s.joined {
		return home{rel: s.first().rel, name: name}, true, nil
	}
	family, rest, _ := strings.Cut(name, "/")
	if slices.Contains(families, family) && rest != "" {
		if err := validate(rest); err != nil {
			return home{}, false, fmt.Errorf("collection %q: %w", name, err)
		}
		if create {
			return home{rel: name}, true, nil
		}
		ok, err := s.place.Exists(name)
		return home{rel: name}, ok, err
	}
	in := home{rel: s.first().rel, name: name}
	if base, _, ok := strings.Cut(family, "-"); ok && slices.Contains(families, base) && rest != "" {
		return s.beside(ctx, path.Join(base, rest), in, create)
	}
	return in, true, nil
}

// invalid returns a [driver.ErrInvalid] with the reason.
func invalid(reason string) error { return fmt.Errorf("%w: %s", driver.ErrInvalid, reason) }

// validate checks the path of a collection's directory.
func validate(name string) error {
	for e := range strings.SplitSeq(name, "/") {
		switch {
		case e == "" || e == "." || e == "..":
			return invalid(`an element of its name is empty, "." or ".."; it has a directory of that name`)
		case len(e) > 255:
			return invalid("an element of its name is longer than 255 bytes; it has a directory of that name")
		case strings.ContainsAny(e, "\x00\\") || !filepath.IsLocal(filepath.FromSlash(e)) || runtime.GOOS == "windows" && !windowsHas(e):
			return invalid("its name has characters that are not possible; it has a directory of that name")
		case strings.Contains(strings.ToLower(e), databaseName): // some file systems take both for the same
			return invalid(`its name contains "cache.db"; it has a directory of that name`)
		}
	}
	return nil
}

// windowsHas reports whether a directory can have the name on Windows, which
// ignores some characters at the end.
func windowsHas(name string) bool {
	return !strings.ContainsAny(name, `<>:"|?*`) && strings.TrimRight(name, ". ") == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' })
}

// admit refuses to create a store inside of another, or around one: a check
// would take the files of the inner one for left-overs. What Python has made
// is opened.
func (s *Store) admit(rel string) error {
	ok, err := s.place.Exists(rel)
	if err != nil || ok {
		return err
	}
	if s.ReadOnly() {
		return fmt.Errorf("collection does not exist: %w", driver.ErrReadOnly)
	}
	family, _, _ := strings.Cut(rel, "/")
	others, err := s.place.List(family)
	if err != nil {
		return err
	}
	for _, o := range others {
		if strings.HasPrefix(o, rel+"/") || strings.HasPrefix(rel, o+"/") {
			return invalid(fmt.Sprintf("the directories of collections %q and %q would be one in the other: choose another name", rel, o))
		}
	}
	return nil
}

// list returns the names of all members that are no shards, sorted.
func (s *Store) list() ([]string, error) {
	var all []string
	for _, f := range families {
		rels, err := s.place.List(f)
		if err != nil {
			return nil, err
		}
		all = append(all, rels...)
	}
	slices.Sort(all)
	return all, nil
}

// metaName is a collection of the first shard that holds what the store has
// to know about itself: the number of shards, and where collections are that
// could be in two places.
const metaName = ".shards"

// Keys of that collection.
var (
	metaCount   = codec.TextValue("shards")  // the number of shards
	metaDivided = codec.TextValue("divided") // the default size limit was divided among new shards
)

// meta opens that collection, or returns nil if it cannot be created.
func (s *Store) meta(ctx context.Context) (driver.Collection, error) {
	c, err := s.first().store.Open(ctx, metaName, driver.Spec{Settings: driver.PersistentSettings()})
	if errors.Is(err, driver.ErrReadOnly) {
		return nil, nil
	}
	return c, err
}

// quietly reads a row of meta.
func quietly(now driver.Instant) driver.Lookup { return driver.Lookup{Now: now, Quiet: true} }

// claim makes sure that the store, of which have shards were there, has n, and
// stores that. Only the first shard is open.
func (s *Store) claim(ctx context.Context, have, n int) error {
	meta, err := s.meta(ctx)
	if err != nil {
		return err
	}
	wrong := func(have int) error {
		return fmt.Errorf("%w: it has %d, and was opened with %d: open it with %d, or copy it into a new directory", ErrShards, have, n, have)
	}
	stored := 0
	if meta != nil {
		row, ok, err := s.first().store.Get(ctx, meta, metaCount, quietly(1))
		if err != nil {
			return err
		}
		if ok {
			stored = int(row.Value.Integer())
		}
	}
	switch {
	case stored != 0 && stored != n:
		return wrong(stored)
	case have > n:
		return wrong(have)
	case stored == n:
		return nil // what is missing is created
	case have > 1 && have != n:
		return wrong(have)
	case have == 1 && n > 1:
		// Python's, with one shard, or what is left of a creation.
		empty, err := isEmpty(ctx, s.first())
		if err != nil {
			return err
		}
		if !empty {
			return wrong(have)
		}
	}
	if meta == nil {
		return nil
	}
	err = s.first().store.Update(ctx, driver.Alone, func(tx driver.Tx) error {
		row, ok, err := tx.Get(ctx, meta, metaCount, quietly(1))
		if err != nil {
			return err
		}
		if ok {
			stored = int(row.Value.Integer())
			return nil
		}
		stored = n
		_, err = tx.Put(ctx, meta, driver.Put{Key: metaCount, Value: codec.IntegerValue(int64(n)), Now: 1})
		if err == nil && have == n { // Python has divided it
			_, err = tx.Put(ctx, meta, driver.Put{Key: metaDivided, Now: 1})
		}
		return err
	})
	if err == nil && stored != n { // somebody else was faster
		err = wrong(stored)
	}
	return err
}

// divide divides the default size limit, which an engine may give to each
// store that it creates, among the shards of a new store.
func (s *Store) divide(ctx context.Context) error {
	meta, err := s.meta(ctx)
	if err != nil || meta == nil || s.ReadOnly() {
		return err
	}
	_, done, err := s.first().store.Get(ctx, meta, metaDivided, quietly(1))
	if err != nil || done {
		return err
	}
	limit := driver.DefaultSettings().SizeLimit
	for i, m := range s.shards {
		names, err := m.store.Names(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(names, "") {
			continue
		}
		_, err = m.store.Open(ctx, "", driver.Spec{Settings: driver.DefaultSettings(), Configure: func(own *driver.Settings) {
			if own.SizeLimit == limit {
				own.SizeLimit = share(limit, i, len(s.shards))
			}
		}})
		if err != nil {
			return err
		}
	}
	return s.first().store.Update(ctx, driver.Alone, func(tx driver.Tx) error {
		_, err := tx.Put(ctx, meta, driver.Put{Key: metaDivided, Now: 1})
		return err
	})
}

// isEmpty reports whether nothing is stored in the default collection of a shard.
func isEmpty(ctx context.Context, m *member) (empty bool, err error) {
	names, err := m.store.Names(ctx)
	if err != nil || !slices.Contains(names, "") {
		return err == nil, err
	}
	c, err := m.store.Open(ctx, "", driver.Spec{Settings: driver.DefaultSettings()})
	if err != nil {
		return false, err
	}
	err = m.store.View(ctx, func(tx driver.Tx) error {
		n, err := tx.Count(ctx, c)
		empty = n == 0
		return err
	})
	return empty, err
}

// beside returns where a collection is that belongs to the one in rel: there,
// if that existed when the collection was first opened, and else in. This is
// decided once.
func (s *Store) beside(ctx context.Context, rel string, in home, create bool) (home, bool, error) {
	meta, err := s.meta(ctx)
	if err != nil || meta == nil {
		return in, false, err
	}
	key := codec.TextValue(in.name)
	row, ok, err := s.first().store.Get(ctx, meta, key, quietly(1))
	if err != nil || !ok && (!create || s.ReadOnly()) {
		return in, false, err
	}
	if !ok {
		_, rest, _ := strings.Cut(rel, "/")
		where := in.rel
		if validate(rest) == nil {
			there, err := s.place.Exists(rel)
			if err != nil {
				return in, false, err
			}
			if there {
				where = rel
			}
		}
		err := s.first().store.Update(ctx, driver.Alone, func(tx driver.Tx) (err error) {
			row, ok, err = tx.Get(ctx, meta, key, quietly(1))
			if err != nil || ok {
				return err
			}
			row.Value = codec.TextValue(where)
			_, err = tx.Put(ctx, meta, driver.Put{Key: key, Value: row.Value, Now: 1})
			return err
		})
		if err != nil {
			return in, false, err
		}
	}
	in.rel = row.Value.Text()
	return in, true, nil
}

// forget makes where a collection is open again, after it was dropped.
func (s *Store) forget(ctx context.Context, name string) error {
	meta, err := s.meta(ctx)
	if err != nil || meta == nil {
		return err
	}
	return s.first().store.Update(ctx, driver.Alone, func(tx driver.Tx) error {
		_, err := tx.Delete(ctx, meta, codec.TextValue(name), 1)
		return err
	})
}

package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// collection is a collection of one member, or the default one, which has a
// part in each shard.
type collection struct {
	store   *Store
	name    string
	members []*member
	parts   []driver.Collection // of the members
	looked  atomic.Int64        // when all parts were last read, in Unix nanoseconds
}

var (
	_ driver.Divided = (*collection)(nil)
	_ driver.Coded   = (*collection)(nil)
)

// partsOf returns the parts of collections that a member has.
func partsOf(m *member, all []driver.Collection) (parts []driver.Collection) {
	for _, h := range all {
		c, ok := h.(*collection)
		if !ok {
			continue
		}
		switch i := slices.Index(c.members, m); {
		case i < 0:
		case parts == nil:
			parts = c.parts[i : i+1 : i+1] // without an allocation
		default:
			parts = append(parts, c.parts[i])
		}
	}
	return parts
}

// Name implements [driver.Collection].
func (c *collection) Name() string { return c.name }

// Settings implements [driver.Collection]. The size limit is the sum of those
// of all shards; the rest is the first shard's.
func (c *collection) Settings() driver.Settings {
	s := c.parts[0].Settings()
	for _, p := range c.parts[1:] {
		s.SizeLimit = add(s.SizeLimit, p.Settings().SizeLimit)
	}
	return s
}

// Codecs implements [driver.Coded].
func (c *collection) Codecs() (keys, values string) {
	if p, ok := c.parts[0].(driver.Coded); ok {
		return p.Codecs()
	}
	return "", ""
}

// ValueLimit implements [driver.Divided].
func (c *collection) ValueLimit() int64 {
	limit := c.parts[0].Settings().SizeLimit
	for _, p := range c.parts[1:] {
		limit = min(limit, p.Settings().SizeLimit)
	}
	return limit
}

// add adds size limits. What is below 0 or NoLimit is no number.
func add(a, b int64) int64 {
	switch {
	case a < 0 || b < 0:
		return min(a, b)
	case a > driver.NoLimit-b:
		return driver.NoLimit
	}
	return a + b
}

// share returns the part of a size limit that shard i of n has. The parts add
// up to the whole.
func share(limit int64, i, n int) int64 {
	if limit < 0 || limit == driver.NoLimit {
		return limit
	}
	part := limit / int64(n)
	if int64(i) < limit%int64(n) {
		part++
	}
	return part
}

// configuring returns fn, which is about the settings of a whole collection,
// for those of shard i. If the shard has its part of the limit hint, that is
// what fn is given; else what n such shards have together.
func configuring(fn func(*driver.Settings), hint int64, i, n int) func(*driver.Settings) {
	if fn == nil || n == 1 {
		return fn
	}
	return func(s *driver.Settings) {
		own, whole := s.SizeLimit, s.SizeLimit
		switch {
		case share(hint, i, n) == own:
			whole = hint
		case own > driver.NoLimit/int64(n):
			whole = driver.NoLimit
		case own > 0:
			whole = own * int64(n)
		}
		s.SizeLimit = whole
		fn(s)
		if s.SizeLimit == whole {
			s.SizeLimit = own
		} else {
			s.SizeLimit = share(s.SizeLimit, i, n)
		}
	}
}

// own returns the collection behind a handle that Open returned.
func (s *Store) own(h driver.Collection) (*collection, error) {
	c, ok := h.(*collection)
	if !ok || c.store != s {
		return nil, errors.New("collection belongs to another store")
	}
	return c, nil
}

// of returns the number of the part that a key belongs to.
func (c *collection) of(key codec.Value) int { return Of(key, len(c.parts)) }

// Open implements [driver.Store]. A collection that is spread over the shards
// is opened in one after the other.
func (s *Store) Open(ctx context.Context, name string, spec driver.Spec) (driver.Collection, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	h, ok, err := s.homeOf(ctx, name, !spec.Existing)
	if err != nil {
		return nil, err
	}
	if !ok {
		missing := driver.ErrReadOnly
		if spec.Existing {
			missing = driver.ErrNotFound
		}
		return nil, fmt.Errorf("collection does not exist: %w", missing)
	}
	c := &collection{store: s, name: name, members: s.shards}
	if h.rel != "" {
		m, err := s.at(ctx, h.rel)
		if err != nil {
			return nil, err
		}
		c.members = []*member{m}
	}
	n := len(c.members)
	for i, m := range c.members {
		part := spec
		part.Settings.SizeLimit = share(spec.Settings.SizeLimit, i, n)
		part.Configure = configuring(spec.Configure, spec.Settings.SizeLimit, i, n)
		p, err := m.store.Open(ctx, h.name, part)
		if err != nil {
			return nil, within(m, n, err)
		}
		c.parts = append(c.parts, p)
	}
	return c, nil
}

// within says in which shard something went wrong.
func within(m *member, n int, err error) error {
	if err == nil || n == 1 {
		return err
	}
	return fmt.Errorf("shard %s: %w", m.rel, err)
}

// at returns the member with that name.
func (s *Store) at(ctx context.Context, rel string) (*member, error) {
	for _, m := range s.shards {
		if m.rel == rel {
			return m, nil
		}
	}
	return s.member(ctx, rel)
}

// Drop implements [driver.Store]. A collection that has a directory of its
// own is only emptied, as the default one is: a directory cannot be taken
// from under processes that use it.
func (s *Store) Drop(ctx context.Context, name string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	h, ok, err := s.homeOf(ctx, name, false)
	switch {
	case err != nil:
		return err
	case h.rel == "":
		for _, m := range s.shards {
			if err := m.store.Drop(ctx, ""); err != nil {
				return within(m, len(s.shards), err)
			}
		}
		return nil
	case !ok && s.ReadOnly():
		return driver.ErrReadOnly
	case !ok:
		return nil
	}
	m, err := s.at(ctx, h.rel)
	if err == nil {
		err = m.store.Drop(ctx, h.name)
	}
	if err == nil && h.name != "" && h.rel != s.first().rel {
		err = s.forget(ctx, name)
	}
	return err
}

// Names implements [driver.Store].
func (s *Store) Names(ctx context.Context) ([]string, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	names, err := s.first().store.Names(ctx)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == metaName })
	rels, err := s.list()
	if err != nil {
		return nil, err
	}
	names = append(names, rels...)
	beside, err := s.namesBeside(ctx)
	if err != nil {
		return nil, err
	}
	names = append(names, beside...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// namesBeside returns the collections that are in the stores of others.
func (s *Store) namesBeside(ctx context.Context) (names []string, err error) {
	if s.joined {
		return nil, nil
	}
	meta, err := s.meta(ctx)
	if err != nil || meta == nil {
		return nil, err
	}
	err = s.first().store.View(ctx, func(tx driver.Tx) error {
		page := driver.Scan{Limit: 256}
		for {
			rows, err := tx.Scan(ctx, meta, page)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if where := r.Value.Text(); where != "" && where != s.first().rel {
					names = append(names, r.Key.Text())
				}
			}
			if len(rows) < page.Limit {
				return nil
			}
			page.After = &rows[len(rows)-1]
		}
	})
	return names, err
}

// Configure implements [driver.Store]. It changes one shard after the other;
// an error may leave the first ones changed.
func (s *Store) Configure(ctx context.Context, h driver.Collection, fn func(*driver.Settings)) (driver.Settings, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Settings{}, err
	}
	c, err := s.own(h)
	if err != nil {
		return driver.Settings{}, err
	}
	select {
	case s.configuring <- struct{}{}:
	case <-ctx.Done():
		return driver.Settings{}, context.Cause(ctx)
	}
	defer func() { <-s.configuring }()
	hint, n := c.Settings().SizeLimit, len(c.parts)
	var out driver.Settings
	for i, m := range c.members {
		got, err := m.store.Configure(ctx, c.parts[i], configuring(fn, hint, i, n))
		if err != nil {
			return driver.Settings{}, within(m, n, err)
		}
		if i == 0 {
			out = got
		} else {
			out.SizeLimit = add(out.SizeLimit, got.SizeLimit)
		}
	}
	return out, nil
}

// Stats implements [driver.Store].
func (s *Store) Stats(ctx context.Context, h driver.Collection, reset bool) (sum driver.Stats, err error) {
	c, err := s.own(h)
	if err != nil {
		return sum, err
	}
	for i, m := range c.members {
		one, err := m.store.Stats(ctx, c.parts[i], reset)
		if err != nil {
			return sum, within(m, len(c.parts), err)
		}
		sum.Hits += one.Hits
		sum.Misses += one.Misses
	}
	return sum, nil
}

// lookEvery is how often Get looks for new settings in shards that it has no
// other reason to read.
const lookEvery = int64(time.Second / 2)

// look reads from every part now and then: an engine may notice only then
// that another process has changed the settings.
func (c *collection) look(ctx context.Context, key codec.Value, l driver.Lookup) {
	now := time.Now().UnixNano()
	last := c.looked.Load()
	if now-last < lookEvery && now >= last || !c.looked.CompareAndSwap(last, now) {
		return
	}
	quiet := driver.Lookup{Now: l.Now, Clock: l.Clock, Quiet: true, Bare: true}
	for i, m := range c.members {
		_, _, _ = m.store.Get(ctx, c.parts[i], key, quiet)
	}
}

// Get implements [driver.Store].
func (s *Store) Get(ctx context.Context, h driver.Collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	c, err := s.own(h)
	if err != nil {
		return driver.Row{}, false, err
	}
	if len(c.parts) > 1 {
		c.look(ctx, key, l)
	}
	i := c.of(key)
	r, ok, err := c.members[i].store.Get(ctx, c.parts[i], key, l)
	if ok {
		c.global(i, &r)
	}
	return r, ok, err
}

package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// collection is a handle on a collection.
type collection struct {
	*shared
	store *Store
}

// shared is what the handles of one collection in a store have in common.
type shared struct {
	id      int32
	name    string
	durable atomic.Bool // one of them is: all are
	known   atomic.Pointer[known]
	codecs  atomic.Pointer[codecs]
}

// known are settings, with the version of the row that they were read from.
type known struct {
	driver.Settings
	xmin uint32
}

// codecs are their names, as stored with a collection.
type codecs struct{ keys, values string }

// Codecs implements [driver.Coded].
func (c *collection) Codecs() (keys, values string) {
	s := c.codecs.Load()
	return s.keys, s.values
}

func (c *collection) Name() string              { return c.name }
func (c *collection) Settings() driver.Settings { return c.known.Load().Settings }

// own returns c as what Open of this store returned.
func (s *Store) own(c driver.Collection) (*collection, error) {
	if own, ok := c.(*collection); ok && own != nil && own.store == s {
		return own, nil
	}
	return nil, errForeign
}

// learn notes the settings that were read with a head.
func (s *Store) learn(h *head) {
	s.mu.Lock()
	c := s.collections[h.c]
	s.mu.Unlock()
	if c == nil || h.dropped {
		return
	}
	if k := c.known.Load(); k == nil || k.xmin != h.xmin || k.Settings != h.settings {
		c.known.Store(&known{h.settings, h.xmin})
	}
}

// refresh looks whether other processes have changed settings.
func (s *Store) refresh(ctx context.Context) {
	if !s.read.Swap(false) {
		return
	}
	s.mu.Lock()
	var ids []int32
	for id := range s.collections {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	err := s.conns.with(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT o.c, `+headColumns+` FROM `+headTables+` WHERE o.c = ANY($1)`, ids)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h head
			if err := h.scan(rows, &h.c); err != nil {
				return err
			}
			s.learn(&h)
		}
		return rows.Err()
	})
	if err != nil && ctx.Err() == nil {
		s.options.Logger.Warn("changed settings are not seen yet", "err", err)
	}
}

// entryOf is a collection in the catalog.
type entryOf struct {
	id                   int32
	keyCodec, valueCodec string
	settings             driver.Settings
	xmin                 uint32
}

// find reads a collection of the catalog, or returns nil.
func find(ctx context.Context, c *pgx.Conn, name string) (*entryOf, error) {
	var e entryOf
	err := c.QueryRow(ctx, `SELECT c, key_codec, value_codec, policy, size_limit, cull_limit, min_file, statistics, tag_index, xmin
		FROM collection WHERE name = $1 AND NOT dropped`, []byte(name)).Scan(&e.id, &e.keyCodec, &e.valueCodec,
		&e.settings.Policy, &e.settings.SizeLimit, &e.settings.CullLimit, &e.settings.MinFileSize, &e.settings.Statistics, &e.settings.TagIndex, &e.xmin)
	if err == pgx.ErrNoRows {
		return nil, nil
	}
	return &e, err
}

// as returns e as spec wants it.
func (e *entryOf) as(spec driver.Spec) (entryOf, error) {
	var out entryOf
	if e == nil && spec.Existing {
		return out, driver.ErrNotFound
	}
	if e == nil {
		out.keyCodec, out.valueCodec, out.settings = spec.KeyCodec, spec.ValueCodec, spec.Settings
	} else {
		out = *e
	}
	for stored, given := range map[*string]string{&out.keyCodec: spec.KeyCodec, &out.valueCodec: spec.ValueCodec} {
		switch {
		case given == "":
		case *stored == "":
			*stored = given
		case *stored != given:
			return out, driver.ErrCodecMismatch
		}
	}
	if spec.Configure != nil {
		spec.Configure(&out.settings)
	}
	if !out.settings.Policy.Valid() {
		return out, errPolicy
	}
	return out, nil
}

// Open implements [driver.Store].
func (s *Store) Open(ctx context.Context, name string, spec driver.Spec) (driver.Collection, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if spec.Durable && s.unlogged {
		return nil, fmt.Errorf("%w: the collection has to survive a crash of the server, and nothing in this store does: open it in another schema, without Unlogged", driver.ErrInvalid)
	}
	var is *entryOf
	err := s.conns.with(ctx, func(c *pgx.Conn) (err error) {
		is, err = find(ctx, c, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	want, err := is.as(spec)
	switch {
	case err != nil:
		return nil, err
	case spec.Existing && is == nil:
		return nil, driver.ErrNotFound
	case s.options.ReadOnly && is == nil:
		return nil, driver.ErrReadOnly
	case s.options.ReadOnly:
		want = *is
	case is == nil || *is != want:
		if want, err = s.define(ctx, name, spec); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.collections[want.id]
	if c == nil {
		c = &shared{id: want.id, name: name}
		s.collections[want.id] = c
	}
	if spec.Durable {
		c.durable.Store(true)
	}
	c.known.Store(&known{want.settings, want.xmin})
	c.codecs.Store(&codecs{want.keyCodec, want.valueCodec})
	return &collection{shared: c, store: s}, nil
}

// define makes a collection, or changes it, as Open wants it.
func (s *Store) define(ctx context.Context, name string, spec driver.Spec) (want entryOf, err error) {
	lock := []int32{catalog}
	for {
		var other int32 // a collection that has to be locked too
		err = s.transact(ctx, driver.Own, lock, func(x *tx) error {
			other = 0
			is, err := find(ctx, x.conn, name)
			if err != nil {
				return failed(ctx, err)
			}
			if want, err = is.as(spec); err != nil {
				return err
			}
			if is == nil && spec.Existing {
				return driver.ErrNotFound
			}
			if is == nil {
				return x.create(ctx, name, &want)
			}
			if *is == want {
				return nil
			}
			if !slices.Contains(lock, is.id) {
				other = is.id
				return nil
			}
			return x.alter(ctx, is, &want)
		})
		if err != nil || other == 0 {
			return want, err
		}
		lock = []int32{other, catalog}
	}
}

// create adds a collection to the catalog, which is locked.
func (x *tx) create(ctx context.Context, name string, e *entryOf) error {
	err := x.conn.QueryRow(ctx, `INSERT INTO collection (c, name, key_codec, value_codec, policy, size_limit, cull_limit, min_file, statistics, tag_index)
		VALUES (nextval('collection_id'), $1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING c, xmin`,
		[]byte(name), e.keyCodec, e.valueCodec, string(e.settings.Policy), e.settings.SizeLimit, e.settings.CullLimit, e.settings.MinFileSize,
		e.settings.Statistics, e.settings.TagIndex).Scan(&e.id, &e.xmin)
	if err != nil {
		return failed(ctx, err)
	}
	// Nobody knows it yet, so it needs no lock.
	h := &head{c: e.id, settings: e.settings}
	x.heads[e.id] = h
	x.moved(h)
	return nil
}

// alter writes what differs between two states of a locked collection.
func (x *tx) alter(ctx context.Context, is, want *entryOf) error {
	h, err := x.head(ctx, is.id)
	if err != nil {
		return err
	}
	if is.settings.Policy != want.settings.Policy {
		_, err := x.conn.Exec(ctx, `UPDATE entry SET rank = CASE $2::int WHEN 1 THEN stored WHEN 2 THEN accessed WHEN 3 THEN accesses END WHERE c = $1`,
			is.id, policyNumber(want.settings.Policy))
		if err != nil {
			return failed(ctx, err)
		}
	}
	err = x.conn.QueryRow(ctx, `UPDATE collection SET key_codec = $2, value_codec = $3, policy = $4, size_limit = $5, cull_limit = $6,
		min_file = $7, statistics = $8, tag_index = $9 WHERE c = $1 RETURNING xmin`,
		is.id, want.keyCodec, want.valueCodec, string(want.settings.Policy), want.settings.SizeLimit, want.settings.CullLimit,
		want.settings.MinFileSize, want.settings.Statistics, want.settings.TagIndex).Scan(&want.xmin)
	h.settings = want.settings
	x.changed(h)
	return failed(ctx, err)
}

// policyNumber tells policies apart in statements: which column the rank is.
func policyNumber(p driver.Policy) int {
	switch p {
	case driver.LeastRecentlyStored:
		return 1
	case driver.LeastRecentlyUsed:
		return 2
	case driver.LeastFrequentlyUsed:
		return 3
	}
	return 0
}

// Configure implements [driver.Store].
func (s *Store) Configure(ctx context.Context, c driver.Collection, fn func(*driver.Settings)) (driver.Settings, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Settings{}, err
	}
	defer s.leave()
	own, err := s.own(c)
	if err != nil {
		return driver.Settings{}, err
	}
	if s.options.ReadOnly {
		return driver.Settings{}, driver.ErrReadOnly
	}
	var want entryOf
	err = s.transact(ctx, driver.Own, []int32{own.id}, func(x *tx) error {
		if _, err := x.head(ctx, own.id); err != nil {
			return err
		}
		is, err := find(ctx, x.conn, own.name)
		if err != nil {
			return failed(ctx, err)
		}
		want = *is
		fn(&want.settings)
		if !want.settings.Policy.Valid() {
			return errPolicy
		}
		if *is == want {
			return nil
		}
		return x.alter(ctx, is, &want)
	})
	if err != nil {
		return driver.Settings{}, err
	}
	own.known.Store(&known{want.settings, want.xmin})
	return want.settings, nil
}

// Drop implements [driver.Store]. The rows of a collection that is gone are removed
// later, a few at a time.
func (s *Store) Drop(ctx context.Context, name string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if s.options.ReadOnly {
		return driver.ErrReadOnly
	}
	lock := []int32{catalog}
	for {
		var other int32
		err := s.transact(ctx, driver.Own, lock, func(x *tx) error {
			other = 0
			is, err := find(ctx, x.conn, name)
			if err != nil || is == nil {
				return failed(ctx, err)
			}
			if !slices.Contains(lock, is.id) {
				other = is.id
				return nil
			}
			h, err := x.head(ctx, is.id)
			if err != nil {
				return err
			}
			x.changed(h)
			if name == "" {
				return x.empty(ctx, h)
			}
			_, err = x.conn.Exec(ctx, `UPDATE collection SET dropped = true WHERE c = $1`, is.id)
			x.swept = true
			return failed(ctx, err)
		})
		if err != nil || other == 0 {
			return err
		}
		lock = []int32{other, catalog}
	}
}

// empty removes all rows.
func (x *tx) empty(ctx context.Context, h *head) error {
	_, err := x.conn.Exec(ctx, `UPDATE value SET dead = true WHERE id IN (SELECT value FROM entry WHERE c = $1 AND value IS NOT NULL)`, h.c)
	if err == nil {
		_, err = x.conn.Exec(ctx, `DELETE FROM entry WHERE c = $1`, h.c)
	}
	h.rows, h.volume, h.expire = 0, 0, 0
	h.touched.all = true
	x.swept = true
	return failed(ctx, err)
}

// Names implements [driver.Store].
func (s *Store) Names(ctx context.Context) (names []string, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	err = s.conns.with(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT name FROM collection WHERE NOT dropped ORDER BY name`)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		names = make([]string, 0, len(all))
		for _, n := range all {
			names = append(names, string(n))
		}
		return err
	})
	return names, err
}

// Volume implements [driver.Measurer], with a part "entries": the volumes of all
// collections. What the server needs for them besides, it alone knows.
func (s *Store) Volume(ctx context.Context) (v driver.Volume, err error) {
	if err := s.enter(ctx); err != nil {
		return v, err
	}
	defer s.leave()
	err = s.conns.with(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT coalesce(sum(h.volume), 0)::bigint FROM `+headTables+` WHERE NOT o.dropped`).Scan(&v.Total)
	})
	v.Parts = map[string]int64{"entries": v.Total}
	return v, err
}

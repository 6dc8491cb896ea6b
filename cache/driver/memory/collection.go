package memory

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// collection is a handle on a table.
type collection struct {
	store    *Store
	name     string
	id       int64           // of the table
	settings driver.Settings // at the time of Open
}

func (c *collection) Name() string { return c.name }

// Codecs implements [driver.Coded].
func (c *collection) Codecs() (keys, values string) {
	if t := c.store.data.state.Load().find(c); t != nil {
		return t.keyCodec, t.valueCodec
	}
	return "", ""
}

func (c *collection) Settings() driver.Settings {
	if t := c.store.data.state.Load().find(c); t != nil {
		return t.settings
	}
	return c.settings
}

// own returns c as what Open of this store returned.
func (s *Store) own(c driver.Collection) (*collection, error) {
	if own, ok := c.(*collection); ok && own != nil && own.store == s {
		return own, nil
	}
	return nil, errForeign
}

// Open implements [driver.Store].
func (s *Store) Open(ctx context.Context, name string, spec driver.Spec) (driver.Collection, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	before := s.data.state.Load().tables[name]
	if before == nil && spec.Existing {
		return nil, driver.ErrNotFound
	}
	t, err := opened(before, name, spec)
	if err != nil {
		return nil, err
	}
	if s.options.ReadOnly {
		if before == nil {
			return nil, driver.ErrReadOnly
		}
		t = before
	} else if before == nil || before.versionOf() != t.versionOf() {
		err := s.write(ctx, func(x *tx) error {
			before := x.state.tables[name]
			if before == nil && spec.Existing {
				return driver.ErrNotFound
			}
			if t, err = opened(before, name, spec); err != nil {
				return err
			}
			if before == nil {
				x.state.lastTable++
				t.id = x.state.lastTable
			}
			x.state.tables[name] = t
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return &collection{store: s, name: name, id: t.id, settings: t.settings}, nil
}

// opened returns t as spec wants it, with another version if that makes a
// difference. If t is nil it returns a new table.
func opened(t *table, name string, spec driver.Spec) (*table, error) {
	if t == nil {
		t = newTable(0, name)
		t.keyCodec, t.valueCodec, t.settings = spec.KeyCodec, spec.ValueCodec, spec.Settings
	} else {
		t = t.clone()
	}
	before := *t
	for stored, given := range map[*string]string{&t.keyCodec: spec.KeyCodec, &t.valueCodec: spec.ValueCodec} {
		switch {
		case given == "":
		case *stored == "":
			*stored = given
		case *stored != given:
			return nil, driver.ErrCodecMismatch
		}
	}
	if spec.Configure != nil {
		spec.Configure(&t.settings)
	}
	if !t.settings.Policy.Valid() {
		return nil, errNoPolicy
	}
	if t.settings != before.settings || t.keyCodec != before.keyCodec || t.valueCodec != before.valueCodec {
		t.version++
	}
	return t, nil
}

// Configure implements [driver.Store].
func (s *Store) Configure(ctx context.Context, c driver.Collection, fn func(*driver.Settings)) (driver.Settings, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Settings{}, err
	}
	defer s.leave()
	var settings driver.Settings
	err := s.write(ctx, func(x *tx) error {
		t, err := x.change(ctx, c)
		if err != nil {
			return err
		}
		settings = t.settings
		fn(&settings)
		if !settings.Policy.Valid() {
			return errNoPolicy
		}
		if t.settings != settings {
			t.settings = settings
			t.version++
		}
		return nil
	})
	if err != nil {
		return driver.Settings{}, err
	}
	return settings, nil
}

// Drop implements [driver.Store].
func (s *Store) Drop(ctx context.Context, name string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.write(ctx, func(x *tx) error {
		t := x.state.tables[name]
		if t == nil {
			return nil
		}
		t.keys.all(func(r *row) bool {
			x.unreference(r)
			return true
		})
		if name == "" {
			x.state.tables[name] = t.clone().emptied()
		} else {
			delete(x.state.tables, name)
		}
		return nil
	})
}

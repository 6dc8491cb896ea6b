package shard

import (
	"context"
	"errors"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Update implements [driver.Store].
func (s *Store) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, touches ...driver.Collection) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	if mode != driver.Alone {
		if m := s.probe(ctx, fn); m != nil {
			if err := s.single(ctx, m, mode, fn, touches); !errors.Is(err, errElsewhere) {
				return err
			}
		}
	}
	return s.together(ctx, fn)
}

var (
	errProbed    = errors.New("shard: the function is run to see what it does")
	errElsewhere = errors.New("shard: the transaction needs another shard")
)

// probe runs fn without effects and returns the member that it uses, as far
// as can be told, or nil if there are several.
func (s *Store) probe(ctx context.Context, fn func(driver.Tx) error) *member {
	p := &probe{}
	_ = fn(&tx{store: s, ctx: ctx, branches: p})
	switch {
	case p.several:
		return nil
	case p.member == nil:
		return s.first()
	}
	return p.member
}

// probe are branches that note who is asked for.
type probe struct {
	member  *member
	several bool
}

func (p *probe) at(m *member, write bool) (driver.Tx, error) {
	p.several = p.several || p.member != nil && p.member != m
	p.member = m
	if p.several {
		return nil, errProbed
	}
	return pretender{}, nil
}

func (p *probe) spread() error {
	p.several = true
	return errProbed
}

func (p *probe) failed(err error) error { return err }

// pretender is a transaction that does nothing. What needs no answer
// succeeds; anything else ends the probe.
type pretender struct{}

func (pretender) GetMany(context.Context, driver.Collection, []codec.Value, driver.Lookup) ([]driver.Row, error) {
	return nil, errProbed
}
func (pretender) Put(context.Context, driver.Collection, driver.Put) ([]driver.Row, error) {
	return nil, nil
}
func (pretender) PutMany(context.Context, driver.Collection, []driver.Put) ([]driver.Row, error) {
	return nil, nil
}
func (pretender) Cull(context.Context, driver.Collection, driver.Instant, int, codec.Value) ([]driver.Row, error) {
	return nil, nil
}
func (pretender) Get(context.Context, driver.Collection, codec.Value, driver.Lookup) (driver.Row, bool, error) {
	return driver.Row{}, false, errProbed
}
func (pretender) Touch(context.Context, driver.Collection, codec.Value, driver.Instant, driver.Instant) (bool, error) {
	return false, errProbed
}
func (pretender) Delete(context.Context, driver.Collection, codec.Value, driver.Instant) (bool, error) {
	return false, errProbed
}
func (pretender) Scan(context.Context, driver.Collection, driver.Scan) ([]driver.Row, error) {
	return nil, errProbed
}
func (pretender) Remove(context.Context, driver.Collection, driver.Filter, int) ([]driver.Row, error) {
	return nil, errProbed
}
func (pretender) Count(context.Context, driver.Collection) (int64, error) { return 0, errProbed }
func (pretender) Alive(context.Context, string) (bool, error)             { return false, errProbed }
func (pretender) Fence(context.Context) (int64, error)                    { return 0, errProbed }

// single runs fn in a transaction of one member. If fn needs another one it
// fails with errElsewhere.
func (s *Store) single(ctx context.Context, m *member, mode driver.Mode, fn func(driver.Tx) error, touches []driver.Collection) error {
	return m.store.Update(ctx, mode, func(dt driver.Tx) error {
		b := &branch{member: m, tx: dt}
		err := fn(&tx{store: s, ctx: ctx, branches: b})
		if b.elsewhere {
			return errElsewhere
		}
		return err
	}, partsOf(m, touches)...)
}

// branch is a transaction of one member.
type branch struct {
	member    *member
	tx        driver.Tx
	elsewhere bool
}

func (b *branch) at(m *member, write bool) (driver.Tx, error) {
	if m == b.member && !b.elsewhere {
		return b.tx, nil
	}
	b.elsewhere = true
	return nil, errElsewhere
}

func (b *branch) spread() error {
	b.elsewhere = true
	return errElsewhere
}

func (b *branch) failed(err error) error { return err }

package shard

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// branches are the transactions of members that make up a transaction.
type branches interface {
	// at returns the transaction of a member, which is begun if need be.
	at(m *member, write bool) (driver.Tx, error)
	// spread is called before at is, for all shards.
	spread() error
	// failed is told of the error of an operation.
	failed(err error) error
}

// tx is a transaction of the store.
type tx struct {
	store    *Store
	ctx      context.Context
	branches branches
}

var _ driver.Tx = (*tx)(nil)

// keyed returns what an operation on one key needs.
func (t *tx) keyed(h driver.Collection, key codec.Value, write bool) (dt driver.Tx, c *collection, i int, err error) {
	if c, err = t.store.own(h); err != nil {
		return nil, nil, 0, err
	}
	i = c.of(key)
	dt, err = t.branches.at(c.members[i], write)
	return dt, c, i, err
}

// each calls fn for all parts of a collection, until fn returns false.
func (t *tx) each(h driver.Collection, write bool, fn func(dt driver.Tx, c *collection, i int) (bool, error)) error {
	c, err := t.store.own(h)
	if err != nil {
		return err
	}
	if len(c.parts) > 1 {
		if err := t.branches.spread(); err != nil {
			return err
		}
	}
	for i, m := range c.members {
		dt, err := t.branches.at(m, write)
		if err != nil {
			return err
		}
		if more, err := fn(dt, c, i); err != nil || !more {
			return t.branches.failed(err)
		}
	}
	return nil
}

// Get implements [driver.Tx].
func (t *tx) Get(ctx context.Context, h driver.Collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	dt, c, i, err := t.keyed(h, key, false)
	if err != nil {
		return driver.Row{}, false, err
	}
	r, ok, err := dt.Get(ctx, c.parts[i], key, l)
	if ok {
		c.global(i, &r)
	}
	return r, ok, t.branches.failed(err)
}

// GetMany implements [driver.Tx].
func (t *tx) GetMany(ctx context.Context, h driver.Collection, keys []codec.Value, l driver.Lookup) ([]driver.Row, error) {
	return driver.GetEach(ctx, t, h, keys, l)
}

// Put implements [driver.Tx].
func (t *tx) Put(ctx context.Context, h driver.Collection, p driver.Put) ([]driver.Row, error) {
	dt, c, i, err := t.keyed(h, p.Key, true)
	if err != nil {
		return nil, err
	}
	if f, ok := p.File.(*file); ok && dt != (pretender{}) {
		if p.File, err = f.in(ctx, t.store, c.members[i]); err != nil {
			return nil, t.branches.failed(err)
		}
	}
	gone, err := dt.Put(ctx, c.parts[i], p)
	return c.globalAll(i, gone), t.branches.failed(err)
}

// PutMany implements [driver.Tx].
func (t *tx) PutMany(ctx context.Context, h driver.Collection, ps []driver.Put) ([]driver.Row, error) {
	return driver.PutEach(ctx, t, h, ps)
}

// Touch implements [driver.Tx].
func (t *tx) Touch(ctx context.Context, h driver.Collection, key codec.Value, expire, now driver.Instant) (bool, error) {
	dt, c, i, err := t.keyed(h, key, true)
	if err != nil {
		return false, err
	}
	ok, err := dt.Touch(ctx, c.parts[i], key, expire, now)
	return ok, t.branches.failed(err)
}

// Delete implements [driver.Tx].
func (t *tx) Delete(ctx context.Context, h driver.Collection, key codec.Value, now driver.Instant) (bool, error) {
	dt, c, i, err := t.keyed(h, key, true)
	if err != nil {
		return false, err
	}
	ok, err := dt.Delete(ctx, c.parts[i], key, now)
	return ok, t.branches.failed(err)
}

// Remove implements [driver.Tx].
func (t *tx) Remove(ctx context.Context, h driver.Collection, f driver.Filter, limit int) (out []driver.Row, err error) {
	if f.IDs != nil {
		return t.removeIDs(ctx, h, f, limit)
	}
	err = t.each(h, true, func(dt driver.Tx, c *collection, i int) (bool, error) {
		rows, err := dt.Remove(ctx, c.parts[i], f, limit-len(out))
		out = append(out, c.globalAll(i, rows)...)
		return len(out) < limit, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// removeIDs is Remove of listed rows, which touches only their shards.
func (t *tx) removeIDs(ctx context.Context, h driver.Collection, f driver.Filter, limit int) (out []driver.Row, err error) {
	c, err := t.store.own(h)
	if err != nil {
		return nil, err
	}
	ids := make([][]int64, len(c.parts))
	for _, id := range f.IDs {
		if i, local := localID(id); i >= 0 && i < len(ids) {
			ids[i] = append(ids[i], local)
		}
	}
	for i, m := range c.members {
		if len(ids[i]) == 0 && (i > 0 || len(f.IDs) > 0) {
			continue
		}
		dt, err := t.branches.at(m, true)
		if err != nil {
			return nil, err
		}
		own := f
		own.IDs = append([]int64{}, ids[i]...)
		rows, err := dt.Remove(ctx, c.parts[i], own, limit-len(out))
		if err != nil {
			return nil, t.branches.failed(err)
		}
		out = append(out, c.globalAll(i, rows)...)
	}
	return out, nil
}

// Cull implements [driver.Tx]. With a key it makes room where the key is, and
// else in one shard after the other.
func (t *tx) Cull(ctx context.Context, h driver.Collection, now driver.Instant, limit int, keep codec.Value) (out []driver.Row, err error) {
	if !keep.IsNull() {
		dt, c, i, err := t.keyed(h, keep, true)
		if err != nil {
			return nil, err
		}
		rows, err := dt.Cull(ctx, c.parts[i], now, limit, keep)
		return c.globalAll(i, rows), t.branches.failed(err)
	}
	err = t.each(h, true, func(dt driver.Tx, c *collection, i int) (bool, error) {
		rows, err := dt.Cull(ctx, c.parts[i], now, limit-len(out), keep)
		out = append(out, c.globalAll(i, rows)...)
		return limit <= 0 || len(out) < limit, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Count implements [driver.Tx].
func (t *tx) Count(ctx context.Context, h driver.Collection) (sum int64, err error) {
	err = t.each(h, false, func(dt driver.Tx, c *collection, i int) (bool, error) {
		n, err := dt.Count(ctx, c.parts[i])
		sum += n
		return true, err
	})
	return sum, err
}

// Alive implements [driver.Tx]. Sessions are those of the first shard.
func (t *tx) Alive(ctx context.Context, session string) (bool, error) {
	return t.store.Alive(ctx, session) // not by a transaction of that shard, which may have no part in this one
}

// Fence implements [driver.Tx]. It is the counter of the first shard.
func (t *tx) Fence(ctx context.Context) (int64, error) {
	dt, err := t.branches.at(t.store.first(), true)
	if err != nil {
		return 0, err
	}
	n, err := dt.Fence(ctx)
	return n, t.branches.failed(err)
}

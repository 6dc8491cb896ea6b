package cache

import (
	"context"
	"iter"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// GetMany returns the entries of those keys that have one, in the order of
// the keys, all as of one moment. It counts as a Get of each.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys ...K) ([]Entry[K, V], error) {
	es, err := c.getMany(ctx, keys)
	return es, c.fail(ctx, "GetMany", err)
}

func (c *Cache[K, V]) getMany(ctx context.Context, keys []K) (es []Entry[K, V], err error) {
	encoded, err := c.encodeKeys(keys)
	if err != nil {
		return nil, err
	}
	l := c.reading()
	var rows []driver.Row
	err = c.view(ctx, func(tx driver.Tx) (err error) {
		rows, err = tx.GetMany(ctx, c.dc, encoded, l)
		return err
	})
	for i := 0; err == nil && i < len(rows); i++ {
		var e Entry[K, V]
		var ok bool
		if e, ok, err = c.entry(ctx, &rows[i]); ok {
			es = append(es, e)
		}
	}
	if err != nil {
		return nil, err
	}
	return es, nil
}

// SetMany stores all entries of a sequence, such as maps.All or slices.All
// make it, in one transaction: all or, with an error, none. See Set.
//
//	err := c.SetMany(ctx, maps.All(pages), cache.TTL(time.Hour))
func (c *Cache[K, V]) SetMany(ctx context.Context, entries iter.Seq2[K, V], opts ...Option) error {
	err := c.setMany(ctx, entries, opts)
	return c.fail(ctx, "SetMany", err)
}

func (c *Cache[K, V]) setMany(ctx context.Context, entries iter.Seq2[K, V], opts []Option) error {
	if entries == nil {
		return invalid("nil sequence")
	}
	w, err := parse(opts)
	if err == nil {
		err = w.only(false, false, true)
	}
	if err != nil {
		return err
	}
	var puts []driver.Put
	defer func() {
		for i := range puts {
			c.discard(&puts[i])
		}
	}()
	for k, v := range entries {
		if err := ended(ctx); err != nil {
			return err
		}
		p, err := c.prepare(ctx, k, v, &w)
		if err != nil {
			return err
		}
		c.room(&p)
		puts = append(puts, p)
	}
	if len(puts) == 0 {
		return c.ready(ctx)
	}
	var gone []driver.Row
	err = c.write(ctx, modeFor(len(puts)), func(tx driver.Tx) (err error) {
		gone, err = tx.PutMany(ctx, c.dc, puts)
		return err
	})
	if err == nil {
		c.notify(gone, puts[len(puts)-1].Now)
	}
	return err
}

// DeleteMany removes the entries of keys in one transaction and returns how
// many there were.
func (c *Cache[K, V]) DeleteMany(ctx context.Context, keys ...K) (int, error) {
	n, err := c.deleteMany(ctx, keys)
	if err != nil {
		n = 0
	}
	return n, c.fail(ctx, "DeleteMany", err)
}

func (c *Cache[K, V]) deleteMany(ctx context.Context, keys []K) (n int, err error) {
	encoded, err := c.encodeKeys(keys)
	if err != nil {
		return 0, err
	}
	now := c.st.instant()
	var gone []driver.Row
	err = c.write(ctx, modeFor(len(keys)), func(tx driver.Tx) error {
		n, gone = 0, nil
		for _, key := range encoded {
			ok, over, err := c.delete(ctx, tx, key, now)
			if err != nil {
				return err
			}
			gone = append(gone, over...)
			if ok {
				n++
			}
		}
		return nil
	})
	if err == nil {
		c.notify(gone, now)
	}
	return n, err
}

func (c *Cache[K, V]) encodeKeys(keys []K) ([]codec.Value, error) {
	encoded := make([]codec.Value, len(keys))
	for i, k := range keys {
		var err error
		if encoded[i], err = c.key(k); err != nil {
			return nil, err
		}
	}
	return encoded, nil
}

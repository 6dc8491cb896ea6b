package cache

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Set stores v under k, in place of what was there: an entry that is
// overwritten keeps its place in insertion order and nothing else. When Set
// returns, every process sees the value.
//
// Set also makes room, as Options.CullLimit says, and never evicts what it
// has just written.
//
// With an error nothing is changed, but for ErrUncertain. A value above the size limit or
// StoreOptions.MaxValueSize is ErrTooLarge; options that contradict each other are
// ErrInvalid. Set waits for other writers: until ctx ends, or else ErrTimeout after
// StoreOptions.Timeout. In a store that was opened for reading, and inside View, it
// is ErrReadOnly, and on a full disk ErrFull.
func (c *Cache[K, V]) Set(ctx context.Context, k K, v V, opts ...Option) error {
	p, err := c.entryToSet(ctx, k, v, opts)
	if err == nil {
		defer c.discard(&p)
		err = c.set(ctx, p)
	}
	return c.fail(ctx, "Set", err)
}

// entryToSet is prepare with options that Set allows.
func (c *Cache[K, V]) entryToSet(ctx context.Context, k K, v V, opts []Option) (driver.Put, error) {
	w, err := parse(opts)
	if err == nil {
		err = w.only(false, false, true)
	}
	if err != nil {
		return driver.Put{}, err
	}
	return c.prepare(ctx, k, v, &w)
}

// Add stores v under k if there is no entry, or only one that has expired,
// and reports whether it did.
func (c *Cache[K, V]) Add(ctx context.Context, k K, v V, opts ...Option) (bool, error) {
	p, err := c.entryToSet(ctx, k, v, opts)
	if err != nil {
		return false, c.fail(ctx, "Add", err)
	}
	defer c.discard(&p)
	found, err := c.addRow(ctx, p)
	return err == nil && !found, c.fail(ctx, "Add", err)
}

// addRow puts a row unless there is one.
func (h *handle) addRow(ctx context.Context, p driver.Put) (found bool, err error) {
	var gone []driver.Row
	err = h.write(ctx, driver.Shared, func(tx driver.Tx) (err error) {
		gone = nil
		_, found, err = tx.Get(ctx, h.dc, p.Key, driver.Lookup{Now: p.Now, Quiet: true, Bare: true})
		if err == nil && !found {
			gone, err = h.store(ctx, tx, p)
		}
		return err
	})
	if err == nil {
		h.notify(gone, p.Now)
	}
	return found, err
}

// GetOrSet returns the value of k and true, or else stores v and returns it
// and false. Of several callers at once, one stores its value and all others
// get that. To compute a missing value only once, see package memo.
func (c *Cache[K, V]) GetOrSet(ctx context.Context, k K, v V, opts ...Option) (actual V, loaded bool, err error) {
	actual, loaded, err = c.getOrSet(ctx, k, v, opts)
	if err = c.fail(ctx, "GetOrSet", err); err != nil {
		var zero V
		return zero, false, err
	}
	return actual, loaded, nil
}

func (c *Cache[K, V]) getOrSet(ctx context.Context, k K, v V, opts []Option) (V, bool, error) {
	p, err := c.entryToSet(ctx, k, v, opts)
	if err != nil {
		return v, false, err
	}
	defer c.discard(&p)
	for l := c.reading(); ; l = c.looking() { // only the first read counts
		row, ok, err := c.get(ctx, p.Key, l)
		if ok {
			ok, err = c.fill(ctx, p.Key, l, &row)
		}
		if err != nil {
			return v, false, err
		}
		if ok {
			old, err := c.decodeValue(&row)
			if err == nil {
				return old, true, nil
			}
			if err = c.skipped(ctx, err); err != nil {
				return v, false, err
			}
			return v, false, c.set(ctx, p) // what cannot be decoded is missing
		}
		p.Now = l.Instant()
		if found, err := c.addRow(ctx, p); err != nil || !found {
			return v, false, err
		}
	}
}

// Touch changes when the entry of k expires: as the options say, else after
// Options.TTL, else never. It reports whether there was an entry.
func (c *Cache[K, V]) Touch(ctx context.Context, k K, opts ...Option) (bool, error) {
	ok, err := c.touch(ctx, k, opts)
	return ok && err == nil, c.fail(ctx, "Touch", err)
}

func (c *Cache[K, V]) touch(ctx context.Context, k K, opts []Option) (ok bool, err error) {
	w, err := parse(opts)
	if err == nil {
		err = w.only(false, false, false)
	}
	if err != nil {
		return false, err
	}
	p, err := c.put(k, &w)
	if err != nil {
		return false, err
	}
	err = c.write(ctx, driver.Shared, func(tx driver.Tx) (err error) {
		ok, err = tx.Touch(ctx, c.dc, p.Key, p.Expire, p.Now)
		return err
	})
	return ok, err
}

// Delete removes the entry of k and reports whether there was one.
func (c *Cache[K, V]) Delete(ctx context.Context, k K) (ok bool, err error) {
	key, err := c.key(k)
	if err != nil {
		return false, c.fail(ctx, "Delete", err)
	}
	now := c.st.instant()
	var gone []driver.Row
	err = c.write(ctx, driver.Shared, func(tx driver.Tx) (err error) {
		ok, gone, err = c.delete(ctx, tx, key, now)
		return err
	})
	if err == nil {
		c.notify(gone, now)
	}
	return ok && err == nil, c.fail(ctx, "Delete", err)
}

// delete deletes the row of a key, and returns it if OnEvict is to be told that
// it had expired.
func (h *handle) delete(ctx context.Context, tx driver.Tx, key codec.Value, now driver.Instant) (ok bool, gone []driver.Row, err error) {
	if gone, err = h.expired(ctx, tx, key, now); err == nil {
		ok, err = tx.Delete(ctx, h.dc, key, now)
	}
	return ok, gone, err
}

// Pop removes the entry of k and returns its value, and false if there was
// none. Of several callers at once, one gets it. A value that cannot be
// decoded is not removed.
func (c *Cache[K, V]) Pop(ctx context.Context, k K) (V, bool, error) {
	e, ok, err := c.pop(ctx, k)
	return e.Value, ok, c.fail(ctx, "Pop", err)
}

// PopEntry is Pop with what is known about the entry.
func (c *Cache[K, V]) PopEntry(ctx context.Context, k K) (Entry[K, V], bool, error) {
	e, ok, err := c.pop(ctx, k)
	return e, ok, c.fail(ctx, "PopEntry", err)
}

func (c *Cache[K, V]) pop(ctx context.Context, k K) (e Entry[K, V], ok bool, err error) {
	key, err := c.key(k)
	if err != nil {
		return e, false, err
	}
	l := driver.Lookup{Now: c.st.instant(), Quiet: true}
	err = c.alter(ctx, func(tx driver.Tx, whole func(*driver.Row) error) error {
		e, ok = Entry[K, V]{}, false
		row, found, err := tx.Get(ctx, c.dc, key, l)
		if err != nil || !found {
			return err
		}
		if err := whole(&row); err != nil {
			return err
		}
		if e, ok, err = c.decode(ctx, &row); err != nil || !ok {
			return refuse(err)
		}
		return c.remove(ctx, tx, row.ID)
	})
	if err != nil {
		return Entry[K, V]{}, false, err
	}
	return e, ok, nil
}

// remove deletes one row.
func (h *handle) remove(ctx context.Context, tx driver.Tx, id int64) error {
	_, err := tx.Remove(ctx, h.dc, driver.Filter{IDs: []int64{id}}, 1)
	return err
}

// CompareAndSwap stores new under k if the entry's value is old: if both are
// encoded equally. It reports whether it did. The entry keeps its expiry and
// its tag except for what the options change. Without an entry it does
// nothing; Add makes one. A codec that encodes equal values differently, such
// as codec.Seal, is ErrInvalid; use Modify.
func (c *Cache[K, V]) CompareAndSwap(ctx context.Context, k K, old, new V, opts ...Option) (bool, error) {
	swapped, err := c.compareAndSwap(ctx, k, old, new, opts)
	return swapped && err == nil, c.fail(ctx, "CompareAndSwap", err)
}

func (c *Cache[K, V]) compareAndSwap(ctx context.Context, k K, old, new V, opts []Option) (swapped bool, err error) {
	if err := codec.Keyable(c.values); err != nil {
		return false, invalid("values cannot be compared: %w", err)
	}
	w, err := parse(opts)
	if err == nil {
		err = w.only(false, false, true)
	}
	if err != nil {
		return false, err
	}
	p, err := c.prepare(ctx, k, new, &w)
	if err != nil {
		return false, err
	}
	defer c.discard(&p)
	want, err := c.encodeValue(p.Key, old)
	if err != nil {
		return false, err
	}
	var gone []driver.Row
	err = c.alter(ctx, func(tx driver.Tx, whole func(*driver.Row) error) error {
		gone, swapped = nil, false
		row, found, err := tx.Get(ctx, c.dc, p.Key, driver.Lookup{Now: p.Now, Quiet: true})
		if err != nil || !found || row.ForeignValue {
			return err
		}
		if err := whole(&row); err != nil {
			return err
		}
		if !codec.Equal(row.Value, want) {
			return nil
		}
		swapped = true
		gone, err = c.store(ctx, tx, w.over(p, &row))
		return err
	})
	if err == nil {
		c.notify(gone, p.Now)
	}
	return swapped, err
}

// over returns p with what w does not change taken from the entry that it
// replaces.
func (w *write) over(p driver.Put, old *driver.Row) driver.Put {
	if w.expiry == byDefault && !w.tagged {
		p.Keep = true
		return p
	}
	if w.expiry == byDefault {
		p.Expire = old.Expire
	}
	if !w.tagged {
		p.Tag = old.Tag
	}
	return p
}

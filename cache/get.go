package cache

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Get returns the value of k, and false if there is none or it has expired.
//
// It waits for no writer, and does not write: that an entry was used is recorded
// later, with other writes, and only if the collection's policy, its statistics or
// Options.Sliding ask for it.
//
// A value that the codec cannot read is ErrCodecMismatch, or missing with
// Options.SkipUndecodable. One whose file is missing or damaged is ErrCorrupt, and one
// above StoreOptions.MaxValueSize is ErrTooLarge. After Close it is ErrClosed.
func (c *Cache[K, V]) Get(ctx context.Context, k K) (v V, ok bool, err error) {
	row, ok, err := c.read(ctx, k, c.reading())
	if ok {
		v, err = c.decodeValue(&row)
	}
	if err != nil {
		var zero V
		return zero, false, c.fail(ctx, "Get", c.skipped(ctx, err))
	}
	return v, ok, nil
}

// GetEntry is Get with what is known about the entry: expiry, tag, times.
// They are as they were before this call.
func (c *Cache[K, V]) GetEntry(ctx context.Context, k K) (e Entry[K, V], ok bool, err error) {
	row, ok, err := c.read(ctx, k, c.reading())
	if ok {
		e, ok, err = c.decode(ctx, &row)
	}
	return e, ok, c.fail(ctx, "GetEntry", err)
}

// read returns the row of k with its value.
func (c *Cache[K, V]) read(ctx context.Context, k K, l driver.Lookup) (driver.Row, bool, error) {
	key, err := c.key(k)
	if err != nil {
		return driver.Row{}, false, err
	}
	row, ok, err := c.get(ctx, key, l)
	if ok && row.File != "" {
		ok, err = c.fill(ctx, key, l, &row)
	}
	return row, ok, err
}

// Contains reports whether k has an entry that has not expired. It counts
// neither as a hit nor as a use of the entry, and does not decode the value.
func (c *Cache[K, V]) Contains(ctx context.Context, k K) (bool, error) {
	l := c.looking()
	l.Bare = true
	key, err := c.key(k)
	ok := false
	if err == nil {
		_, ok, err = c.get(ctx, key, l)
	}
	return ok, c.fail(ctx, "Contains", err)
}

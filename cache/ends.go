package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// deadLimit is the number of expired rows that are removed in one transaction
// on the way to a live one.
const deadLimit = 256

// First returns the first entry in insertion order, and false if there is
// none. Expired ones before it are removed. If its value is lost, as its file
// is missing or damaged, that is ErrCorrupt; the entry is returned without it,
// with true, so that it can be deleted.
func (c *Cache[K, V]) First(ctx context.Context) (Entry[K, V], bool, error) {
	e, ok, err := c.peek(ctx, driver.Scan{}, nil)
	return e, ok, c.fail(ctx, "First", err)
}

// Last returns the last entry in insertion order, and false if there is none.
// Expired ones behind it are removed. See First.
func (c *Cache[K, V]) Last(ctx context.Context) (Entry[K, V], bool, error) {
	e, ok, err := c.peek(ctx, driver.Scan{Desc: true}, nil)
	return e, ok, c.fail(ctx, "Last", err)
}

// found is what find came upon.
type found struct {
	row  driver.Row
	ok   bool    // row is live
	dead []int64 // IDs of expired rows before it
	more bool    // there were so many that it has not looked further
}

// find returns the first live row that s selects and mine (nil: all) accepts.
// It stops after deadLimit expired rows if stop is true.
func (h *handle) find(ctx context.Context, tx driver.Tx, s driver.Scan, now driver.Instant, stop bool, mine func(*driver.Row) bool) (f found, err error) {
	s.Limit = 1
	settings := h.dc.Settings()
	for {
		page, err := tx.Scan(ctx, h.dc, s)
		if err != nil {
			return f, err
		}
		for i := range page {
			r := &page[i]
			switch {
			case mine != nil && !mine(r):
			case r.Expired(now):
				f.dead = append(f.dead, r.ID)
			case !settings.Over(r.Stored, r.Expire, now):
				f.row, f.ok = *r, true
				return f, nil
			}
		}
		if len(page) < s.Limit {
			return f, nil
		}
		if stop && len(f.dead) >= deadLimit {
			f.more = true
			return f, nil
		}
		s.After = &page[len(page)-1]
		s.Limit = firstPage
	}
}

// bury removes expired rows.
func (h *handle) bury(ctx context.Context, tx driver.Tx, ids []int64, now driver.Instant) ([]driver.Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return tx.Remove(ctx, h.dc, driver.Filter{IDs: ids, Expired: now}, len(ids))
}

// peek returns the first live entry that s selects and mine accepts, and
// removes expired ones before it. That it cannot remove them is no error. One
// whose value is lost is returned with an error.
func (c *Cache[K, V]) peek(ctx context.Context, s driver.Scan, mine func(*driver.Row) bool) (e Entry[K, V], ok bool, err error) {
	canWrite := !c.st.ReadOnly() && (c.tx == nil || !c.tx.readOnly)
	mine = c.acceptable(mine)
	var failed driver.Row // the row that was not there, or not to be decoded, the last time
	for {
		var f found
		now := c.st.instant()
		err = c.view(ctx, func(tx driver.Tx) (err error) {
			f, err = c.find(ctx, tx, s, now, canWrite, mine)
			return err
		})
		if err != nil {
			return e, false, err
		}
		if len(f.dead) > 0 && canWrite {
			var gone []driver.Row
			err = c.update(ctx, driver.Alone, func(tx driver.Tx) (err error) {
				gone, err = c.bury(ctx, tx, f.dead, now)
				return err
			})
			if err != nil {
				canWrite = false
			}
			c.notify(gone, now)
		}
		if f.more {
			continue
		}
		if !f.ok {
			return e, false, nil
		}
		e, ok, err = c.entry(ctx, &f.row)
		if errors.Is(err, ErrCorrupt) {
			if k, kerr := c.decodeKey(&f.row); kerr == nil {
				e, ok = entryOf[K, V](&f.row), true
				e.Key = k
			}
		}
		if ok || err != nil {
			return e, ok, err
		}
		if f.row.ID == failed.ID && f.row.Stored == failed.Stored {
			s.After = &f.row // a value in a file that cannot be decoded
		}
		failed = f.row // it may have gone meanwhile
	}
}

// take is peek that also removes the entry. An entry that cannot be decoded is
// not removed. One whose value is lost is, with an error: it would be in the
// way of all others for good.
func (c *Cache[K, V]) take(ctx context.Context, s driver.Scan, mine func(*driver.Row) bool) (e Entry[K, V], ok bool, err error) {
	mine = c.acceptable(mine)
	for more := true; more; {
		var lost error
		var skipped *driver.Row
		var gone []driver.Row
		now := c.st.instant()
		err = c.alter(ctx, func(tx driver.Tx, whole func(*driver.Row) error) error {
			e, ok, gone, skipped, lost = Entry[K, V]{}, false, nil, nil, nil
			f, err := c.find(ctx, tx, s, now, true, mine)
			if err != nil {
				return err
			}
			more = f.more
			if f.ok {
				err := whole(&f.row)
				if lost = lostValue(err); lost == nil && err != nil {
					return err
				}
				if lost == nil {
					if e, ok, err = c.decode(ctx, &f.row); err != nil {
						return refuse(err)
					}
					if !ok { // a value in a file that cannot be decoded
						skipped, more = &f.row, true
					}
				}
			}
			if gone, err = c.bury(ctx, tx, f.dead, now); err != nil || !ok && lost == nil {
				return err
			}
			return c.remove(ctx, tx, f.row.ID)
		})
		if err != nil {
			return Entry[K, V]{}, false, err
		}
		c.notify(gone, now)
		if lost != nil {
			return Entry[K, V]{}, false, fmt.Errorf("the entry is removed: %w", lost)
		}
		if skipped != nil {
			s.After = skipped
		}
	}
	return e, ok, nil
}

// lostValue returns the error of whole if it says that the value is not there
// any more, and nil otherwise.
func lostValue(err error) error {
	if r, ok := err.(refusal); ok && errors.Is(r.error, ErrCorrupt) {
		return r.error
	}
	return nil
}

// acceptable makes mine leave out rows that cannot be decoded, where such
// rows are to be skipped. Values in files are not looked at.
func (c *Cache[K, V]) acceptable(mine func(*driver.Row) bool) func(*driver.Row) bool {
	if !c.shared.skip {
		return mine
	}
	return func(r *driver.Row) bool {
		if mine != nil && !mine(r) {
			return false
		}
		_, err := c.decodeKey(r)
		if err == nil && r.File == "" {
			_, err = c.decodeValue(r)
		}
		return err == nil || !errors.Is(err, ErrCodecMismatch)
	}
}

package cache

import (
	"context"
	"iter"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Pages of a scan grow from the first size to the last, as long as they stay
// below pageBytes.
const (
	firstPage = 16
	lastPage  = 256
	pageBytes = 1 << 20
)

// All iterates over all entries in insertion order.
//
// This and every other iterator of the package yields (item, nil) until the
// end, or an error once, with a zero item, and ends then. Entries that have
// expired are left out. No transaction, lock or connection is held while the
// loop's body runs, so it may do anything, also write to the collection.
// What is there throughout is yielded exactly once; what is added, changed or
// removed meanwhile may be seen or not. Values are read from files one at a
// time. A collection bound to a View's transaction is iterated over as it was
// when that began.
func (c *Cache[K, V]) All(ctx context.Context) iter.Seq2[Entry[K, V], error] {
	return c.entries(ctx, "All", driver.Scan{}, 0)
}

// Backward is All from the last entry to the first.
func (c *Cache[K, V]) Backward(ctx context.Context) iter.Seq2[Entry[K, V], error] {
	return c.entries(ctx, "Backward", driver.Scan{Desc: true}, 0)
}

// Keys iterates over all keys in insertion order, without reading values. See
// All.
func (c *Cache[K, V]) Keys(ctx context.Context) iter.Seq2[K, error] {
	return c.scanKeys(ctx, "Keys", driver.Scan{}, 0)
}

// Collect returns all that an iterator yields, or what it did before an
// error, and the error.
//
//	keys, err := cache.Collect(c.Keys(ctx))
func Collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}

// entries iterates over at most limit (0: all) entries that s selects.
func (c *Cache[K, V]) entries(ctx context.Context, op string, s driver.Scan, limit int64) iter.Seq2[Entry[K, V], error] {
	return func(yield func(Entry[K, V], error) bool) {
		for row, err := range c.rows(ctx, s, limit) {
			var e Entry[K, V]
			ok := false
			if err == nil {
				e, ok, err = c.entry(ctx, row)
			}
			if err != nil {
				yield(Entry[K, V]{}, c.fail(ctx, op, err))
				return
			}
			if ok && !yield(e, nil) {
				return
			}
		}
	}
}

// entry makes an entry of a row that was read some time ago. Without an
// error, false means that it has gone or is to be skipped.
func (c *Cache[K, V]) entry(ctx context.Context, r *driver.Row) (e Entry[K, V], ok bool, err error) {
	ok = true
	if r.File != "" && !r.ForeignKey && !r.ForeignValue {
		ok, err = c.fill(ctx, r.Key, c.looking(), r)
	}
	if ok {
		e, ok, err = c.decode(ctx, r)
	}
	return e, ok, err
}

// scanKeys is entries for keys.
func (c *Cache[K, V]) scanKeys(ctx context.Context, op string, s driver.Scan, limit int64) iter.Seq2[K, error] {
	s.Bare = true
	return func(yield func(K, error) bool) {
		for row, err := range c.rows(ctx, s, limit) {
			var k K
			if err == nil {
				if k, err = c.decodeKey(row); err != nil {
					if err = c.skipped(ctx, err); err == nil {
						continue
					}
				}
			}
			if err != nil {
				var zero K
				yield(zero, c.fail(ctx, op, err))
				return
			}
			if !yield(k, nil) {
				return
			}
		}
	}
}

// rows iterates over at most limit (0: all) live rows that s selects, page by
// page. The rows belong to the loop's body.
func (h *handle) rows(ctx context.Context, s driver.Scan, limit int64) iter.Seq2[*driver.Row, error] {
	return func(yield func(*driver.Row, error) bool) {
		s := s // an iterator can be used again
		left := limit
		size := h.firstPage(s.Bare)
		for {
			s.Limit = size
			if limit > 0 {
				s.Limit = int(min(int64(size), left))
			}
			page, err := h.page(ctx, s)
			if err != nil {
				yield(nil, err)
				return
			}
			bytes := 0
			var last driver.Row
			for i := range page {
				r := &page[i]
				bytes += r.Key.Len() + r.Value.Len()
				last = driver.Row{ID: r.ID, Key: r.Key, ForeignKey: r.ForeignKey, Expire: r.Expire}
				if err := ended(ctx); err != nil {
					yield(nil, err)
					return
				}
				if !yield(r, nil) {
					return
				}
			}
			if left -= int64(len(page)); len(page) < s.Limit || limit > 0 && left <= 0 {
				return
			}
			s.After, s.Skip = &last, 0
			size = nextPage(len(page), bytes)
		}
	}
}

// page reads one page of rows that are live now.
func (h *handle) page(ctx context.Context, s driver.Scan) (page []driver.Row, err error) {
	s.Live = h.st.instant()
	err = h.view(ctx, func(tx driver.Tx) (err error) {
		page, err = tx.Scan(ctx, h.dc, s)
		return err
	})
	return page, err
}

// firstPage returns the size of the first page, before anything is known of
// the sizes of rows but the limit on values in the database.
func (h *handle) firstPage(bare bool) int {
	if !bare && h.dc.Settings().MinFileSize > pageBytes {
		return 1
	}
	return firstPage
}

// nextPage returns the size of the page after one of n rows.
func nextPage(n, bytes int) int {
	fit := pageBytes / max(1, bytes/n)
	return max(1, min(2*n, fit, lastPage))
}

package deque

import (
	"cmp"
	"context"
	"errors"

	"github.com/go-diskcache/diskcache/cache"
)

// Positions count from 0 at the front, and negative ones from -1 at the back.
// Finding one decodes nothing, and where no item has been removed from the
// middle it costs the same anywhere; else it costs a step in the database for
// each item between it and the nearer end.

// At returns the item at a position, or ErrOutOfRange. Negative positions
// count from the back: -1 is the last item.
func (d *Deque[T]) At(ctx context.Context, i int64) (v T, err error) {
	if err = d.refresh(ctx); err != nil {
		return v, d.fail(ctx, "At", err)
	}
	err = d.view(ctx, func(d *Deque[T]) error {
		k, err := d.keyAt(ctx, i)
		if err != nil {
			return err
		}
		var ok bool
		if v, ok, err = d.items.Get(ctx, k); err == nil && !ok {
			err = ErrOutOfRange // it has expired since, or is to be skipped
		}
		return err
	})
	return v, d.fail(ctx, "At", err)
}

// SetAt replaces the item at a position, or fails with ErrOutOfRange. The new
// one has not been attempted and does not expire.
func (d *Deque[T]) SetAt(ctx context.Context, i int64, v T) error {
	enc, err := d.encode(v)
	if err == nil {
		err = d.changeAt(ctx, i, func(d *Deque[T], k int64) error { return d.raw.Set(ctx, k, enc) })
	}
	return d.fail(ctx, "SetAt", err)
}

// RemoveAt removes the item at a position, or fails with ErrOutOfRange. The
// item need not be one that can be decoded.
func (d *Deque[T]) RemoveAt(ctx context.Context, i int64) error {
	return d.fail(ctx, "RemoveAt", d.changeAt(ctx, i, func(d *Deque[T], k int64) error {
		_, err := d.raw.Delete(ctx, k)
		return err
	}))
}

func (d *Deque[T]) changeAt(ctx context.Context, i int64, fn func(d *Deque[T], k int64) error) error {
	if err := d.refresh(ctx); err != nil {
		return err
	}
	return d.step(ctx, func(d *Deque[T]) error {
		k, err := d.keyAt(ctx, i)
		if err != nil {
			return refusal{err}
		}
		return fn(d, k)
	})
}

// Len returns the number of items that are ready: neither claimed nor delayed
// nor expired. It costs the same however many there are, except in a
// transaction of View or a read-only store, where a deque that has held items
// with an expiry is counted one by one.
func (d *Deque[T]) Len(ctx context.Context) (n int64, err error) {
	n, err = d.len(ctx)
	return n, d.fail(ctx, "Len", err)
}

func (d *Deque[T]) len(ctx context.Context) (n int64, err error) {
	s, err := d.stored(ctx)
	if err == nil {
		err = d.requeueDue(ctx, s, false, false)
	}
	if err != nil {
		return 0, err
	}
	if s.Expires {
		_, err = d.raw.Expire(ctx)
		if errors.Is(err, cache.ErrReadOnly) {
			return d.count(ctx, nil)
		}
		if err != nil {
			return 0, err
		}
	}
	return d.raw.Len(ctx)
}

// Clear removes all items, also delayed ones and those that are claimed, whose
// claims are then lost, and returns how many there were. It works in small
// transactions, between which others write; with an error it returns how many it
// had removed. In a transaction it is a part of that.
func (d *Deque[T]) Clear(ctx context.Context) (int, error) {
	removed, err := d.raw.Clear(ctx)
	for _, prefix := range []string{claimPrefix, delayPrefix} {
		for n := purgeLimit; n == purgeLimit && err == nil; {
			n, err = d.purge(ctx, prefix)
			removed += n
		}
	}
	return removed, d.fail(ctx, "Clear", err)
}

// refresh requeues what is due.
func (d *Deque[T]) refresh(ctx context.Context) error {
	s, err := d.stored(ctx)
	if err != nil {
		return err
	}
	return d.requeueDue(ctx, s, false, false)
}

// keyAt returns the key of the item at a position.
func (d *Deque[T]) keyAt(ctx context.Context, i int64) (int64, error) {
	s, err := d.stored(ctx)
	if err != nil {
		return 0, err
	}
	back, skip := false, i
	if i < 0 {
		back, skip = true, -(i + 1)
	}
	if skip >= walkLimit && !s.Expires {
		n, err := d.raw.Len(ctx)
		if err != nil {
			return 0, err
		}
		if skip >= n {
			return 0, ErrOutOfRange
		}
		first, ok, err := d.endKey(ctx, false, 0)
		if err != nil || !ok {
			return 0, cmp.Or(err, ErrOutOfRange)
		}
		last, _, err := d.endKey(ctx, true, 0)
		switch {
		case err != nil:
			return 0, err
		case last-first == n-1 && back:
			return last - skip, nil
		case last-first == n-1:
			return first + skip, nil
		case skip > n/2:
			back, skip = !back, n-1-skip
		}
	}
	k, ok, err := d.endKey(ctx, back, skip)
	if err == nil && !ok {
		err = ErrOutOfRange
	}
	return k, err
}

// walkLimit is the distance from an end up to which keyAt steps from item to item.
const walkLimit = 32

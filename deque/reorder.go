package deque

import (
	"context"
	"iter"
)

// Rotate moves the last n items to the front, or, for a negative n, the first
// -n items to the back, one after another: with 1, the last item becomes the
// first. It is one transaction, moves no more than half of the items and
// holds one at a time in memory. Rotating an empty deque does nothing.
func (d *Deque[T]) Rotate(ctx context.Context, n int64) error {
	return d.fail(ctx, "Rotate", d.reorder(ctx, func(d *Deque[T], have int64) error {
		if have == 0 {
			return nil
		}
		n := n % have
		switch {
		case n > have/2:
			n -= have
		case n < -have/2:
			n += have
		}
		if n == 0 {
			return nil
		}
		fromBack := n > 0
		return d.move(ctx, span(d.raw, fromBack).Limit(max(n, -n)).All(ctx), !fromBack, max(n, -n))
	}))
}

// Reverse reverses the order of the items. It is one transaction, which
// rewrites every item while other writers wait, and holds one at a time in
// memory.
func (d *Deque[T]) Reverse(ctx context.Context) error {
	return d.fail(ctx, "Reverse", d.reorder(ctx, func(d *Deque[T], have int64) error {
		last, ok, err := d.endKey(ctx, true, 0)
		if err != nil || !ok {
			return err
		}
		return d.move(ctx, span(d.raw, true).To(last).All(ctx), true, have)
	}))
}

// reorder runs fn in a transaction, with the number of live items.
func (d *Deque[T]) reorder(ctx context.Context, fn func(d *Deque[T], have int64) error) error {
	if err := d.refresh(ctx); err != nil {
		return err
	}
	return d.update(ctx, func(d *Deque[T]) error {
		s, err := d.stored(ctx)
		if err != nil {
			return err
		}
		if s.Expires {
			if _, err := d.raw.Expire(ctx); err != nil {
				return err
			}
		}
		have, err := d.raw.Len(ctx)
		if err != nil {
			return err
		}
		return fn(d, have)
	})
}

// move gives items, at most n, new keys beyond one end, one after another, in
// a transaction.
func (d *Deque[T]) move(ctx context.Context, items iter.Seq2[rawEntry, error], back bool, n int64) error {
	key, step, err := d.freeKeys(ctx, back, n)
	if err != nil {
		return err
	}
	for e, err := range items {
		if err != nil {
			return err
		}
		if _, err := d.raw.Delete(ctx, e.Key); err != nil {
			return err
		}
		if err := d.raw.Set(ctx, key, e.Value, keep(e)...); err != nil {
			return err
		}
		key += step
	}
	return nil
}

package deque

import (
	"context"
	"iter"
)

// All iterates over all items that are ready, from front to back.
//
// Like every iterator of package cache it yields (item, nil) until the end, or
// an error once, and ends then. No transaction, lock or connection is held
// while the loop's body runs, so it may do anything, also push and pop. What
// is there throughout is yielded exactly once; what is added, moved or removed
// meanwhile may be seen or not. A deque bound to a View's transaction is
// iterated over as it was when that began.
//
// An item that cannot be decoded ends the iteration. To go on behind it, use
// At for each position, remove it with RemoveAt, or open the deque with
// Options.SkipUndecodable.
func (d *Deque[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return d.iterate(ctx, "All", false)
}

// Backward is All from back to front.
func (d *Deque[T]) Backward(ctx context.Context) iter.Seq2[T, error] {
	return d.iterate(ctx, "Backward", true)
}

func (d *Deque[T]) iterate(ctx context.Context, op string, back bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := d.refresh(ctx); err != nil {
			var zero T
			yield(zero, d.fail(ctx, op, err))
			return
		}
		for e, err := range span(d.items, back).All(ctx) {
			if !yield(e.Value, d.fail(ctx, op, err)) {
				return
			}
		}
	}
}

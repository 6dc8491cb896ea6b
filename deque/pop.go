package deque

import (
	"context"
	"errors"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// PopFront removes the item at the front and returns it, and false if there
// is none. Each item is given to one caller. One that cannot be decoded stays,
// and is cache.ErrCodecMismatch; RemoveAt removes it. One whose value is lost, as
// its file is missing or damaged, is removed, and is cache.ErrCorrupt, once; so is
// a claimed or delayed one that was to come back.
func (d *Deque[T]) PopFront(ctx context.Context) (T, bool, error) {
	v, ok, err := d.pop(ctx, false)
	return v, ok, d.fail(ctx, "PopFront", err)
}

// PopBack removes the item at the back and returns it: see PopFront.
func (d *Deque[T]) PopBack(ctx context.Context) (T, bool, error) {
	v, ok, err := d.pop(ctx, true)
	return v, ok, d.fail(ctx, "PopBack", err)
}

// PeekFront returns the item at the front, and false if there is none. One whose
// value is lost is cache.ErrCorrupt, and stays for a pop.
func (d *Deque[T]) PeekFront(ctx context.Context) (T, bool, error) {
	v, ok, err := d.peek(ctx, false)
	return v, ok, d.fail(ctx, "PeekFront", err)
}

// PeekBack returns the item at the back, and false if there is none.
func (d *Deque[T]) PeekBack(ctx context.Context) (T, bool, error) {
	v, ok, err := d.peek(ctx, true)
	return v, ok, d.fail(ctx, "PeekBack", err)
}

// PopFrontN removes up to n items from the front, in one transaction, and returns
// them in the order of the deque. It ends before an item that cannot be
// decoded, which is an error only if it is the first; so it does before one
// whose value is lost, which is removed if it is the first: see PopFront.
func (d *Deque[T]) PopFrontN(ctx context.Context, n int) ([]T, error) {
	vs, err := d.popN(ctx, false, n)
	return vs, d.fail(ctx, "PopFrontN", err)
}

// PopBackN is PopFrontN from the back: the last item of the deque comes first.
func (d *Deque[T]) PopBackN(ctx context.Context, n int) ([]T, error) {
	vs, err := d.popN(ctx, true, n)
	return vs, d.fail(ctx, "PopBackN", err)
}

func (d *Deque[T]) pop(ctx context.Context, back bool) (T, bool, error) {
	return d.try(ctx, true, func() (e cache.Entry[int64, T], ok bool, err error) {
		if back {
			return d.items.Queue("").PopBack(ctx)
		}
		return d.items.Queue("").PopFront(ctx)
	})
}

func (d *Deque[T]) peek(ctx context.Context, back bool) (T, bool, error) {
	return d.try(ctx, false, func() (e cache.Entry[int64, T], ok bool, err error) {
		if back {
			return d.items.Queue("").PeekBack(ctx)
		}
		return d.items.Queue("").PeekFront(ctx)
	})
}

// try runs fn after everything that is due has been brought back, and once
// more if it finds nothing and claims of dead processes come back then.
func (d *Deque[T]) try(ctx context.Context, taking bool, fn func() (cache.Entry[int64, T], bool, error)) (v T, ok bool, err error) {
	s, err := d.stored(ctx)
	if err != nil {
		return v, false, err
	}
	if err := d.requeueDue(ctx, s, false, taking); err != nil {
		return v, false, err
	}
	e, ok, err := fn()
	if err == nil && !ok && s.InFlight {
		if err = d.requeueDue(ctx, s, true, taking); err == nil {
			e, ok, err = fn()
		}
	}
	return e.Value, ok && err == nil, err
}

func (d *Deque[T]) popN(ctx context.Context, back bool, n int) (vs []T, err error) {
	if n < 0 {
		return nil, family.Invalid("%d items", n)
	}
	if n == 0 {
		return nil, context.Cause(ctx)
	}
	s, err := d.stored(ctx)
	if err == nil {
		err = d.requeueDue(ctx, s, true, true)
	}
	if err != nil {
		return nil, err
	}
	err = d.step(ctx, func(d *Deque[T]) error {
		vs = nil
		var keys []int64
		for e, err := range span(d.items, back).All(ctx) {
			if err != nil && len(vs) == 0 {
				return d.refuse(ctx, back, err)
			}
			if err != nil {
				break
			}
			vs = append(vs, e.Value)
			keys = append(keys, e.Key)
			if len(vs) == n {
				break
			}
		}
		_, err := d.items.DeleteMany(ctx, keys...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return vs, nil
}

// refuse makes a refusal of the error with which the item at an end could not be
// read, and removes the item if its value is lost.
func (d *Deque[T]) refuse(ctx context.Context, back bool, err error) error {
	if errors.Is(err, cache.ErrCorrupt) {
		peek := d.items.Queue("").PeekFront
		if back {
			peek = d.items.Queue("").PeekBack
		}
		if e, ok, again := peek(ctx); ok && errors.Is(again, cache.ErrCorrupt) {
			if _, err := d.raw.Delete(ctx, e.Key); err != nil {
				return err
			}
		}
	}
	return refusal{err}
}

// drop removes up to n items from one end without decoding them, in a
// transaction.
func (d *Deque[T]) drop(ctx context.Context, back bool, n int64) (int64, error) {
	var dropped int64
	for k, err := range span(d.raw, back).Limit(n).Keys(ctx) {
		if err != nil {
			return dropped, err
		}
		if _, err := d.raw.Delete(ctx, k); err != nil {
			return dropped, err
		}
		dropped++
	}
	return dropped, nil
}

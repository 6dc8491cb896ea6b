package deque

import (
	"context"
	"errors"
	"iter"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// PushBack adds v at the back.
func (d *Deque[T]) PushBack(ctx context.Context, v T, opts ...Option) error {
	return d.fail(ctx, "PushBack", d.push(ctx, true, single(v), opts))
}

// PushFront adds v at the front.
func (d *Deque[T]) PushFront(ctx context.Context, v T, opts ...Option) error {
	return d.fail(ctx, "PushFront", d.push(ctx, false, single(v), opts))
}

// PushBackMany adds all items of a sequence at the back, in its order, in one
// transaction: all or, with an error, none. The sequence is read, and its
// items are held in memory, before the transaction begins. With a maximum
// length only the last ones are kept.
//
//	err := d.PushBackMany(ctx, slices.Values(jobs))
func (d *Deque[T]) PushBackMany(ctx context.Context, items iter.Seq[T], opts ...Option) error {
	return d.fail(ctx, "PushBackMany", d.push(ctx, true, items, opts))
}

// PushFrontMany is PushBackMany at the front. The last item of the sequence is then
// the first of the deque.
func (d *Deque[T]) PushFrontMany(ctx context.Context, items iter.Seq[T], opts ...Option) error {
	return d.fail(ctx, "PushFrontMany", d.push(ctx, false, items, opts))
}

func single[T any](v T) iter.Seq[T] {
	return func(yield func(T) bool) { yield(v) }
}

func (d *Deque[T]) push(ctx context.Context, back bool, items iter.Seq[T], opts []Option) error {
	if items == nil {
		return family.Invalid("nil sequence")
	}
	p, err := parse(opts, d.shared.st.Now())
	if err != nil {
		return err
	}
	var values []codec.Value
	for v := range items {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		enc, err := d.encode(v)
		if err != nil {
			return err
		}
		values = append(values, enc)
	}
	if len(values) == 0 {
		return d.refresh(ctx)
	}
	return d.pushEncoded(ctx, back, values, p)
}

// pushEncoded pushes items that are encoded.
func (d *Deque[T]) pushEncoded(ctx context.Context, back bool, values []codec.Value, p pushing) error {
	return d.step(ctx, func(d *Deque[T]) error {
		was, err := d.stored(ctx)
		if err != nil {
			return err
		}
		s := was
		s.Expires = s.Expires || !p.expiry.IsZero()
		if p.delay > 0 {
			s.InFlight = true
			d.noteClock(&s)
		}
		if err := d.store(ctx, was, s); err != nil {
			return err
		}
		if p.delay > 0 {
			return d.delay(ctx, back, values, p)
		}
		if err := d.requeueDue(ctx, was, false, false); err != nil {
			return err
		}
		kept := values
		if s.MaxLen > 0 && int64(len(values)) > s.MaxLen {
			kept = values[int64(len(values))-s.MaxLen:]
		}
		if err := d.add(ctx, back, kept, p); err != nil {
			return err
		}
		return d.trim(ctx, s, !back)
	})
}

// add writes encoded items beyond one end, in a transaction.
func (d *Deque[T]) add(ctx context.Context, back bool, values []codec.Value, p pushing) error {
	q := d.raw.Queue("")
	push := q.PushFront
	if back {
		push = q.PushBack
	}
	opts := written(p.expiry, codec.Value{})
	for _, v := range values {
		if _, err := push(ctx, v, opts...); errors.Is(err, cache.ErrOverflow) {
			return errUsedUp
		} else if err != nil {
			return err
		}
	}
	return nil
}

package deque

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/family"
)

// MaxLen returns the maximum length, and 0 if there is none.
func (d *Deque[T]) MaxLen(ctx context.Context) (int64, error) {
	s, err := d.stored(ctx)
	return s.MaxLen, d.fail(ctx, "MaxLen", err)
}

// SetMaxLen sets the maximum length, or with 0 removes it, for all processes
// and until it is set again. If the deque is longer, items are removed from
// the front. From then on every push removes what is too much from the other
// end, in the same transaction: no reader ever sees more than n items.
//
// Python does not know of the maximum length. What it pushes beyond is removed
// with the next push of this package.
func (d *Deque[T]) SetMaxLen(ctx context.Context, n int64) error {
	if n < 0 {
		return d.fail(ctx, "SetMaxLen", family.Invalid("length of %d; 0 is no maximum", n))
	}
	return d.fail(ctx, "SetMaxLen", d.keepMaxLen(ctx, n))
}

func (d *Deque[T]) keepMaxLen(ctx context.Context, n int64) error {
	s, err := d.stored(ctx)
	if err != nil || s.MaxLen == n && d.tx == nil {
		return err
	}
	return family.Repeat(func() error {
		return d.update(ctx, func(d *Deque[T]) error {
			was, err := d.stored(ctx)
			if err != nil {
				return err
			}
			s := was
			s.MaxLen = n
			if err := d.store(ctx, was, s); err != nil {
				return err
			}
			return d.trim(ctx, s, false)
		})
	})
}

// trim removes what is too much from one end, in a transaction.
func (d *Deque[T]) trim(ctx context.Context, s settings, back bool) error {
	if s.MaxLen == 0 {
		return nil
	}
	n, err := d.raw.Len(ctx)
	if n > s.MaxLen && s.Expires && err == nil {
		if _, err = d.raw.Expire(ctx); err == nil {
			n, err = d.raw.Len(ctx)
		}
	}
	if n <= s.MaxLen || err != nil {
		return err
	}
	_, err = d.drop(ctx, back, n-s.MaxLen)
	return err
}

// room returns how many items can be added without anything being trimmed.
func (d *Deque[T]) room(ctx context.Context, s settings) (int64, error) {
	if s.MaxLen == 0 {
		return keyLast, nil
	}
	n, err := d.raw.Len(ctx)
	if n >= s.MaxLen && s.Expires && err == nil {
		if _, err = d.raw.Expire(ctx); err == nil {
			n, err = d.raw.Len(ctx)
		}
	}
	return max(s.MaxLen-n, 0), err
}

package deque

import (
	"context"
	"iter"
	"slices"

	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// Count returns how many items equal v: how many are encoded equally. Items
// that another program has encoded in a way of its own count if they decode
// to such a value. A codec that encodes equal values differently, such as
// codec.Seal, is cache.ErrInvalid.
func (d *Deque[T]) Count(ctx context.Context, v T) (n int64, err error) {
	enc, err := d.comparable(v)
	if err == nil {
		err = d.refresh(ctx)
	}
	if err == nil {
		n, err = d.count(ctx, func(e codec.Value) bool { return d.same(e, enc) })
	}
	return n, d.fail(ctx, "Count", err)
}

// Remove removes the first item that equals v, as Count has it, and reports
// whether there was one. It is one transaction, in which other writers wait.
func (d *Deque[T]) Remove(ctx context.Context, v T) (found bool, err error) {
	enc, err := d.comparable(v)
	if err == nil {
		err = d.refresh(ctx)
	}
	if err != nil {
		return false, d.fail(ctx, "Remove", err)
	}
	err = d.update(ctx, func(d *Deque[T]) error {
		found = false
		for e, err := range span(d.raw, false).All(ctx) {
			if err != nil {
				return refusal{err}
			}
			if d.same(e.Value, enc) {
				found, err = d.raw.Delete(ctx, e.Key)
				return err
			}
		}
		return nil
	})
	return found && err == nil, d.fail(ctx, "Remove", err)
}

// Equal reports whether two deques hold equal items, as Count has it, in the
// same order. Deques of one store are compared as of one moment.
func (d *Deque[T]) Equal(ctx context.Context, other *Deque[T]) (bool, error) {
	enc := d.shared.values
	if err := codec.Keyable(enc); err != nil {
		return false, d.fail(ctx, "Equal", family.Invalid("%w", err))
	}
	order := 0
	err := d.both(ctx, other, func(d, other *Deque[T]) (err error) {
		order, err = compare(d.All(ctx), other.All(ctx), func(a, b T) (int, error) {
			x, err := d.encode(a)
			if err != nil {
				return 0, err
			}
			y, err := d.encode(b)
			if err != nil || codec.Equal(x, y) && x.Kind() == y.Kind() {
				return 0, err
			}
			return 1, nil
		})
		return err
	})
	return err == nil && order == 0, d.fail(ctx, "Equal", err)
}

// Compare compares two deques item by item, like [slices.CompareFunc]: the
// result is that of cmp for the first items that differ, or else the shorter
// one is less. Deques of one store are compared as of one moment.
//
//	order, err := d.Compare(ctx, other, strings.Compare)
func (d *Deque[T]) Compare(ctx context.Context, other *Deque[T], cmp func(a, b T) int) (order int, err error) {
	if cmp == nil {
		return 0, d.fail(ctx, "Compare", family.Invalid("nil function"))
	}
	err = d.both(ctx, other, func(d, other *Deque[T]) (err error) {
		order, err = compare(d.All(ctx), other.All(ctx), func(a, b T) (int, error) { return cmp(a, b), nil })
		return err
	})
	return order, d.fail(ctx, "Compare", err)
}

// CompareSlice is Compare with the items of a slice.
func (d *Deque[T]) CompareSlice(ctx context.Context, other []T, cmp func(a, b T) int) (order int, err error) {
	if cmp == nil {
		return 0, d.fail(ctx, "CompareSlice", family.Invalid("nil function"))
	}
	err = d.both(ctx, d, func(d, _ *Deque[T]) (err error) {
		order, err = compare(d.All(ctx), noErrors(slices.Values(other)), func(a, b T) (int, error) { return cmp(a, b), nil })
		return err
	})
	return order, d.fail(ctx, "CompareSlice", err)
}

func noErrors[T any](seq iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v := range seq {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func compare[T any](a, b iter.Seq2[T, error], cmp func(a, b T) (int, error)) (int, error) {
	next, stop := iter.Pull2(b)
	defer stop()
	for x, err := range a {
		if err != nil {
			return 0, err
		}
		y, err, ok := next()
		if err != nil {
			return 0, err
		}
		if !ok {
			return 1, nil
		}
		if order, err := cmp(x, y); order != 0 || err != nil {
			return order, err
		}
	}
	_, err, ok := next()
	if ok && err == nil {
		return -1, nil
	}
	return 0, err
}

// Copy makes into equal to d: what was in it is removed, but neither claimed
// nor delayed items are, nor are they copied. Expiries are kept, and into's
// maximum length holds. It is one transaction of into's store, and holds one
// item at a time in memory.
func (d *Deque[T]) Copy(ctx context.Context, into *Deque[T]) error {
	return d.fail(ctx, "Copy", d.copy(ctx, into))
}

func (d *Deque[T]) copy(ctx context.Context, into *Deque[T]) error {
	switch {
	case into == nil:
		return family.Invalid("nil Deque")
	case d.shared.st == into.shared.st && d.Name() == into.Name():
		return nil
	case d.shared.values.Name() != into.shared.values.Name():
		return family.Invalid("codec %q here and %q there", d.shared.values.Name(), into.shared.values.Name())
	}
	if err := d.refresh(ctx); err != nil {
		return err
	}
	return into.update(ctx, func(into *Deque[T]) error {
		if _, err := into.raw.Clear(ctx); err != nil {
			return err
		}
		was, err := into.stored(ctx)
		if err != nil {
			return err
		}
		from := d
		if d.tx == nil && d.shared.st == into.shared.st {
			from = d.In(into.tx)
		}
		return from.view(ctx, func(from *Deque[T]) error {
			s := was
			key := int64(keyMiddle)
			for e, err := range span(from.raw, false).All(ctx) {
				if err != nil {
					return err
				}
				if key == keyLast {
					return errUsedUp
				}
				s.Expires = s.Expires || !e.Expiry.IsZero()
				enc, err := d.translate(into, e.Value)
				if err != nil {
					return err
				}
				if err := into.raw.Set(ctx, key, enc, written(e.Expiry, codec.Value{})...); err != nil {
					return err
				}
				key++
			}
			if err := into.store(ctx, was, s); err != nil {
				return err
			}
			return into.trim(ctx, s, false)
		})
	})
}

// both runs fn with snapshots of two deques, which are one if they are in the
// same store.
func (d *Deque[T]) both(ctx context.Context, other *Deque[T], fn func(d, other *Deque[T]) error) error {
	if other == nil {
		return family.Invalid("nil Deque")
	}
	for _, d := range []*Deque[T]{d, other} {
		if err := d.refresh(ctx); err != nil {
			return err
		}
	}
	if d.tx == nil && other.tx != nil && d.shared.st == other.shared.st {
		return fn(d.In(other.tx), other)
	}
	return d.view(ctx, func(d *Deque[T]) error {
		if other.tx == nil && d.shared.st == other.shared.st {
			return fn(d, other.In(d.tx))
		}
		return other.view(ctx, func(other *Deque[T]) error { return fn(d, other) })
	})
}

// comparable encodes v, if it can then be compared with items.
func (d *Deque[T]) comparable(v T) (codec.Value, error) {
	if err := codec.Keyable(d.shared.values); err != nil {
		return codec.Value{}, family.Invalid("%w", err)
	}
	return d.encode(v)
}

// same reports whether an item is the one encoded as want.
func (d *Deque[T]) same(item, want codec.Value) bool {
	if item.Kind() == want.Kind() && codec.Equal(item, want) {
		return true
	}
	v, err := d.shared.values.Decode(item.Clone())
	if err != nil {
		return false
	}
	again, err := d.shared.values.Encode(v)
	return err == nil && again.Kind() == want.Kind() && codec.Equal(again, want)
}

// count returns how many live items match (nil: all). With nil it does not
// read them.
func (d *Deque[T]) count(ctx context.Context, match func(codec.Value) bool) (n int64, err error) {
	if match == nil {
		for _, err := range span(d.raw, false).Keys(ctx) {
			if err != nil {
				return 0, err
			}
			n++
		}
		return n, nil
	}
	err = d.view(ctx, func(d *Deque[T]) error {
		for e, err := range span(d.raw, false).All(ctx) {
			if err != nil {
				return err
			}
			if match(e.Value) {
				n++
			}
		}
		return nil
	})
	return n, err
}

package cache

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Modify replaces the value of k by what fn makes of it, and returns what is
// stored then. fn is given the value, or the zero value and false if there is
// no entry, and returns the new value and whether to keep the entry: false
// removes it, or leaves it missing. An error of fn is passed on and changes
// nothing.
//
//	v, ok, err := c.Modify(ctx, k, func(v []string, ok bool) ([]string, bool, error) {
//		return append(v, "one more"), true, nil
//	})
//
// fn runs once, in a transaction: other writers, in all processes, wait for
// it. It must not use the store except through what is bound to the
// transaction that Modify is called in.
//
// An entry keeps its expiry and its tag except for what the options change; a
// new one has them as Set would. With MustExist a missing entry is
// ErrNotFound.
func (c *Cache[K, V]) Modify(ctx context.Context, k K, fn func(v V, ok bool) (V, bool, error), opts ...Option) (v V, ok bool, err error) {
	if fn == nil {
		return v, false, c.fail(ctx, "Modify", invalid("nil function"))
	}
	w, err := parse(opts)
	if err == nil {
		err = w.only(false, true, true)
	}
	if err != nil {
		return v, false, c.fail(ctx, "Modify", err)
	}
	var failed error // fn's own error is passed on as it is
	run := func(c *Cache[K, V]) error {
		v, ok, err = c.modify(ctx, k, &w, func(v V, ok bool) (V, bool, error) {
			v, ok, failed = fn(v, ok)
			return v, ok, failed
		})
		return err
	}
	if c.tx != nil {
		err = run(c)
	} else if err = c.ready(ctx); err == nil {
		err = c.drop(ctx, c.Update(ctx, func(tx *Tx) error { return run(c.In(tx)) }))
	}
	if err != nil {
		var zero V
		if failed == nil {
			failed = c.fail(ctx, "Modify", err)
		}
		return zero, false, failed
	}
	return v, ok, nil
}

// modify is Modify for a collection that is bound to a transaction.
func (c *Cache[K, V]) modify(ctx context.Context, k K, w *write, fn func(V, bool) (V, bool, error)) (v V, ok bool, err error) {
	p, err := c.put(k, w)
	if err != nil {
		return v, false, err
	}
	l := driver.Lookup{Now: p.Now, Quiet: true}
	row, found, err := c.get(ctx, p.Key, l)
	if found {
		found, err = c.fill(ctx, p.Key, l, &row)
	}
	if found {
		if v, err = c.decodeValue(&row); err != nil {
			found, err = false, c.skipped(ctx, err)
		}
	}
	if err != nil {
		return v, false, err
	}
	if !found && w.mustExist {
		return v, false, ErrNotFound
	}
	v, ok, err = fn(v, found)
	if err != nil {
		return v, false, err
	}
	if !ok {
		var gone []driver.Row
		err = c.update(ctx, driver.Alone, func(tx driver.Tx) (err error) {
			_, gone, err = c.delete(ctx, tx, p.Key, p.Now)
			return err
		})
		if err == nil {
			c.notify(gone, p.Now)
		}
		var zero V
		return zero, false, err
	}
	if err = c.prepareValue(ctx, &p, v); err != nil {
		return v, false, err
	}
	defer c.discard(&p)
	if found {
		p = w.over(p, &row)
	}
	return v, true, c.set(ctx, p)
}

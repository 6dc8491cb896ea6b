package cache

import (
	"context"
	"errors"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Cache is a typed, persistent collection of entries in a [Store]. All
// methods may be called by many goroutines at once, and each is atomic.
//
// Two keys are equal when their codec encodes them equally. A miss is no
// error. An entry that has expired counts as missing everywhere but in Len.
type Cache[K, V any] struct {
	handle
	keys    codec.Codec[K]
	values  codec.Codec[V]
	located codec.Located[V] // values, or nil if they do not depend on where they are
}

// Open opens the store in the directory dir and its default collection. Close
// closes both.
func Open[K, V any](ctx context.Context, dir string, o *Options[K, V]) (*Cache[K, V], error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, WrapError(ctx, "Open", "", err)
	}
	st, err := OpenStore(ctx, dir, opts.Store)
	if err != nil {
		return nil, WrapError(ctx, "Open", "", err)
	}
	opts.Store = nil
	c, err := New(ctx, st, "", &opts)
	if err != nil {
		err = WrapError(ctx, "Open", "", err)
		if closing := st.Close(); closing != nil {
			err = errors.Join(err, closing)
		}
		return nil, err
	}
	c.shared.closeStore = true
	return c, nil
}

// New opens the collection called name in a store, and creates it if it does
// not exist. "" is the default collection, which is the one that Open opens
// and that Python's DiskCache sees. A collection that is stored as a persistent
// one is not opened with options that would make it lose entries: ErrInvalid.
func New[K, V any](ctx context.Context, st *Store, name string, o *Options[K, V]) (*Cache[K, V], error) {
	opts, err := o.withDefaults()
	full := name
	if name != "" {
		full = opts.Family + "/" + name
	}
	switch {
	case err != nil:
	case st == nil:
		err = invalid("nil Store")
	case opts.Store != nil:
		err = invalid("Options.Store is for Open; the store is open already")
	case strings.ContainsRune(opts.Family, '/'):
		err = invalid("Options.Family contains a slash")
	default:
		err = st.outside(ctx)
	}
	if err != nil {
		return nil, WrapError(ctx, "New", full, err)
	}
	spec := opts.spec()
	var refused error
	spec.Configure = func(s *driver.Settings) {
		if refused = opts.againstPersistent(s); refused == nil {
			opts.configure(s)
		}
	}
	dc, err := st.engine.Open(ctx, full, spec)
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, WrapError(ctx, "New", full, err)
	}
	c := &Cache[K, V]{
		handle: handle{st: st, dc: dc, shared: &shared{
			touches:    []driver.Collection{dc},
			persistent: opts.Persistent,
			bestEffort: opts.BestEffort,
			skip:       opts.SkipUndecodable,
			pure:       isPure(opts.Keys) && isPure(opts.Values),
			ttl:        opts.TTL,
			slide:      opts.Sliding,
		}},
		keys:   opts.Keys,
		values: opts.Values,
	}
	c.located, _ = opts.Values.(codec.Located[V])
	if opts.OnEvict != nil {
		c.shared.evicted = c.tell(opts.OnEvict)
	}
	c.register()
	return c, nil
}

// isPure reports whether a codec is one of package codec's that run no code of the
// user's.
func isPure(c any) bool {
	_, ok := c.(interface{ Pure() })
	return ok
}

// tell returns a function that calls an OnEvict for rows removed at now.
func (c *Cache[K, V]) tell(fn func(Entry[K, V], Reason)) func([]driver.Row, driver.Instant) {
	return func(rows []driver.Row, now driver.Instant) {
		for i := range rows {
			k, err := c.decodeKey(&rows[i])
			if err != nil {
				c.st.log.Warn("an evicted key cannot be decoded", "collection", c.Name())
				continue
			}
			e := entryOf[K, V](&rows[i])
			e.Key = k
			why := Evicted
			if c.over(&rows[i], now) {
				why = Expired
			}
			fn(e, why)
		}
	}
}

// Name returns the collection's name in its store: "" for the default
// collection, else the family, a slash, and the name given to New.
func (c *Cache[K, V]) Name() string { return c.dc.Name() }

// Store returns the store that the collection is in.
func (c *Cache[K, V]) Store() *Store { return c.st }

// Close releases the collection; using it afterwards fails with ErrClosed.
// What was opened with Open closes its store as well. Close after Close does
// nothing.
func (c *Cache[K, V]) Close() error {
	if c.tx != nil {
		return c.fail(context.Background(), "Close", invalid("it is bound to a transaction"))
	}
	if c.shared.closed.Swap(true) || !c.shared.closeStore {
		return nil
	}
	return c.st.Close()
}

// In returns the same collection bound to a transaction: what is done through
// it is a part of tx and sees what tx has done before. It costs next to
// nothing. Operations with a tx that has ended fail with ErrTxDone, and with
// one of another store with ErrInvalid.
func (c *Cache[K, V]) In(tx *Tx) *Cache[K, V] {
	bound := *c
	bound.tx = tx
	if tx == nil {
		bound.tx = &Tx{readOnly: true} // has ended before it began
	}
	return &bound
}

// Update is [Store.Update], except that a collection that is bound to a
// transaction joins it. So it makes an operation of several steps atomic, whether
// the collection is bound or not:
//
//	err := c.Update(ctx, func(tx *cache.Tx) error {
//		c := c.In(tx)
//		...
//	})
func (c *Cache[K, V]) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return c.transact(ctx, "Update", driver.Alone, nil, fn)
}

// View is [Store.View], except that a collection that is bound to a
// transaction joins it.
func (c *Cache[K, V]) View(ctx context.Context, fn func(tx *Tx) error) error {
	return c.transact(ctx, "View", viewing, nil, fn)
}

func (h *handle) transact(ctx context.Context, op string, mode driver.Mode, touches []driver.Collection, fn func(tx *Tx) error) error {
	if h.tx == nil {
		if h.shared.closed.Load() {
			return h.fail(ctx, op, ErrClosed)
		}
		return h.st.transact(ctx, op, h.dc.Name(), mode, touches, fn)
	}
	err := h.ready(ctx)
	switch {
	case err == nil && fn == nil:
		err = invalid("nil function")
	case err == nil && (h.tx.state == nil || !h.tx.state.running()):
		err = ErrTxDone
	case err == nil:
		err = ended(ctx)
	}
	if err != nil {
		return h.fail(ctx, op, err)
	}
	return h.tx.join(op, h.dc.Name(), mode == viewing, fn)
}

// Watch returns a channel that receives once after any commit, by any
// process, that may have changed the collection, and a function that ends the
// watch. Signals coalesce, and may come without a change. The channel is closed
// when the store is, not when the collection is closed or dropped: stop ends the
// watch then. To miss nothing, watch, then look, then wait:
//
//	changed, stop, err := c.Watch()
//	if err != nil {
//		return err
//	}
//	defer stop()
//	for {
//		v, ok, err := c.Get(ctx, k)
//		if ok || err != nil {
//			return use(v, err)
//		}
//		select {
//		case <-changed:
//		case <-ctx.Done():
//			return ctx.Err()
//		}
//	}
func (c *Cache[K, V]) Watch() (changed <-chan struct{}, stop func(), err error) {
	ctx := context.Background()
	if err := c.unbound(ctx); err != nil {
		return nil, nil, c.fail(ctx, "Watch", err)
	}
	changed, stop, err = c.st.engine.Watch(c.dc)
	return changed, stop, c.fail(ctx, "Watch", err)
}

package deque

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	"github.com/go-diskcache/diskcache/codec"
)

// Deque is a persistent double-ended queue in a [cache.Store]. All methods may
// be called by many goroutines and many processes at once, and each is atomic
// unless it says otherwise. Pushing and popping cost the same however many
// items there are.
type Deque[T any] struct {
	shared *shared[T]
	tx     *cache.Tx // nil: not bound to a transaction

	items    *cache.Cache[int64, T]           // what is ready, as DiskCache's Deque keeps it
	raw      *cache.Cache[int64, codec.Value] // the same, not decoded
	inflight *cache.Cache[int64, codec.Value] // values of claimed and delayed items, by number
	leases   *cache.Cache[string, leaseRow]   // until when they are in flight: see leaseKey
	settings *cache.Cache[string, settings]   // of all deques of the store, by name
	others   []cache.Collection               // all of these but items, not bound
}

// shared belongs to one call of Open or New and to all that is bound from it.
type shared[T any] struct {
	st         *cache.Store
	root       *Deque[T] // not bound
	values     codec.Codec[T]
	skip       bool          // undecodable items are passed over
	closeStore bool          // Close closes the store too
	plain      bool          // a read-only store without anything but items
	turn       chan struct{} // full while a waiter of this handle looks for items
	closed     chan struct{}
	closing    sync.Once
	retry      *RetryPolicy // nil: no bound
	dead       *Deque[T]    // where items go that have been attempted as often as retry says; nil without
	checked    atomic.Int64 // how long after processStart this handle last looked for sessions that have ended
}

// familyName is what the names of deques in a store begin with, before a slash.
// The default deque has no name, and the collections beside it are named
// apart from those of named deques.
const familyName = "deque"

// Open opens the store in the directory dir and its default deque, which is
// the one that Python's DiskCache sees. Close closes both.
func Open[T any](ctx context.Context, dir string, o *Options[T]) (*Deque[T], error) {
	opts := o.withDefaults()
	st, err := cache.OpenStore(ctx, dir, opts.Store)
	if err != nil {
		return nil, cache.WrapError(ctx, "Open", "", err)
	}
	opts.Store = nil
	d, err := New(ctx, st, "", &opts)
	if err != nil {
		err = cache.WrapError(ctx, "Open", "", err)
		if closing := st.Close(); closing != nil {
			err = errors.Join(err, closing)
		}
		return nil, err
	}
	d.shared.closeStore = true
	return d, nil
}

// New opens the deque called name in a store, and creates it if it does not
// exist. "" is the default collection of the store, the one that Open opens;
// it should then hold nothing but the deque.
//
// So a deque is made in a store that is open already, as Python's
// Deque.fromcache does: in that of a cache c, with
//
//	d, err := deque.New[Job](ctx, c.Store(), "", nil)
//
// for the default collection, which c may have filled through c.Queue("") in
// the codecs of the deque, or with a name for a deque beside it. From then on
// the collection has no size limit and evicts nothing, for all processes, also
// through c; that is stored. Closing the deque leaves c and its store open.
// Named collections of package cache are others than deques of that name.
func New[T any](ctx context.Context, st *cache.Store, name string, o *Options[T]) (*Deque[T], error) {
	opts := o.withDefaults()
	full := ""
	if name != "" {
		full = familyName + "/" + name
	}
	given := opts
	opts.Values = locate(opts.Values, full)
	d := &Deque[T]{shared: &shared[T]{
		st:     st,
		values: opts.Values,
		skip:   opts.SkipUndecodable,
		turn:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}}
	d.shared.root = d
	var err error
	switch {
	case st == nil:
		err = family.Invalid("nil Store")
	case opts.Store != nil:
		err = family.Invalid("Options.Store is for Open; the store is open already")
	default:
		err = d.open(ctx, name, &opts)
	}
	if err == nil && opts.Retry != nil {
		err = d.openDead(ctx, name, given)
	}
	if err == nil && opts.MaxLen != 0 {
		err = d.keepMaxLen(ctx, max(opts.MaxLen, 0))
	}
	if err != nil {
		return nil, cache.WrapError(ctx, "New", full, err)
	}
	return d, nil
}

// open opens the collections of the deque called name. In a read-only store those
// for what is in flight need not exist.
func (d *Deque[T]) open(ctx context.Context, name string, o *Options[T]) (err error) {
	st, encoded := d.shared.st, encoded(o.Values.Name())
	d.raw, err = cache.New(ctx, st, name, &cache.Options[int64, codec.Value]{
		Family: familyName, Values: encoded, Persistent: true, MinFileSize: o.MinFileSize,
	})
	if err != nil {
		return err
	}
	// Opened last, it is the one that Store.Check decodes with.
	d.items, err = cache.New(ctx, st, name, &cache.Options[int64, T]{
		Family: familyName, Values: o.Values, Persistent: true, SkipUndecodable: o.SkipUndecodable,
	})
	if err != nil {
		return err
	}
	fam, n := beside(name, "inflight")
	d.inflight, err = cache.New(ctx, st, n, &cache.Options[int64, codec.Value]{
		Family: fam, Values: encoded, Persistent: true, MinFileSize: o.MinFileSize,
	})
	if err == nil {
		fam, n = beside(name, "leases")
		d.leases, err = cache.New(ctx, st, n, &cache.Options[string, leaseRow]{Family: fam, Persistent: true})
	}
	if err == nil {
		d.settings, err = openSettings(ctx, st)
	}
	if st.ReadOnly() && errors.Is(err, cache.ErrReadOnly) {
		d.shared.plain, err = true, nil
	} else if err == nil {
		d.others = []cache.Collection{d.raw, d.inflight, d.leases, d.settings}
	}
	return err
}

// beside returns the family and the name of a collection of some kind that belongs
// to the deque called name.
func beside(name, kind string) (fam, n string) {
	if name == "" {
		return familyName + "-default", kind
	}
	return familyName + "-" + kind, name
}

func openSettings(ctx context.Context, st *cache.Store) (*cache.Cache[string, settings], error) {
	return cache.New(ctx, st, "all", &cache.Options[string, settings]{Family: familyName + "-settings", Persistent: true})
}

// Drop removes the deque called name from a store, with all its items,
// claimed and delayed ones included, and its maximum length; processes that have
// it open get cache.ErrClosed. Of the default deque, "", it only removes the
// contents. Dropping what does not exist does nothing.
func Drop(ctx context.Context, st *cache.Store, name string) error {
	full := ""
	if name != "" {
		full = familyName + "/" + name
	}
	return cache.WrapError(ctx, "Drop", full, drop(ctx, st, name, full))
}

func drop(ctx context.Context, st *cache.Store, name, full string) error {
	all, err := openSettings(ctx, st)
	if err != nil {
		return err
	}
	defer all.Close()
	if err := st.Drop(ctx, full); err != nil {
		return err
	}
	for _, kind := range []string{"inflight", "leases"} {
		fam, n := beside(name, kind)
		if err := st.Drop(ctx, fam+"/"+n); err != nil {
			return err
		}
	}
	_, err = all.Delete(ctx, full)
	return err
}

// Close releases the deque; using it afterwards fails with cache.ErrClosed,
// and so do calls that wait for an item. What was opened with Open closes its
// store as well, which gives back what it has claimed; otherwise claims stay
// until their leases end or the store is closed. Close after Close does
// nothing.
func (d *Deque[T]) Close() (err error) {
	if d.tx != nil {
		return d.fail(context.Background(), "Close", family.Invalid("it is bound to a transaction"))
	}
	d.shared.closing.Do(func() {
		close(d.shared.closed)
		err = errors.Join(d.items.Close(), d.raw.Close())
		if !d.shared.plain {
			err = errors.Join(err, d.inflight.Close(), d.leases.Close(), d.settings.Close())
		}
		if d.shared.dead != nil {
			err = errors.Join(err, d.shared.dead.Close())
		}
		if d.shared.closeStore {
			err = errors.Join(err, d.shared.st.Close())
		}
	})
	return err
}

// Name returns the name of the collection that the items are in: "" for the
// default one, else "deque/" and the name given to New.
func (d *Deque[T]) Name() string { return d.items.Name() }

// Store returns the store that the deque is in.
func (d *Deque[T]) Store() *cache.Store { return d.shared.st }

// Cache returns the collection that the ready items are in, for what Deque
// does not offer itself, such as Watch. What writes to it directly goes past
// MaxLen.
func (d *Deque[T]) Cache() *cache.Cache[int64, T] { return d.items }

// In returns the same deque bound to a transaction: see [cache.Cache.In].
func (d *Deque[T]) In(tx *cache.Tx) *Deque[T] {
	bound := *d
	if tx == nil {
		tx = &cache.Tx{} // has ended before it began
	}
	bound.tx = tx
	bound.items, bound.raw = d.items.In(tx), d.raw.In(tx)
	if !d.shared.plain {
		bound.inflight, bound.leases, bound.settings = d.inflight.In(tx), d.leases.In(tx), d.settings.In(tx)
	}
	return &bound
}

// Update is [cache.Store.Update], except that a deque that is bound to a
// transaction joins it.
func (d *Deque[T]) Update(ctx context.Context, fn func(tx *cache.Tx) error) error {
	return d.items.Update(ctx, fn)
}

// View is [cache.Store.View], except that a deque that is bound to a transaction
// joins it. What is due does not come back in it, as nothing can be written.
func (d *Deque[T]) View(ctx context.Context, fn func(tx *cache.Tx) error) error {
	return d.items.View(ctx, fn)
}

// update runs fn with the deque bound to a transaction, of its own or the one
// that d is bound to. fn ends it with an error, unless that is a refusal. A refusal
// stands also if it is not known whether the transaction was committed: all that it
// can have changed is that an item is removed whose value is lost.
func (d *Deque[T]) update(ctx context.Context, fn func(d *Deque[T]) error) error {
	return d.transact(fn, func(fn func(tx *cache.Tx) error) error { return d.items.Update(ctx, fn) })
}

// step is update for a short transaction of this deque alone, which may be rolled back
// and run again.
func (d *Deque[T]) step(ctx context.Context, fn func(d *Deque[T]) error) error {
	return d.transact(fn, func(fn func(tx *cache.Tx) error) error { return d.items.Step(ctx, fn, d.others...) })
}

func (d *Deque[T]) transact(fn func(d *Deque[T]) error, run func(fn func(tx *cache.Tx) error) error) error {
	var refused error
	err := run(func(tx *cache.Tx) error {
		refused = nil
		err := fn(d.In(tx))
		if r, ok := err.(refusal); ok {
			refused = r.error
			return nil
		}
		return err
	})
	if refused != nil && (err == nil || errors.Is(err, cache.ErrUncertain)) {
		return refused
	}
	return err
}

// view is update for reading only. Any error of fn is a refusal.
func (d *Deque[T]) view(ctx context.Context, fn func(d *Deque[T]) error) error {
	if d.tx != nil {
		return fn(d)
	}
	return d.items.View(ctx, func(tx *cache.Tx) error { return fn(d.In(tx)) })
}

// encoded is the codec of values that are encoded already, by the codec whose
// name it is.
type encoded string

func (e encoded) Name() string                              { return string(e) }
func (encoded) Encode(v codec.Value) (codec.Value, error)   { return v, nil }
func (encoded) Decode(enc codec.Value) (codec.Value, error) { return enc, nil }

// encode encodes an item.
func (d *Deque[T]) encode(v T) (codec.Value, error) {
	enc, err := d.shared.values.Encode(v)
	if err != nil {
		return enc, errEncode(d.shared.values.Name(), err)
	}
	return enc, nil
}

package deque

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache"
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
	lent     *cache.Cache[int64, codec.Value] // values of claimed and delayed items, by number
	loans    *cache.Cache[string, loan]       // and when they are due: see loanKey
	settings *cache.Cache[string, settings]   // of all deques of the store, by name
}

// shared belongs to one call of Open or New and to all that is bound from it.
type shared[T any] struct {
	st         *cache.Store
	root       *Deque[T] // not bound
	values     codec.Codec[T]
	skip       bool          // undecodable items are passed over
	closeStore bool          // Close closes the store too
	plain      bool          // a read-only store without anything but items
	turn       chan struct{} // holds one value while somebody waits for items
	closed     chan struct{}
	closing    sync.Once
	looked     atomic.Int64 // how long after started it was last looked for dead sessions
}

// family is what the names of deques in a store begin with, before a slash.
// The default deque has no name, and the collections beside it are named
// apart from those of named deques.
const family = "deque"

// Open opens the store in the directory dir and its default deque, which is
// the one that Python's DiskCache sees. Close closes both.
func Open[T any](ctx context.Context, dir string, o *Options[T]) (*Deque[T], error) {
	opts := o.withDefaults()
	st, err := cache.OpenStore(ctx, dir, opts.Store)
	if err != nil {
		return nil, err
	}
	opts.Store = nil
	d, err := New(ctx, st, "", &opts)
	if err != nil {
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
		full = family + "/" + name
	}
	opts.Values = locate(opts.Values, full)
	d := &Deque[T]{shared: &shared[T]{
		st:     st,
		values: opts.Values,
		skip:   opts.SkipUndecodable,
		turn:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}}
	d.shared.root = d
	fail := func(err error) (*Deque[T], error) {
		var inner *cache.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, &cache.Error{Op: "New", Collection: full, Err: err}
	}
	switch {
	case st == nil:
		return fail(invalid("nil Store"))
	case opts.Store != nil:
		return fail(invalid("Options.Store is for Open; the store is open already"))
	}
	bytes := encoded(opts.Values.Name())
	err := errors.Join(
		into(&d.raw)(cache.New(ctx, st, name, &cache.Options[int64, codec.Value]{
			Family: family, Values: bytes, Persistent: true, MinFileSize: opts.MinFileSize,
		})),
		// Opened last, it is the one that Store.Check decodes with.
		into(&d.items)(cache.New(ctx, st, name, &cache.Options[int64, T]{
			Family: family, Values: opts.Values, Persistent: true, SkipUndecodable: opts.SkipUndecodable,
		})),
	)
	if err != nil {
		return fail(err)
	}
	beside := func(kind string) (fam, n string) {
		if name == "" {
			return family + "-default", kind
		}
		return family + "-" + kind, name
	}
	lentFamily, lentName := beside("lent")
	loanFamily, loanName := beside("loans")
	err = errors.Join(
		into(&d.lent)(cache.New(ctx, st, lentName, &cache.Options[int64, codec.Value]{
			Family: lentFamily, Values: bytes, Persistent: true, MinFileSize: opts.MinFileSize,
		})),
		into(&d.loans)(cache.New(ctx, st, loanName, &cache.Options[string, loan]{
			Family: loanFamily, Persistent: true,
		})),
		into(&d.settings)(cache.New(ctx, st, "all", &cache.Options[string, settings]{
			Family: family + "-settings", Persistent: true,
		})),
	)
	if st.ReadOnly() && errors.Is(err, cache.ErrReadOnly) {
		d.shared.plain, err = true, nil
	}
	if err == nil && opts.MaxLen != 0 {
		err = d.keepMaxLen(ctx, max(opts.MaxLen, 0))
	}
	if err != nil {
		return fail(err)
	}
	return d, nil
}

// into returns a function that keeps what a constructor returns.
func into[T any](p *T) func(T, error) error {
	return func(v T, err error) error {
		*p = v
		return err
	}
}

// Drop removes the deque called name from a store, with all its items,
// claimed and delayed ones included, and its maximum length; whoever has it
// open gets cache.ErrClosed. Of the default deque, "", it only removes the
// contents. Dropping what does not exist does nothing.
func Drop(ctx context.Context, st *cache.Store, name string) error {
	full := []string{family + "/" + name, family + "-lent/" + name, family + "-loans/" + name}
	if name == "" {
		full = []string{"", family + "-default/lent", family + "-default/loans"}
	}
	all, err := cache.New(ctx, st, "all", &cache.Options[string, settings]{Family: family + "-settings", Persistent: true})
	if err != nil {
		return err
	}
	for _, n := range full {
		if err := st.Drop(ctx, n); err != nil {
			return err
		}
	}
	_, err = all.Delete(ctx, full[0])
	return errors.Join(err, all.Close())
}

// Close releases the deque; using it afterwards fails with cache.ErrClosed,
// and so does whoever waits for an item. What was opened with Open closes its
// store as well, which gives back what it has claimed; otherwise claims stay
// until their leases end or the store is closed. Close after Close does
// nothing.
func (d *Deque[T]) Close() (err error) {
	if d.tx != nil {
		return d.fail("Close", invalid("it is bound to a transaction"))
	}
	d.shared.closing.Do(func() {
		close(d.shared.closed)
		err = errors.Join(d.items.Close(), d.raw.Close())
		if !d.shared.plain {
			err = errors.Join(err, d.lent.Close(), d.loans.Close(), d.settings.Close())
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
		bound.lent, bound.loans, bound.settings = d.lent.In(tx), d.loans.In(tx), d.settings.In(tx)
	}
	return &bound
}

// Update is [cache.Store.Update], except that a deque that is bound to a
// transaction joins it.
func (d *Deque[T]) Update(ctx context.Context, fn func(tx *cache.Tx) error) error {
	return d.items.Update(ctx, fn)
}

// update runs fn with the deque bound to a transaction, of its own or the one
// that d is bound to. fn ends it with an error, unless that is a refusal.
func (d *Deque[T]) update(ctx context.Context, fn func(d *Deque[T]) error) error {
	var refused error
	err := d.items.Update(ctx, func(tx *cache.Tx) error {
		err := fn(d.In(tx))
		if r, ok := err.(refusal); ok {
			refused = r.error
			return nil
		}
		return err
	})
	if err == nil {
		err = refused
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

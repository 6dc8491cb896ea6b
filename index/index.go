package index

import (
	"context"
	"iter"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// Index is a typed, persistent, ordered mapping in a [cache.Store]. All methods
// may be called by many goroutines and many processes at once, and each is
// atomic. Two keys are equal when their codec encodes them equally.
type Index[K, V any] struct {
	c      *cache.Cache[K, V]
	tx     *cache.Tx // nil: not bound to a transaction
	keys   codec.Codec[K]
	values codec.Codec[V]
	skip   bool // undecodable entries are missing
}

// Open opens the store in the directory dir and its default index, which is
// the one that Python's DiskCache sees. Close closes both.
func Open[K, V any](ctx context.Context, dir string, o *Options[K, V]) (*Index[K, V], error) {
	opts := o.withDefaults()
	c, err := cache.Open(ctx, dir, opts.cache())
	return wrap(c, opts, err)
}

// New opens the index called name in a store, and creates it if it does not
// exist. "" is the default collection of the store, the one that Open opens.
//
// So an index is made of what a store holds already, as Python's
// Index.fromcache does: of the default collection of a cache c, with the codecs
// of c,
//
//	x, err := index.New[string, User](ctx, c.Store(), "", nil)
//
// Both go on to use the same entries. From then on the collection has no size
// limit and evicts nothing, for all processes, also through c; that is stored.
// What c writes with an expiry still expires. Closing the index leaves c and its store open. Named collections of package
// cache are others than indexes of that name.
func New[K, V any](ctx context.Context, st *cache.Store, name string, o *Options[K, V]) (*Index[K, V], error) {
	opts := o.withDefaults()
	c, err := cache.New(ctx, st, name, opts.cache())
	return wrap(c, opts, err)
}

func wrap[K, V any](c *cache.Cache[K, V], o Options[K, V], err error) (*Index[K, V], error) {
	if err != nil {
		return nil, err
	}
	return &Index[K, V]{c: c, keys: o.Keys, values: o.Values, skip: o.SkipUndecodable}, nil
}

// Close releases the index; using it afterwards fails with cache.ErrClosed.
// What was opened with Open closes its store as well. Close after Close does
// nothing.
func (x *Index[K, V]) Close() error { return x.c.Close() }

// Name returns the name of the collection: "" for the default one, else
// "index/" and the name given to New.
func (x *Index[K, V]) Name() string { return x.c.Name() }

// Store returns the store that the index is in.
func (x *Index[K, V]) Store() *cache.Store { return x.c.Store() }

// Cache returns the collection that the entries are in, for what Index does
// not offer itself, such as cache.Incr, Watch and SetFrom. An entry that
// is written to it with an expiry does expire.
func (x *Index[K, V]) Cache() *cache.Cache[K, V] { return x.c }

// In returns the same index bound to a transaction: see [cache.Cache.In].
func (x *Index[K, V]) In(tx *cache.Tx) *Index[K, V] {
	bound := *x
	bound.c, bound.tx = x.c.In(tx), tx
	return &bound
}

// Update is [cache.Store.Update], except that an index that is bound to a
// transaction joins it. SetMany stores many entries.
func (x *Index[K, V]) Update(ctx context.Context, fn func(tx *cache.Tx) error) error {
	return x.c.Update(ctx, fn)
}

// View is [cache.Store.View], except that an index that is bound to a
// transaction joins it.
func (x *Index[K, V]) View(ctx context.Context, fn func(tx *cache.Tx) error) error {
	return x.c.View(ctx, fn)
}

// Get returns the value of k, and false if there is none.
func (x *Index[K, V]) Get(ctx context.Context, k K) (V, bool, error) { return x.c.Get(ctx, k) }

// Contains reports whether k has an entry, without reading its value.
func (x *Index[K, V]) Contains(ctx context.Context, k K) (bool, error) { return x.c.Contains(ctx, k) }

// Set stores v under k. An entry that is overwritten keeps its place in
// insertion order.
func (x *Index[K, V]) Set(ctx context.Context, k K, v V) error { return x.c.Set(ctx, k, v) }

// Delete removes the entry of k and reports whether there was one.
func (x *Index[K, V]) Delete(ctx context.Context, k K) (bool, error) { return x.c.Delete(ctx, k) }

// GetOrSet returns the value of k and true, or else stores v and returns it
// and false. Of several callers at once, one stores its value and all others
// get that.
func (x *Index[K, V]) GetOrSet(ctx context.Context, k K, v V) (actual V, loaded bool, err error) {
	return x.c.GetOrSet(ctx, k, v)
}

// CompareAndSwap stores new under k if the entry's value is old: if both are
// encoded equally. It reports whether it did. Without an entry it does
// nothing; Set and GetOrSet make one.
func (x *Index[K, V]) CompareAndSwap(ctx context.Context, k K, old, new V) (bool, error) {
	return x.c.CompareAndSwap(ctx, k, old, new)
}

// Modify replaces the value of k by what fn makes of it, or removes it: see
// [cache.Cache.Modify].
func (x *Index[K, V]) Modify(ctx context.Context, k K, fn func(v V, ok bool) (V, bool, error)) (V, bool, error) {
	return x.c.Modify(ctx, k, fn)
}

// SetMany stores all entries of a sequence, such as maps.All or slices.All make
// it, in one transaction: all or, with an error, none. It is the update of a
// Python dict.
//
//	err := x.SetMany(ctx, maps.All(users))
func (x *Index[K, V]) SetMany(ctx context.Context, entries iter.Seq2[K, V]) error {
	return x.c.SetMany(ctx, entries)
}

// Len returns the number of entries. It costs the same however many there are.
func (x *Index[K, V]) Len(ctx context.Context) (int64, error) { return x.c.Len(ctx) }

// Clear removes all entries and returns how many there were. It works in small
// transactions, between which others write; in a transaction it is a part of
// that.
func (x *Index[K, V]) Clear(ctx context.Context) (int, error) { return x.c.Clear(ctx) }

// Queue returns a queue among the entries of the index: see
// [cache.Cache.Queue]. To push and to pop, at either end, is DiskCache's push and
// pull with a prefix.
//
//	k, err := x.Queue("jobs").PushBack(ctx, v) // "jobs-500000000000000"
func (x *Index[K, V]) Queue(prefix string) *cache.Queue[K, V] { return x.c.Queue(prefix) }

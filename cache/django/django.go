package django

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/go-diskcache/diskcache/cache"
)

// Cache is a typed view of the cache of a Django site. All methods may be called by many
// goroutines at once, and each is atomic. A miss is no error, but for [Incr] and its like.
// Methods that write take the options of package cache: [cache.TTL], [cache.NoExpiry],
// [Timeout] and [cache.Tag].
//
// What survives a crash, and what the errors are, is as for a [cache.Cache] with shards.
type Cache[V any] struct {
	c       *cache.Cache[string, V]
	prefix  string
	version int
	head    string // of a key, before what the caller calls key
	keyFunc func(key, prefix string, version int) string
	timeout cache.Expiry
}

// Open opens the cache whose LOCATION is dir, and creates it if it does not exist. Close
// closes it.
func Open[V any](ctx context.Context, dir string, o *Options[V]) (*Cache[V], error) {
	opts := o.withDefaults()
	var st cache.StoreOptions
	if opts.Store != nil {
		st = *opts.Store
	}
	if st.Shards != 0 {
		return nil, fail(ctx, "Open", fmt.Errorf("%w: Options.Store has Shards; Options.Shards is for that", cache.ErrInvalid))
	}
	if st.Shards = opts.Shards; st.Shards == 0 {
		st.Shards = 8
	}
	co := opts.cache()
	co.Store = &st
	c, err := cache.Open(ctx, dir, co)
	if err != nil {
		return nil, fail(ctx, "Open", err)
	}
	return opts.view(c), nil
}

// New is Open for a store that is open already, such as that of another type of values:
// those of one store can be used in one transaction.
func New[V any](ctx context.Context, st *cache.Store, o *Options[V]) (*Cache[V], error) {
	opts := o.withDefaults()
	if opts.Shards != 0 || opts.Store != nil {
		return nil, fail(ctx, "New", fmt.Errorf("%w: Options.Shards and Store are for Open; the store is open already", cache.ErrInvalid))
	}
	c, err := cache.New(ctx, st, "", opts.cache())
	if err != nil {
		return nil, fail(ctx, "New", err)
	}
	return opts.view(c), nil
}

func (o *Options[V]) view(c *cache.Cache[string, V]) *Cache[V] {
	v := &Cache[V]{c: c, prefix: o.KeyPrefix, keyFunc: o.KeyFunc, timeout: o.Timeout}
	return v.Version(o.Version)
}

func fail(ctx context.Context, op string, err error) error {
	return cache.WrapError(ctx, op, "", err)
}

// Version returns the same cache with another version of the keys, as the argument
// version of Django's methods has it.
func (c *Cache[V]) Version(version int) *Cache[V] {
	other := *c
	other.version = version
	other.head = c.prefix + ":" + strconv.Itoa(version) + ":"
	return &other
}

// In returns the same cache bound to a transaction: see [cache.Cache.In].
func (c *Cache[V]) In(tx *cache.Tx) *Cache[V] {
	bound := *c
	bound.c = c.c.In(tx)
	return &bound
}

// Key returns the key that is stored for key, with prefix and version. It is the key of
// the entry in [Cache.Cache].
func (c *Cache[V]) Key(key string) string {
	if c.keyFunc != nil {
		return c.keyFunc(key, c.prefix, c.version)
	}
	return c.head + key
}

// Cache returns the collection that the entries are in, of all prefixes and versions,
// for what has no method here: Expire, Evict, Stats, Configure, iteration. Entries that are
// written through it do not expire by themselves. It has the store, too, where
// cache(name), deque(name) and index(name) of Python's DjangoCache are collections of that
// name: cache.New(ctx, c.Cache().Store(), name, nil), and New of packages deque and index.
func (c *Cache[V]) Cache() *cache.Cache[string, V] { return c.c }

// Close closes the cache, and the store if it was opened with Open. See
// [cache.Cache.Close].
func (c *Cache[V]) Close() error { return c.c.Close() }

// with returns the options of a write, with the default timeout where they have none.
func (c *Cache[V]) with(opts []cache.Option) []cache.Option {
	for _, o := range opts {
		if _, ok := o.(cache.Expiry); ok {
			return opts
		}
	}
	return append(opts[:len(opts):len(opts)], c.timeout)
}

// Get returns the value of a key, and false if there is none or it has expired. See
// [cache.Cache.Get].
func (c *Cache[V]) Get(ctx context.Context, key string) (v V, ok bool, err error) {
	return c.c.Get(ctx, c.Key(key))
}

// Contains reports whether a key has an entry that has not expired: Django's has_key. It
// does not decode the value, which may be pickled.
func (c *Cache[V]) Contains(ctx context.Context, key string) (bool, error) {
	return c.c.Contains(ctx, c.Key(key))
}

// OpenValue opens a value as it is stored, without reading it into memory: Django's read.
// Its Name is the path of its file, for X-Sendfile and, below an internal location, for
// X-Accel-Redirect, or "" if the value is too small to have one: SetFrom here, and set
// with read=True there, always make a file. Once the key is overwritten or removed, the
// file goes: a server that comes to open it a moment later does not find it, while the
// File that is returned stays readable. See [cache.Cache.OpenValue].
func (c *Cache[V]) OpenValue(ctx context.Context, key string) (*cache.File, bool, error) {
	return c.c.OpenValue(ctx, c.Key(key))
}

// GetMany returns the entries of those keys that have one, in the order of the keys. Each
// has the key as it was given, not as it is stored. See [cache.Cache.GetMany].
func (c *Cache[V]) GetMany(ctx context.Context, keys ...string) ([]cache.Entry[string, V], error) {
	stored := c.stored(keys)
	es, err := c.c.GetMany(ctx, stored...)
	next := 0
	for i := range es {
		for next < len(stored)-1 && stored[next] != es[i].Key {
			next++ // it has no entry
		}
		es[i].Key = keys[next]
		next++
	}
	return es, err
}

func (c *Cache[V]) stored(keys []string) []string {
	stored := make([]string, len(keys))
	for i, k := range keys {
		stored[i] = c.Key(k)
	}
	return stored
}

// Set stores a value. See [cache.Cache.Set].
func (c *Cache[V]) Set(ctx context.Context, key string, v V, opts ...cache.Option) error {
	return c.c.Set(ctx, c.Key(key), v, c.with(opts)...)
}

// SetFrom stores what r reads as it is, always in a file: Django's set with read=True.
// Where V is []byte, Django's read opens it; where it is string, it is a text to Django.
// See [cache.Cache.SetFrom].
func (c *Cache[V]) SetFrom(ctx context.Context, key string, r io.Reader, opts ...cache.Option) error {
	return c.c.SetFrom(ctx, c.Key(key), r, c.with(opts)...)
}

// SetMany stores all entries of a sequence, all or, with an error, none. See
// [cache.Cache.SetMany].
func (c *Cache[V]) SetMany(ctx context.Context, entries iter.Seq2[string, V], opts ...cache.Option) error {
	stored := entries
	if entries != nil {
		stored = func(yield func(string, V) bool) {
			for k, v := range entries {
				if !yield(c.Key(k), v) {
					return
				}
			}
		}
	}
	return c.c.SetMany(ctx, stored, c.with(opts)...)
}

// Add stores a value if the key has none, and reports whether it did. See
// [cache.Cache.Add].
func (c *Cache[V]) Add(ctx context.Context, key string, v V, opts ...cache.Option) (bool, error) {
	return c.c.Add(ctx, c.Key(key), v, c.with(opts)...)
}

// GetOrSet returns the value of a key and true, or else stores v and returns it and
// false. See [cache.Cache.GetOrSet].
func (c *Cache[V]) GetOrSet(ctx context.Context, key string, v V, opts ...cache.Option) (actual V, loaded bool, err error) {
	return c.c.GetOrSet(ctx, c.Key(key), v, c.with(opts)...)
}

// Touch changes when an entry expires, without an option to the default timeout from now
// on, and reports whether there was one. See [cache.Cache.Touch].
func (c *Cache[V]) Touch(ctx context.Context, key string, opts ...cache.Option) (bool, error) {
	return c.c.Touch(ctx, c.Key(key), c.with(opts)...)
}

// Pop removes an entry and returns its value, and false if there was none. See
// [cache.Cache.Pop].
func (c *Cache[V]) Pop(ctx context.Context, key string) (V, bool, error) {
	return c.c.Pop(ctx, c.Key(key))
}

// Delete removes an entry and reports whether there was one.
func (c *Cache[V]) Delete(ctx context.Context, key string) (bool, error) {
	return c.c.Delete(ctx, c.Key(key))
}

// DeleteMany removes entries in one transaction and returns how many there were.
func (c *Cache[V]) DeleteMany(ctx context.Context, keys ...string) (int, error) {
	return c.c.DeleteMany(ctx, c.stored(keys)...)
}

// Clear removes all entries, of every prefix and version, and returns how many there
// were. Collections below, such as Python's cache(name) makes, stay.
func (c *Cache[V]) Clear(ctx context.Context) (int, error) { return c.c.Clear(ctx) }

// IncrVersion moves an entry to the version that is delta higher than that of c, and
// returns that. As in Django the entry expires after the default timeout then, and has no
// tag. A missing one is cache.ErrNotFound. A process that dies while it commits that may
// leave the entry under both versions or under none: see [cache.StoreOptions].Shards.
func (c *Cache[V]) IncrVersion(ctx context.Context, key string, delta int) (version int, err error) {
	return c.moveVersion(ctx, "IncrVersion", key, delta)
}

// DecrVersion is IncrVersion with delta subtracted.
func (c *Cache[V]) DecrVersion(ctx context.Context, key string, delta int) (version int, err error) {
	return c.moveVersion(ctx, "DecrVersion", key, -delta)
}

func (c *Cache[V]) moveVersion(ctx context.Context, op, key string, delta int) (int, error) {
	next := c.Version(c.version + delta)
	err := c.c.Update(ctx, func(tx *cache.Tx) error {
		from, to := c.In(tx), next.In(tx)
		v, ok, err := from.Get(ctx, key)
		if err == nil && !ok {
			err = cache.ErrNotFound
		}
		if err == nil {
			err = to.Set(ctx, key, v)
		}
		if err == nil && from.Key(key) != to.Key(key) {
			_, err = from.Delete(ctx, key)
		}
		return err
	})
	if err != nil {
		return 0, fail(ctx, op, err)
	}
	return next.version, nil
}

// Incr adds delta to the number under a key and returns the sum. The entry keeps its
// expiry and its tag. A missing one is cache.ErrNotFound, as it is a ValueError in Django;
// to count from 0, and for more of it, see [cache.Incr]:
//
//	n, err := cache.Incr(ctx, c.Cache(), c.Key(key), 1, cache.TTL(time.Hour))
func Incr[N cache.Number](ctx context.Context, c *Cache[N], key string, delta N) (N, error) {
	return cache.Incr(ctx, c.c, c.Key(key), delta, cache.MustExist())
}

// Decr is Incr with delta subtracted.
func Decr[N cache.Number](ctx context.Context, c *Cache[N], key string, delta N) (N, error) {
	return cache.Decr(ctx, c.c, c.Key(key), delta, cache.MustExist())
}

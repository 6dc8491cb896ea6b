package django

import (
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// Options say what the site's settings say of the cache. The zero value of each field is
// its default, which is Django's. What OPTIONS has beside a disk, such as size_limit, is
// stored in the directory: whoever opens it keeps to that.
type Options[V any] struct {
	// KeyPrefix is KEY_PREFIX. Defaults to none.
	KeyPrefix string

	// Version is VERSION. Defaults to 1; see also [Cache.Version].
	Version int

	// Timeout is TIMEOUT: when entries expire that are written without a [cache.Expiry].
	// Defaults to cache.TTL(300 * time.Second). cache.NoExpiry() is Django's None, and
	// Timeout(0) its 0.
	Timeout cache.Expiry

	// KeyFunc is KEY_FUNCTION: it makes the key that is stored. It may be called by
	// several goroutines at once. Defaults to prefix, version and key with colons
	// between them.
	KeyFunc func(key, prefix string, version int) string

	// Shards is SHARDS, which a directory keeps: another number is cache.ErrInvalid.
	// It is for Open; New refuses it. Defaults to 8.
	Shards int

	// Keys and Values encode. They are for OPTIONS with a disk: see the package's
	// documentation for JSONDisk. Default to codec.Default.
	Keys   codec.Codec[string]
	Values codec.Codec[V]

	// SkipUndecodable treats entries whose value cannot be decoded as missing, those that
	// Python has pickled included. Defaults to an error, cache.ErrCodecMismatch.
	SkipUndecodable bool

	// Store opens the store, but for the number of shards. It is for Open; New refuses it.
	Store *cache.StoreOptions
}

func (o *Options[V]) withDefaults() Options[V] {
	var out Options[V]
	if o != nil {
		out = *o
	}
	if out.Version == 0 {
		out.Version = 1
	}
	if out.Timeout == (cache.Expiry{}) {
		out.Timeout = cache.TTL(300 * time.Second)
	}
	if out.Keys == nil {
		out.Keys = codec.Default[string]()
	}
	if out.Values == nil {
		out.Values = codec.Default[V]()
	}
	return out
}

func (o *Options[V]) cache() *cache.Options[string, V] {
	return &cache.Options[string, V]{
		Keys:            o.Keys,
		Values:          unnamed(o.Values),
		SkipUndecodable: o.SkipUndecodable,
	}
}

// Timeout has the meaning of the argument timeout of Django's methods: the entry expires
// after d, and is over at once if d is 0 or negative. For None there is [cache.NoExpiry].
func Timeout(d time.Duration) cache.Expiry {
	if d > 0 {
		return cache.TTL(d)
	}
	return cache.ExpireAt(time.Unix(1, 0))
}

// unnamed returns c without its name, which would be stored as that of all values. A
// site's cache has values of many types. A codec that depends on where a value is keeps its
// name: one cannot read its values with another.
func unnamed[V any](c codec.Codec[V]) codec.Codec[V] {
	if _, ok := c.(codec.Located[V]); ok {
		return c
	}
	if _, ok := c.(interface{ Pure() }); ok {
		return pure[V]{nameless[V]{c}}
	}
	return nameless[V]{c}
}

type nameless[V any] struct{ codec.Codec[V] }

func (nameless[V]) Name() string { return "" }

// pure is nameless for a codec that runs no code of the user's, as package cache knows it.
type pure[V any] struct{ nameless[V] }

func (pure[V]) Pure() {}

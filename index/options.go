package index

import (
	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// Options say how an index is opened. The zero value of each field is its
// default.
type Options[K, V any] struct {
	// Keys and Values encode. Their names are stored with the index; another
	// one later is cache.ErrCodecMismatch. Keys must be able to encode keys
	// (codec.Keyable). Default to codec.Default.
	Keys   codec.Codec[K]
	Values codec.Codec[V]

	// MinFileSize is the size in bytes from which a value is kept in a file
	// of its own. It is stored with the index. With a negative one none is.
	// Defaults to 32 KiB.
	MinFileSize int64

	// SkipUndecodable treats entries whose key or value cannot be decoded,
	// perhaps because a type has changed, as missing. Defaults to an error,
	// cache.ErrCodecMismatch.
	SkipUndecodable bool

	// Store opens the store. It is for Open; New refuses it.
	Store *cache.StoreOptions
}

func (o *Options[K, V]) withDefaults() Options[K, V] {
	var out Options[K, V]
	if o != nil {
		out = *o
	}
	if out.Keys == nil {
		out.Keys = codec.Default[K]()
	}
	if out.Values == nil {
		out.Values = codec.Default[V]()
	}
	return out
}

func (o *Options[K, V]) cache() *cache.Options[K, V] {
	return &cache.Options[K, V]{
		Keys:            o.Keys,
		Values:          o.Values,
		MinFileSize:     o.MinFileSize,
		SkipUndecodable: o.SkipUndecodable,
		Persistent:      true,
		Family:          "index",
		Store:           o.Store,
	}
}

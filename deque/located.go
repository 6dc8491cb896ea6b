package deque

import (
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/codec"
)

// located is a codec that binds values to the deque and not to their keys:
// those change as items move within it, are claimed and come back.
type located[T any] struct {
	codec codec.Located[T]
	at    codec.Location
}

// locate returns the codec of the values of a deque.
func locate[T any](c codec.Codec[T], deque string) codec.Codec[T] {
	if c, ok := c.(codec.Located[T]); ok {
		return located[T]{c, codec.Location{Collection: deque}}
	}
	return c
}

func (l located[T]) Name() string                      { return l.codec.Name() }
func (l located[T]) Encode(v T) (codec.Value, error)   { return l.codec.EncodeAt(v, l.at) }
func (l located[T]) Decode(enc codec.Value) (T, error) { return l.codec.DecodeAt(enc, l.at) }
func (l located[T]) Unkeyable() string {
	if c, ok := l.codec.(interface{ Unkeyable() string }); ok {
		return c.Unkeyable()
	}
	return ""
}

// translate returns an encoded item of d as one of into.
func (d *Deque[T]) translate(into *Deque[T], enc codec.Value) (codec.Value, error) {
	if _, ok := d.shared.values.(located[T]); !ok {
		return enc, nil
	}
	v, err := d.shared.values.Decode(enc)
	if err != nil {
		return enc, fmt.Errorf("%w: an item cannot be decoded with codec %q: %w", cache.ErrCodecMismatch, d.shared.values.Name(), err)
	}
	return into.encode(v)
}

package cache

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// decodeKey decodes the key of a row.
func (c *Cache[K, V]) decodeKey(r *driver.Row) (k K, err error) {
	if r.ForeignKey {
		return foreignTo[K](r.Key, "key")
	}
	if k, err = c.keys.Decode(r.Key); err != nil {
		return k, undecodable("key", c.keys.Name(), err)
	}
	return k, nil
}

// decodeValue decodes the value of a row, which fill or load has filled in.
func (c *Cache[K, V]) decodeValue(r *driver.Row) (v V, err error) {
	if r.ForeignValue {
		return foreignTo[V](r.Value, "value")
	}
	if c.located != nil {
		v, err = c.located.DecodeAt(r.Value, c.location(r.Key))
	} else {
		v, err = c.values.Decode(r.Value)
	}
	if err != nil {
		return v, undecodable("value", c.values.Name(), err)
	}
	return v, nil
}

// encodeValue encodes the value of a key, Null if that is not known yet.
func (c *Cache[K, V]) encodeValue(key codec.Value, v V) (enc codec.Value, err error) {
	if c.located != nil {
		enc, err = c.located.EncodeAt(v, c.location(key))
	} else {
		enc, err = c.values.Encode(v)
	}
	if err != nil {
		return enc, encoding("value", c.values.Name(), err)
	}
	return enc, nil
}

// location tells a codec where the value of a key is stored.
func (c *Cache[K, V]) location(key codec.Value) codec.Location {
	return codec.Location{Collection: c.dc.Name(), Key: key}
}

// decode makes an entry of a row. Without an error, false means that it
// cannot be decoded and is to be skipped.
func (c *Cache[K, V]) decode(ctx context.Context, r *driver.Row) (Entry[K, V], bool, error) {
	e := entryOf[K, V](r)
	var err error
	if e.Key, err = c.decodeKey(r); err == nil {
		e.Value, err = c.decodeValue(r)
	}
	if err != nil {
		return Entry[K, V]{}, false, c.skipped(ctx, err)
	}
	return e, true, nil
}

// skipped returns nil if err says that an entry cannot be decoded and such
// entries are to be taken for missing.
func (h *handle) skipped(ctx context.Context, err error) error {
	if !h.shared.skip || !isMismatch(err) {
		return err
	}
	h.st.log.DebugContext(ctx, "undecodable entry skipped", "collection", h.dc.Name())
	return nil
}

// register tells the store how to decode the collection's rows.
func (c *Cache[K, V]) register() {
	d := decoder{
		coll: c.dc,
		key: func(v codec.Value) error {
			_, err := c.keys.Decode(v)
			return err
		},
		value: func(r *driver.Row) error {
			_, err := c.decodeValue(r)
			return err
		},
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	c.st.decoders[c.dc.Name()] = d
}

package cache

import (
	"bytes"
	"context"
	"iter"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Range is the entries of a collection in the order of their keys, as
// [Cache.Sorted] returns it, or a part of them: each of its methods but All and
// Keys returns a smaller Range, or the same one in reverse. Bounds on keys must all
// hold; of several Skips, or Limits, the last one counts.
//
// A Range may be kept, and be iterated over more than once. It holds nothing open.
// What is wrong with an argument is the error of the iteration.
type Range[K, V any] struct {
	c     *Cache[K, V]
	scan  driver.Scan
	limit int64 // 0: none
	err   error
}

// Sorted returns all entries in the order of their keys, to be narrowed and
// iterated over:
//
//	for e, err := range c.Sorted().From("a").Before("c").All(ctx) {
//	for e, err := range c.Sorted().Prefix("user/").Limit(10).All(ctx) {
//	for k, err := range c.Sorted().Desc().Keys(ctx) {
//
// The order is the database's, that of the encoded keys: numbers, then text,
// then bytes; text and bytes compare byte by byte. The native codecs keep the
// order of Go's values, but for strings that are not valid UTF-8: those are bytes
// here. JSON, which structs are stored as, does not: 10 comes before 9 in it. Composite
// keys, [codec.Pair] and [codec.Triple], sort by their parts:
//
//	visits := codec.Tuple2(codec.String[string](), codec.Time()) // the codec of c's keys
//	for e, err := range c.Sorted().Prefix(visits.First("ann")).Desc().Limit(10).All(ctx) {
//
// Of the first parts of composite keys, From begins with the first key that has
// them, After behind the last one, and To and Before end alike.
func (c *Cache[K, V]) Sorted() Range[K, V] {
	return Range[K, V]{c: c, scan: driver.Scan{Order: driver.ByKey}}
}

// From leaves out keys that are less than k.
func (r Range[K, V]) From(k K) Range[K, V] { return r.lower(k, false) }

// After leaves out k, and keys that are less.
func (r Range[K, V]) After(k K) Range[K, V] { return r.lower(k, true) }

// To leaves out keys that are greater than k.
func (r Range[K, V]) To(k K) Range[K, V] { return r.upper(k, false) }

// Before leaves out k, and keys that are greater.
func (r Range[K, V]) Before(k K) Range[K, V] { return r.upper(k, true) }

// Prefix leaves out keys that do not begin with p. An empty p leaves out none. It
// needs a key codec that stores text or bytes as they are, or the first parts of a
// composite key (see [codec.Tuple2]); else it is ErrInvalid.
// Strings that are not valid UTF-8 are stored as bytes, and do not begin with one
// that is.
func (r Range[K, V]) Prefix(p K) Range[K, V] {
	if r.unusable() {
		return r
	}
	lower, upper, err := r.c.prefixBounds(p)
	return r.narrow(lower, upper, err)
}

// Skip leaves out the first n entries, without reading them. A negative n is
// ErrInvalid.
func (r Range[K, V]) Skip(n int64) Range[K, V] {
	if n < 0 {
		return r.narrow(nil, nil, invalid("Skip of %d", n))
	}
	r.scan.Skip = n
	return r
}

// Limit leaves out all but n entries, those behind what Skip leaves out. An n of
// less than 1 is ErrInvalid.
func (r Range[K, V]) Limit(n int64) Range[K, V] {
	if n < 1 {
		return r.narrow(nil, nil, invalid("Limit of %d", n))
	}
	r.limit = n
	return r
}

// Desc begins with the greatest key. Skip and Limit count from there.
func (r Range[K, V]) Desc() Range[K, V] {
	r.scan.Desc = true
	return r
}

// All iterates over the entries: see [Cache.All].
func (r Range[K, V]) All(ctx context.Context) iter.Seq2[Entry[K, V], error] {
	if err := r.fail(ctx, "All"); err != nil {
		return failed[Entry[K, V]](err)
	}
	return r.c.entries(ctx, "All", r.scan, r.limit)
}

// Keys iterates over the keys, without reading values: see [Cache.All].
func (r Range[K, V]) Keys(ctx context.Context) iter.Seq2[K, error] {
	if err := r.fail(ctx, "Keys"); err != nil {
		return failed[K](err)
	}
	return r.c.scanKeys(ctx, "Keys", r.scan, r.limit)
}

// failed returns an iterator that yields an error.
func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}

// unusable reports whether r cannot be iterated over in any case.
func (r *Range[K, V]) unusable() bool { return r.c == nil || r.err != nil }

// fail returns why r cannot be iterated over, or nil.
func (r *Range[K, V]) fail(ctx context.Context, op string) error {
	if r.c == nil {
		return WrapError(ctx, op, "", invalid("a zero Range; Cache.Sorted returns one"))
	}
	return r.c.fail(ctx, op, r.err)
}

// lower leaves out keys before k, and with open k too.
func (r Range[K, V]) lower(k K, open bool) Range[K, V] {
	if r.unusable() {
		return r
	}
	begin, end, whole, err := r.c.bounds(k)
	if open && !whole {
		begin, open = end, false
	}
	return r.narrow(&driver.Bound{Key: begin, Open: open}, nil, err)
}

// upper leaves out keys after k, and with open k too.
func (r Range[K, V]) upper(k K, open bool) Range[K, V] {
	if r.unusable() {
		return r
	}
	begin, end, whole, err := r.c.bounds(k)
	if !open && !whole {
		begin, open = end, true
	}
	return r.narrow(nil, &driver.Bound{Key: begin, Open: open}, err)
}

// narrow adds bounds, where they are not nil, or keeps the first error.
func (r Range[K, V]) narrow(lower, upper *driver.Bound, err error) Range[K, V] {
	if r.err == nil {
		r.err = err
	}
	if r.err == nil {
		r.scan.Lower = tighter(r.scan.Lower, lower, +1)
		r.scan.Upper = tighter(r.scan.Upper, upper, -1)
	}
	return r
}

// tighter returns the bound that leaves less: of lower ones (dir +1) the
// greater, of upper ones (-1) the smaller.
func tighter(a, b *driver.Bound, dir int) *driver.Bound {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	order := dir * codec.Compare(a.Key, b.Key)
	if order > 0 || order == 0 && a.Open {
		return a
	}
	return b
}

// bounds returns a key's encoding, and whole. For the beginning of composite keys it
// returns where in the order those begin, and where they have ended.
func (c *Cache[K, V]) bounds(k K) (begin, end codec.Value, whole bool, err error) {
	composite, ok := c.keys.(codec.Prefixer[K])
	if !ok {
		begin, err = c.key(k)
		return begin, end, true, err
	}
	p, whole, err := composite.EncodePrefix(k)
	if err != nil {
		return begin, end, false, encoding("key", c.keys.Name(), err)
	}
	return codec.BlobValue(p), codec.BlobValue(successor(p)), whole, nil
}

// prefixBounds returns the range of keys that begin with p, which is a string, bytes
// or the beginning of composite keys.
func (c *Cache[K, V]) prefixBounds(p K) (lower, upper *driver.Bound, err error) {
	enc, end, whole, err := c.bounds(p)
	if err != nil {
		return nil, nil, err
	}
	if !whole {
		return &driver.Bound{Key: enc}, &driver.Bound{Key: end, Open: true}, nil
	}
	_, raw := any(p).(Raw)
	if raw && enc.Kind() != codec.Text && enc.Kind() != codec.Blob {
		return nil, nil, invalid("Prefix of a key that is no text and no bytes")
	}
	if !raw && c.keys.Name() != codec.String[string]().Name() && c.keys.Name() != codec.Bytes[[]byte]().Name() {
		return nil, nil, invalid("Prefix needs a key codec that keeps text or bytes as they are, or the beginning of a composite key, not %q", c.keys.Name())
	}
	lower = &driver.Bound{Key: enc}
	if enc.Kind() == codec.Text {
		upper = &driver.Bound{Key: codec.BlobValue(nil), Open: true} // texts end where blobs begin
	}
	if end := successor(append([]byte(enc.Text()), enc.Blob()...)); end != nil {
		upper = &driver.Bound{Open: true, Key: codec.BlobValue(end)}
		if enc.Kind() == codec.Text {
			upper.Key = codec.TextValue(string(end))
		}
	}
	return lower, upper, nil
}

// successor returns the first bytes in order after all that begin with p, or nil if there
// are none.
func successor(p []byte) []byte {
	end := bytes.Clone(p)
	for len(end) > 0 && end[len(end)-1] == 0xFF {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return nil
	}
	end[len(end)-1]++
	return end
}

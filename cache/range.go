package cache

import (
	"context"
	"iter"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Range narrows what Ascend and Descend go through. Several must all hold.
type Range[K any] struct {
	kind rangeKind
	key  K
	n    int64
}

type rangeKind uint8

const (
	rangeFrom rangeKind = iota + 1
	rangeAfter
	rangeTo
	rangeBefore
	rangePrefix
	rangeSkip
	rangeLimit
)

// From begins a range with k.
func From[K any](k K) Range[K] { return Range[K]{kind: rangeFrom, key: k} }

// After begins a range after k.
func After[K any](k K) Range[K] { return Range[K]{kind: rangeAfter, key: k} }

// To ends a range with k.
func To[K any](k K) Range[K] { return Range[K]{kind: rangeTo, key: k} }

// Before ends a range before k.
func Before[K any](k K) Range[K] { return Range[K]{kind: rangeBefore, key: k} }

// Prefix is the range of keys that begin with p. It needs a key codec that
// stores text or bytes as they are. An empty prefix is all of them. Strings that
// are not valid UTF-8 are stored as bytes, and are not in the range of one that
// is.
func Prefix[K ~string | ~[]byte](p K) Range[K] { return Range[K]{kind: rangePrefix, key: p} }

// Skip leaves out the first n entries of a range, without reading them. A
// negative n is ErrInvalid.
func Skip[K any](n int64) Range[K] { return Range[K]{kind: rangeSkip, n: n} }

// Limit ends a range after n entries. An n of less than 1 is ErrInvalid.
func Limit[K any](n int64) Range[K] { return Range[K]{kind: rangeLimit, n: n} }

// Ascend iterates over entries in the order of their keys, all or those of a
// range:
//
//	for e, err := range c.Ascend(ctx, cache.From("a"), cache.Before("c")) {
//
// The order is the database's, that of the encoded keys: numbers, then text,
// then bytes; text and bytes compare byte by byte. The native codecs keep the
// order of Go's values, but for strings that are not valid UTF-8: those are bytes
// here. JSON, which structs are stored as, does not: 10 comes before 9 in it. See
// All.
func (c *Cache[K, V]) Ascend(ctx context.Context, ranges ...Range[K]) iter.Seq2[Entry[K, V], error] {
	s, n, err := c.scanOf(ranges)
	if err != nil {
		return failed[Entry[K, V]](c.fail(ctx, "Ascend", err))
	}
	return c.entries(ctx, "Ascend", s, n)
}

// Descend is Ascend from the last key to the first.
func (c *Cache[K, V]) Descend(ctx context.Context, ranges ...Range[K]) iter.Seq2[Entry[K, V], error] {
	s, n, err := c.scanOf(ranges)
	if err != nil {
		return failed[Entry[K, V]](c.fail(ctx, "Descend", err))
	}
	s.Desc = true
	return c.entries(ctx, "Descend", s, n)
}

// AscendKeys is Ascend without reading values.
func (c *Cache[K, V]) AscendKeys(ctx context.Context, ranges ...Range[K]) iter.Seq2[K, error] {
	s, n, err := c.scanOf(ranges)
	if err != nil {
		return failed[K](c.fail(ctx, "AscendKeys", err))
	}
	return c.scanKeys(ctx, "AscendKeys", s, n)
}

// DescendKeys is Descend without reading values.
func (c *Cache[K, V]) DescendKeys(ctx context.Context, ranges ...Range[K]) iter.Seq2[K, error] {
	s, n, err := c.scanOf(ranges)
	if err != nil {
		return failed[K](c.fail(ctx, "DescendKeys", err))
	}
	s.Desc = true
	return c.scanKeys(ctx, "DescendKeys", s, n)
}

// failed returns an iterator that yields an error.
func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}

// scanOf returns the scan of a range and its limit, 0 for none.
func (c *Cache[K, V]) scanOf(ranges []Range[K]) (s driver.Scan, limit int64, err error) {
	s.Order = driver.ByKey
	for _, r := range ranges {
		var lower, upper *driver.Bound
		switch r.kind {
		case rangeSkip, rangeLimit:
			if r.n < 0 || r.kind == rangeLimit && r.n == 0 {
				return s, 0, invalid("Skip or Limit of %d", r.n)
			}
			if r.kind == rangeSkip {
				s.Skip = r.n
			} else {
				limit = r.n
			}
			continue
		case rangePrefix:
			lower, upper, err = c.prefixBounds(r.key)
		case rangeFrom, rangeAfter, rangeTo, rangeBefore:
			b := &driver.Bound{Open: r.kind == rangeAfter || r.kind == rangeBefore}
			b.Key, err = c.key(r.key)
			if r.kind == rangeFrom || r.kind == rangeAfter {
				lower = b
			} else {
				upper = b
			}
		default:
			err = invalid("a zero Range")
		}
		if err != nil {
			return s, 0, err
		}
		s.Lower = tighter(s.Lower, lower, +1)
		s.Upper = tighter(s.Upper, upper, -1)
	}
	return s, limit, nil
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

// prefixBounds returns the range of keys that begin with p, whose type is a
// string or bytes.
func (c *Cache[K, V]) prefixBounds(p K) (lower, upper *driver.Bound, err error) {
	enc, err := c.key(p)
	if err != nil {
		return nil, nil, err
	}
	if c.keys.Name() != codec.String[string]().Name() && c.keys.Name() != codec.Bytes[[]byte]().Name() {
		return nil, nil, invalid("Prefix needs a key codec that keeps text or bytes as they are, not %q", c.keys.Name())
	}
	lower = &driver.Bound{Key: enc}
	if enc.Kind() == codec.Text {
		upper = &driver.Bound{Key: codec.BlobValue(nil), Open: true} // texts end where blobs begin
	}
	end := append([]byte(enc.Text()), enc.Blob()...)
	for len(end) > 0 && end[len(end)-1] == 0xFF {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return lower, upper, nil
	}
	end[len(end)-1]++
	upper = &driver.Bound{Open: true, Key: codec.BlobValue(end)}
	if enc.Kind() == codec.Text {
		upper.Key = codec.TextValue(string(end))
	}
	return lower, upper, nil
}

package sqlite

import (
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// endKeys is a collection's end-key cache: what the last row is at either end of one range
// of keys, the one that was scanned last. A deque is such a range. Its push needs the key of
// the last item, and a key next to it that is free: without the cache it would search the
// index of keys twice.
//
// Only transactions that write use it. They ask it instead of a scan for the last key
// (cachedEnd) and of a lookup of a new key (absent), and tell it of each key that they insert
// or delete. It is empty after another connection has committed, and after a rollback: see
// collection.refresh.
type endKeys struct{ front, back endKey }

// endKey is what is known of one end of the range: the row there, and that there is none
// between it and the bound of the range.
type endKey struct {
	known bool
	empty bool        // the range has no row, and key is its other bound
	key   codec.Value // of the last row
	bound codec.Value // of the range, which does not belong to it
}

// cachedEnd returns the entry of the cache that can answer a scan, the bound of the range
// at that end, and the other bound. It returns nil for every scan that is not one for the
// last key of an open range, and if what is known may be stale.
func (t *tx) cachedEnd(c *collection, s *driver.Scan) (e *endKey, here, there codec.Value) {
	if !t.write || c.generation != t.generation || !s.Keys || s.Order != driver.ByKey || s.Limit != 1 ||
		s.After != nil || !s.Tag.IsNull() || s.Live != 0 || s.Skip > 0 ||
		s.Lower == nil || !s.Lower.Open || s.Upper == nil || !s.Upper.Open ||
		codec.Compare(s.Lower.Key, s.Upper.Key) >= 0 || // there is nothing in it, but perhaps between the two
		s.Upper.Key.Kind() == codec.Blob { // the caller may change its bytes, and those of keys before it
		return nil, here, there
	}
	if s.Desc {
		return &c.endKeys.back, s.Upper.Key, s.Lower.Key
	}
	return &c.endKeys.front, s.Lower.Key, s.Upper.Key
}

// page returns the page that the scan would return, if that is known.
func (e *endKey) page(here, there codec.Value) (page []driver.Row, ok bool) {
	switch {
	case !e.known || !codec.Equal(e.bound, here):
		return nil, false
	case e.empty:
		return nil, codec.Equal(e.key, there)
	}
	return []driver.Row{{Key: e.key}}, keyBetween(there, e.key, here)
}

// set remembers the page that the scan has returned.
func (e *endKey) set(page []driver.Row, here, there codec.Value) {
	switch {
	case len(page) == 0:
		*e = endKey{known: true, empty: true, key: there, bound: here}
	case !page[0].ForeignKey:
		*e = endKey{known: true, key: page[0].Key, bound: here}
	}
}

// absent reports whether it is known that no row has the key.
func (es *endKeys) absent(key codec.Value) bool {
	return es.front.isBefore(key) || es.back.isBefore(key)
}

// isBefore reports whether a key lies between the last row and the bound of the range.
func (e *endKey) isBefore(key codec.Value) bool { return e.known && keyBetween(e.key, key, e.bound) }

// keyBetween reports whether key is between a and b, of which either may be the
// greater.
func keyBetween(a, key, b codec.Value) bool {
	i, j := codec.Compare(a, key), codec.Compare(key, b)
	return i != 0 && i == j
}

// inserted is told the key of each new row, and reports whether the row has become the
// last one of an end.
func (es *endKeys) inserted(key codec.Value) (last bool) {
	for _, e := range [...]*endKey{&es.front, &es.back} {
		if e.isBefore(key) {
			e.key, e.empty = key, false
			last = true
		}
	}
	return last
}

// deleted is told the key of each row that is deleted.
func (es *endKeys) deleted(key codec.Value) {
	for _, e := range [...]*endKey{&es.front, &es.back} {
		if !e.empty && codec.Equal(e.key, key) {
			e.known = false
		}
	}
}

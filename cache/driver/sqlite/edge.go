package sqlite

import (
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// edge is what is known of one end of a range of keys, of a queue for
// instance: the row there, and that nothing follows it within the range. So a
// push need not look for the key that is free, nor whether it is.
type edge struct {
	known bool
	empty bool        // there is no row in the range, and key is the other bound of it
	key   codec.Value // of the last row
	bound codec.Value // of the range: between the two is no row
}

// edges are those of the range that was asked for last.
type edges struct{ front, back edge }

// asked returns the edge that a scan asks for, and the bounds of the range
// there and at its other end; or nil if it asks for anything else, or if what is
// known may be stale.
func (t *tx) asked(c *collection, s *driver.Scan) (e *edge, here, there codec.Value) {
	if !t.write || c.epoch != t.epoch || !s.Keys || s.Order != driver.ByKey || s.Limit != 1 ||
		s.After != nil || !s.Tag.IsNull() || s.Live != 0 || s.Skip > 0 ||
		s.Lower == nil || !s.Lower.Open || s.Upper == nil || !s.Upper.Open ||
		codec.Compare(s.Lower.Key, s.Upper.Key) >= 0 || // there is nothing in it, but perhaps between the two
		s.Upper.Key.Kind() == codec.Blob { // whose bytes are the caller's, as those of keys before it
		return nil, here, there
	}
	if s.Desc {
		return &c.edges.back, s.Upper.Key, s.Lower.Key
	}
	return &c.edges.front, s.Lower.Key, s.Upper.Key
}

// answer returns the page that the scan would, if that is known.
func (e *edge) answer(here, there codec.Value) (page []driver.Row, ok bool) {
	switch {
	case !e.known || !codec.Equal(e.bound, here):
		return nil, false
	case e.empty:
		return nil, codec.Equal(e.key, there)
	}
	return []driver.Row{{Key: e.key}}, between(there, e.key, here)
}

// learn remembers the page that the scan has returned.
func (e *edge) learn(page []driver.Row, here, there codec.Value) {
	switch {
	case len(page) == 0:
		*e = edge{known: true, empty: true, key: there, bound: here}
	case !page[0].ForeignKey:
		*e = edge{known: true, key: page[0].Key, bound: here}
	}
}

// absent reports whether it is known that there is no row of a key.
func (es *edges) absent(key codec.Value) bool {
	return es.front.beyond(key) || es.back.beyond(key)
}

func (e *edge) beyond(key codec.Value) bool { return e.known && between(e.key, key, e.bound) }

// between reports whether key is between a and b, of which either may be the
// greater.
func between(a, key, b codec.Value) bool {
	i, j := codec.Compare(a, key), codec.Compare(key, b)
	return i != 0 && i == j
}

// inserted is told the key of each new row, and reports whether it is beyond
// what was an edge.
func (es *edges) inserted(key codec.Value) (beyond bool) {
	for _, e := range [...]*edge{&es.front, &es.back} {
		if e.beyond(key) {
			e.key, e.empty = key, false
			beyond = true
		}
	}
	return beyond
}

// deleted is told the key of each row that goes.
func (es *edges) deleted(key codec.Value) {
	for _, e := range [...]*edge{&es.front, &es.back} {
		if !e.empty && codec.Equal(e.key, key) {
			e.known = false
		}
	}
}

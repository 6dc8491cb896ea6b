package sqlite

import (
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// recalled is the row that a transaction has read last, for the write of the
// same key that comes next: an Incr, an Add, a Pop look it up once. It counts
// as long as the transaction has changed nothing, not even by a trigger.
type recalled struct {
	c       *collection // nil if there is none
	key     codec.Value
	row     found
	changes int64
}

// remember keeps what a lookup has read from the database, where r has the
// expiry that is stored there. exists also holds for a row that has expired.
func (t *tx) remember(c *collection, key codec.Value, r *driver.Row, exists bool) {
	f := found{exists: exists}
	if exists {
		f = found{id: r.ID, expire: r.Expire, file: r.File, tagged: !r.Tag.IsNull(), exists: true}
	}
	if key.Kind() == codec.Blob {
		key = key.Clone() // the caller may use the bytes again
	}
	t.last = recalled{c, key, f, t.conn.TotalChanges()}
}

// recall returns what find would.
func (t *tx) recall(c *collection, key codec.Value) (found, bool) {
	l := &t.last
	ok := l.c == c && l.changes == t.conn.TotalChanges() && codec.Equal(l.key, key)
	return l.row, ok
}

package sqlite

import (
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// recalled is the row that a transaction has read last, for the write of the
// same row that comes next: an Incr, an Add, a Pop, a Pull look it up once. It
// counts as long as the transaction has changed nothing, not even by a trigger.
type recalled struct {
	c       *collection // nil if there is none
	row     driver.Row  // without its value; only the key, if there is none
	exists  bool
	changes int64
}

// remember keeps what a lookup or a scan has read from the database, where r has
// the expiry that is stored there. exists also holds for a row that has expired.
func (t *tx) remember(c *collection, key codec.Value, r *driver.Row, exists bool) {
	if key.Kind() == codec.Blob {
		key = key.Clone() // the caller may use the bytes again
	}
	t.last = recalled{c, *r, exists, t.conn.TotalChanges()}
	l := &t.last.row
	l.Key, l.Value = key, codec.Value{}
	if l.Tag.Kind() == codec.Blob {
		l.Tag = l.Tag.Clone()
	}
}

// recall returns what find would.
func (t *tx) recall(c *collection, key codec.Value) (f found, ok bool) {
	l := &t.last
	if l.c != c || l.changes != t.conn.TotalChanges() || !codec.Equal(l.row.Key, key) {
		return f, false
	}
	if l.exists {
		f = found{id: l.row.ID, expire: l.row.Expire, stored: l.row.Stored, file: l.row.File, tagged: !l.row.Tag.IsNull(), exists: true}
	}
	return f, true
}

// recallID returns the row with an ID.
func (t *tx) recallID(c *collection, id int64) (r driver.Row, ok bool) {
	l := &t.last
	ok = l.c == c && l.changes == t.conn.TotalChanges() && l.exists && l.row.ID == id
	return l.row, ok
}

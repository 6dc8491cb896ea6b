package sqlite

import (
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/codec"
)

// nearWrites is what a transaction means for the near caches of all processes. Methods of a tx that
// change rows note it; nearCache.begin, ended and keepWritten read it around the COMMIT.
type nearWrites struct {
	hashes  []uint64 // of keys that it has changed
	all     bool     // it has changed any number of keys, or settings
	entries []byte   // of rows that it has written
	steps   []step
}

// step says that what is known of a key is an entry, or nothing.
type step struct {
	hash     uint64
	from, to int // in entries
	stamp    near.Stamp
	ok       bool // there is a stamp
}

// maxEntries bounds the bytes of rows that are kept when a transaction commits.
const maxEntries = 1 << 20

// reset forgets what the last transaction has changed.
func (nw *nearWrites) reset() {
	nw.hashes, nw.steps, nw.entries, nw.all = nw.hashes[:0], nw.steps[:0], nw.entries[:0], false
}

// has reports whether the transaction may have changed the row of a key with a
// hash. Where it has changed many it does not look.
func (nw *nearWrites) has(hash uint64) bool {
	return nw.all || len(nw.hashes) > 16 || slices.Contains(nw.hashes, hash)
}

// changedAll notes that the transaction changes what no key's version tells.
func (t *tx) changedAll() { t.nearWrites.all = true }

// changedRow notes that the transaction changes the row of a key. What its row
// is then is not known. A Null key is that of a row which no Get returns.
func (t *tx) changedRow(c *collection, key codec.Value) {
	if t.core.near.hasTable() && !key.IsNull() {
		t.changedHash(near.Hash(c.id, key))
	}
}

// changedHash is changedRow for a key whose hash is known.
func (t *tx) changedHash(hash uint64) {
	nw := &t.nearWrites
	if !t.core.near.hasTable() || nw.all {
		return
	}
	if len(nw.hashes) == near.MaxMarked {
		nw.all = true
		return
	}
	nw.hashes = append(nw.hashes, hash)
	nw.steps = append(nw.steps, step{hash: hash})
}

// wrote notes the row that a key with a hash has now; nil: it has none.
func (t *tx) wrote(c *collection, key codec.Value, hash uint64, row *driver.Row) {
	n := &t.core.near
	if !n.hasTable() {
		return
	}
	t.changedHash(hash)
	nw := &t.nearWrites
	if nw.all || !n.answers() || len(nw.entries) > maxEntries {
		return
	}
	from := len(nw.entries)
	nw.entries = near.Append(nw.entries, hash, c.id, key, row)
	s := &nw.steps[len(nw.steps)-1]
	s.from, s.to = from, len(nw.entries)
}

// wrotePut is wrote for a row that was put. The row is what a Get would find.
func (t *tx) wrotePut(c *collection, p *driver.Put, id int64, hash uint64) {
	if !t.core.near.hasTable() {
		return
	}
	if p.File != nil || p.Expire < 0 {
		t.changedHash(hash)
		return
	}
	t.wrote(c, p.Key, hash, &driver.Row{
		ID: id, Value: p.Value, Stored: p.Now, Expire: p.Expire, Accessed: p.Now, Tag: p.Tag,
	})
}

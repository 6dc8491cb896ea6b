package memory

import (
	"cmp"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// table is a collection's part of a state.
type table struct {
	id                   int64 // never used again, unlike the name
	name                 string
	keyCodec, valueCodec string
	settings             driver.Settings
	stats                driver.Stats

	// version grows with every change that a watcher wants to hear of. What
	// reads leave behind is none: whoever looks, waits and looks again would
	// wake himself for ever.
	version int64

	keys, ids tree
	expiries  tree // only rows that expire
	count     int64
	volume    int64
}

// row is a stored row. It does not change: an update stores another one.
type row struct {
	driver.Row
	life *life
}

// life is the time between two Puts of a row. Its address tells whether a row
// that was read is still there; an ID can be used again.
type life struct{ _ byte }

func newTable(id int64, name string) *table {
	return (&table{id: id, name: name}).emptied()
}

// emptied makes t, which is not published yet, a table without rows.
func (t *table) emptied() *table {
	t.keys, t.ids, t.expiries = tree{order: byKey}, tree{order: byID}, tree{order: byExpire}
	t.count, t.volume = 0, 0
	t.version++
	return t
}

func byKey(a, b *row) int {
	return cmp.Or(codec.Compare(a.Key, b.Key), compareBool(b.ForeignKey, a.ForeignKey))
}

func byID(a, b *row) int { return cmp.Compare(a.ID, b.ID) }

func byExpire(a, b *row) int {
	return cmp.Or(cmp.Compare(a.Expire, b.Expire), byID(a, b))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return +1
}

func (t *table) clone() *table {
	c := *t
	return &c
}

func (t *table) versionOf() int64 {
	if t == nil {
		return 0
	}
	return t.version
}

// over reports whether the time of a row is over at now.
func (t *table) over(r *row, now driver.Instant) bool {
	return t.settings.Over(r.Stored, r.Expire, now)
}

func (t *table) byKey(key codec.Value) *row {
	return t.keys.find(&row{Row: driver.Row{Key: key}})
}

func (t *table) byID(id int64) *row {
	return t.ids.find(&row{Row: driver.Row{ID: id}})
}

// nextID returns the ID of a new row of t: one more than the largest, as SQLite
// does it.
func (x *tx) nextID(t *table) int64 {
	if x.store.options.sparse {
		return x.store.data.sequence.Add(3)
	}
	if r := t.ids.last(); r != nil {
		return r.ID + 1
	}
	return 1
}

// store puts r in the place of old, which is nil for a new row.
func (t *table) store(old, r *row) {
	if old != nil {
		t.remove(old)
	}
	t.keys, t.ids = t.keys.with(r), t.ids.with(r)
	if r.Expire != 0 {
		t.expiries = t.expiries.with(r)
	}
	t.count++
	t.volume += r.volume()
	t.version++
}

func (t *table) remove(r *row) {
	t.keys, t.ids = t.keys.without(r), t.ids.without(r)
	if r.Expire != 0 {
		t.expiries = t.expiries.without(r)
	}
	t.count--
	t.volume -= r.volume()
	t.version++
}

// mark writes what a read left behind into a row.
func (t *table) mark(old *row, m mark) {
	r := *old
	r.Accesses += m.accesses
	r.Accessed = max(r.Accessed, m.accessed)
	if m.slide != 0 && r.Expire != 0 {
		r.Expire = m.slide
	}
	version := t.version
	t.store(old, &r)
	t.version = version
}

// overhead is what a row takes beside its contents.
const overhead = 64

func (r *row) volume() int64 { return size(r.Key) + r.Size + size(r.Tag) + overhead }

// size returns the bytes of an encoded value.
func size(v codec.Value) int64 {
	if k := v.Kind(); k == codec.Integer || k == codec.Real {
		return 8
	}
	return int64(v.Len())
}

// copy returns the row for a caller, sharing no memory with the store.
func (r *row) copy(bare bool) driver.Row {
	c := r.Row
	c.Key, c.Tag = c.Key.Clone(), c.Tag.Clone()
	if bare {
		c.Value = codec.Value{}
	}
	c.Value = c.Value.Clone()
	return c
}

// found is copy for a caller who has asked for key.
func (r *row) found(key codec.Value, bare bool) driver.Row {
	c := r.copy(bare)
	c.Key = key.Clone()
	return c
}

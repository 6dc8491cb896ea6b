package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
	"github.com/go-diskcache/diskcache/codec"
)

// tx is a running transaction, on the writer or, for a View, on a reader.
type tx struct {
	core  *core
	conn  *conn
	write bool
	epoch uint64

	// failed says that a statement failed, which may have rolled the
	// transaction back or left half of an operation in it: it must not commit.
	failed  bool
	failure error

	touched []*collection   // changed by this transaction
	placed  []*file         // value files that now have their final names
	trash   valuefile.Trash // what is to be removed
	dead    valuefile.Trash // that of transactions that are committed

	hardened uint64 // the epoch of the last transaction for which syncPlaced has looked at what others have committed

	configured []configured
	noted      []noted
	alerted    uint32        // topics of what other processes were told is about to be committed
	told       uint32        // topics of what was committed since other processes were last told
	flushed    []*collection // whose gathered reads this transaction writes
	changes    changes
}

var _ driver.Tx = (*tx)(nil)

func (t *tx) reset() {
	t.failed, t.failure = false, nil
	t.touched = t.touched[:0]
	clear(t.placed)
	t.placed = t.placed[:0]
	t.trash = valuefile.Trash{}
	t.configured = nil
	t.noted = t.noted[:0]
	t.flushed = t.flushed[:0]
	t.alerted = 0
	t.changes.reset()
}

// committed does what waits for the commit.
func (t *tx) committed() {
	t.dead.Add(t.trash)
	for _, f := range t.placed {
		f.Keep(&t.dead)
	}
	for _, c := range t.configured {
		c.c.settings.Store(&c.s)
	}
	for _, c := range t.flushed {
		c.reads.Written(t.core.values.Viewed())
	}
	for i := range t.noted {
		n := &t.noted[i]
		n.c.note(&n.Read)
	}
	for _, c := range t.touched {
		t.core.changes.Notify(c)
	}
	t.told |= topicsOf(t.touched)
}

// rolledBack takes back what is not in the database.
func (t *tx) rolledBack() {
	for _, c := range t.flushed {
		c.reads.Undone()
	}
	t.reset()
}

// fail marks the transaction: it cannot be committed any more.
func (t *tx) fail(err error) error {
	err = translate(err)
	if t.write && !t.failed {
		t.failed, t.failure = true, err
	}
	return err
}

// begin checks what every method has to check, has ctx interrupt its statements, and
// returns the collection behind a handle.
func (t *tx) begin(ctx context.Context, h driver.Collection, write bool) (*collection, error) {
	c, err := t.core.own(h)
	if err != nil {
		return nil, err
	}
	if err := t.use(ctx); err != nil {
		return nil, err
	}
	if !write {
		return c, nil
	}
	if !t.write {
		return nil, fmt.Errorf("transaction cannot write: %w", driver.ErrReadOnly)
	}
	if topic := c.Topic(); t.alerted&topic == 0 {
		t.alerted |= topic
		t.core.changes.Alert(topic)
	}
	if c.epoch != t.epoch {
		if err := c.refresh(t); err != nil {
			return nil, t.fail(c.explain(err))
		}
	}
	return c, nil
}

// use has ctx interrupt the statements of a method.
func (t *tx) use(ctx context.Context) error {
	if t.failed {
		return t.failure
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t.conn.ctx = ctx
	return nil
}

// changed notes that c has to be told to watchers after the commit.
func (t *tx) changed(c *collection) {
	for _, o := range t.touched {
		if o == c {
			return
		}
	}
	t.touched = append(t.touched, c)
}

// Put implements [driver.Tx].
func (t *tx) Put(ctx context.Context, h driver.Collection, p driver.Put) ([]driver.Row, error) {
	c, err := t.begin(ctx, h, true)
	if err != nil {
		return nil, err
	}
	return t.putOne(c, &p, nil)
}

// PutMany implements [driver.Tx].
func (t *tx) PutMany(ctx context.Context, h driver.Collection, ps []driver.Put) (gone []driver.Row, err error) {
	c, err := t.begin(ctx, h, true)
	if err != nil {
		return nil, err
	}
	for i := range ps {
		if gone, err = t.putOne(c, &ps[i], gone); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// putOne puts a row and makes room. It adds the rows that are gone to gone.
func (t *tx) putOne(c *collection, p *driver.Put, gone []driver.Row) ([]driver.Row, error) {
	if p.Key.IsNull() {
		return nil, errors.New("a key cannot be NULL")
	}
	s := c.settings.Load()
	if p.Expired {
		r, ok, err := t.lookup(c, p.Key, driver.Lookup{Quiet: true, Bare: true})
		if err != nil {
			return nil, t.fail(c.explain(err))
		}
		if ok && s.Over(r.Stored, r.Expire, p.Now) {
			gone = append(gone, r)
		}
	}
	if err := t.put(c, p); err != nil {
		return nil, t.fail(c.explain(err))
	}
	room := p.Room(s)
	if room <= 0 {
		return gone, nil
	}
	culled, err := t.cull(c, p.Now, room, p.Key)
	if err != nil {
		return nil, err
	}
	return append(gone, culled...), nil
}

func (t *tx) put(c *collection, p *driver.Put) error {
	if err := t.mayGrow(p); err != nil {
		return err
	}
	if p.File != nil {
		f, ok := p.File.(*file)
		if !ok || f.core != t.core {
			return errors.New("file belongs to another store")
		}
		if err := f.place(t, c); err != nil {
			return err
		}
		v := table.InFile(f.kind, f.Path(), f.Size())
		row, err := t.putStored(c, p, &v)
		if err == nil && t.core.opts.syncing() == syncLater {
			err = t.list(f, c, row)
		}
		return err
	}
	v := table.Inline(p.Value, c.id != 0)
	_, err := t.putStored(c, p, &v)
	return err
}

// putStored returns the row's number.
func (t *tx) putStored(c *collection, p *driver.Put, v *table.Value) (row int64, err error) {
	f, err := t.find(c, p.Key)
	if err != nil {
		return 0, err
	}
	t.changed(c)
	c.grew(p, v)
	if !f.Exists {
		return t.insert(c, p, v)
	}
	if f.File != "" {
		if err := t.discard(f.File); err != nil {
			return 0, err
		}
	}
	return f.ID, t.overwrite(c, p, v, f, p.Keep && !c.over(&f, p.Now))
}

func (t *tx) insert(c *collection, p *driver.Put, v *table.Value) (row int64, err error) {
	s, err := t.conn.stmt(c, table.Insert)
	if err != nil {
		return 0, err
	}
	s.BindValue(1, p.Key)
	s.BindReal(2, float64(p.Now))
	table.BindInstant(s, 3, p.Expire)
	s.BindValue(4, p.Tag)
	v.Bind(s, 5)
	c.expires(p.Expire)
	if err := s.Run(); err != nil {
		return 0, err
	}
	if row, err = c.inserted(t.conn.LastInsertRowID()); err != nil {
		return 0, err
	}
	if c.edges.inserted(p.Key) { // into a queue, where no reader looks for it by its key
		t.changedRow(c, p.Key)
		return row, nil
	}
	t.core.hints.Set(near.Hash(c.id, p.Key), row)
	t.wrotePut(c, p, row)
	return row, nil
}

// overwrite changes a row, and only those columns whose change costs: to
// assign the value that a column already has would rewrite its indexes.
func (t *tx) overwrite(c *collection, p *driver.Put, v *table.Value, f table.Found, keep bool) error {
	which := table.Overwrite
	switch {
	case keep:
		which = table.Replace
	case f.Expire != 0 || f.Tagged || p.Expire != 0 || !p.Tag.IsNull():
		which = table.OverwriteAll
	}
	s, err := t.conn.stmt(c, which)
	if err != nil {
		return err
	}
	s.BindInt(1, f.ID)
	s.BindReal(2, float64(p.Now))
	v.Bind(s, 3)
	if which == table.OverwriteAll {
		table.BindInstant(s, 7, p.Expire)
		s.BindValue(8, p.Tag)
		c.expires(p.Expire)
	}
	if keep { // the rest of the row is not known
		t.changedRow(c, p.Key)
	} else {
		t.wrotePut(c, p, f.ID)
	}
	return s.Run()
}

// Touch implements [driver.Tx].
func (t *tx) Touch(ctx context.Context, h driver.Collection, key codec.Value, expire, now driver.Instant) (bool, error) {
	c, err := t.begin(ctx, h, true)
	if err != nil {
		return false, err
	}
	f, err := t.find(c, key)
	if err != nil {
		return false, t.fail(c.explain(err))
	}
	if !f.Exists || c.over(&f, now) {
		return false, nil
	}
	s, err := t.conn.stmt(c, table.Touch)
	if err != nil {
		return false, t.fail(err)
	}
	s.BindInt(1, f.ID)
	table.BindInstant(s, 2, expire)
	if err := s.Run(); err != nil {
		return false, t.fail(err)
	}
	c.expires(expire)
	t.changed(c)
	t.changedRow(c, key)
	return true, nil
}

// Delete implements [driver.Tx].
func (t *tx) Delete(ctx context.Context, h driver.Collection, key codec.Value, now driver.Instant) (bool, error) {
	c, err := t.begin(ctx, h, true)
	if err != nil {
		return false, err
	}
	f, err := t.find(c, key)
	if err != nil {
		return false, t.fail(c.explain(err))
	}
	if !f.Exists {
		return false, nil
	}
	if err := t.deleteRow(c, f.ID, f.File); err != nil {
		return false, t.fail(err)
	}
	c.edges.deleted(key)
	t.wrote(c, key, nil)
	return !c.over(&f, now), nil
}

// deleteFound deletes a row that a scan has returned.
func (t *tx) deleteFound(c *collection, r *driver.Row) error {
	if err := t.deleteRow(c, r.ID, r.File); err != nil {
		return err
	}
	c.edges.deleted(r.Key)
	if !r.ForeignKey {
		t.changedRow(c, r.Key) // that it is gone is not worth a copy: it was not found by its key
	}
	return nil
}

// deleteRow leaves it to the caller to say whose row that was.
func (t *tx) deleteRow(c *collection, id int64, file string) error {
	if file != "" {
		if err := t.discard(file); err != nil {
			return err
		}
	}
	s, err := t.conn.stmt(c, table.Delete)
	if err != nil {
		return err
	}
	s.BindInt(1, id)
	t.changed(c)
	return s.Run()
}

// Count implements [driver.Tx].
func (t *tx) Count(ctx context.Context, h driver.Collection) (int64, error) {
	c, err := t.begin(ctx, h, false)
	if err != nil {
		return 0, err
	}
	n, ok, err := t.conn.counter(c, "count")
	if err == nil && !ok {
		err = t.conn.damaged(c, "the number of rows")
	}
	if err != nil {
		return 0, t.fail(c.explain(err))
	}
	return n, nil
}

// Fence implements [driver.Tx].
func (t *tx) Fence(ctx context.Context) (int64, error) {
	if !t.write {
		return 0, fmt.Errorf("transaction cannot write: %w", driver.ErrReadOnly)
	}
	if err := t.use(ctx); err != nil {
		return 0, err
	}
	n, err := t.conn.integer(fmt.Sprintf("UPDATE Meta SET value = value + 1"+
		" WHERE key = 'fence' AND typeof(value) = 'integer' AND value BETWEEN 0 AND %d RETURNING value", int64(fenceLimit-2)))
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: the counter of fences is none any more: run Check with Mend", driver.ErrCorrupt)
	}
	if err != nil {
		return 0, t.fail(err)
	}
	return n, nil
}

// Alive implements [driver.Tx].
func (t *tx) Alive(ctx context.Context, session string) (bool, error) {
	if err := t.use(ctx); err != nil {
		return false, err
	}
	return t.core.alive(session)
}

// fenceLimit is more than any fence.
const fenceLimit = 1 << 43

package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
)

// tx is a running transaction, on the writer or, for a View, on a reader.
type tx struct {
	core       *core
	conn       *conn
	write      bool
	generation uint64

	// failed says that a statement failed, which may have rolled the
	// transaction back or left half of an operation in it: it must not commit.
	failed  bool
	failure error

	touched []*collection   // changed by this transaction
	placed  []*file         // value files that now have their final names
	trash   valuefile.Trash // what is to be removed
	dead    valuefile.Trash // that of transactions that are committed

	hardened uint64 // the generation of the last transaction for which syncPlaced has looked at what others have committed

	configured []configured
	ownReads   []txRead
	alerted    uint32        // topics of which other processes were alerted
	toSignal   uint32        // topics of what was committed since other processes were last signalled
	flushed    []*collection // whose gathered reads this transaction writes
	counted    []counted     // reads of its own that it has written

	expired, evicted int64 // rows that it has removed
	nearWrites       nearWrites
}

var _ driver.Tx = (*tx)(nil)

// reset forgets the last transaction. The writer has one tx for all.
func (t *tx) reset() {
	t.failed, t.failure = false, nil
	t.touched = t.touched[:0]
	clear(t.placed)
	t.placed = t.placed[:0]
	t.trash = valuefile.Trash{}
	t.configured = nil
	t.ownReads = t.ownReads[:0]
	t.flushed = t.flushed[:0]
	t.counted = t.counted[:0]
	t.expired, t.evicted = 0, 0
	t.alerted = 0
	t.nearWrites.reset()
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
	for i := range t.counted {
		n := &t.counted[i]
		n.c.reads.Counted(n.hits, n.misses)
	}
	for i := range t.ownReads {
		n := &t.ownReads[i]
		n.c.gather(&n.Read)
	}
	if t.expired != 0 || t.evicted != 0 {
		t.core.counters.expired.Add(t.expired)
		t.core.counters.evicted.Add(t.evicted)
	}
	for _, c := range t.touched {
		t.core.watchers.Notify(c)
	}
	t.toSignal |= topicsOf(t.touched)
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

// admit checks what every method has to check, has ctx interrupt its statements, and
// returns the collection behind a handle.
func (t *tx) admit(ctx context.Context, h driver.Collection, write bool) (*collection, error) {
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
		t.core.watchers.Alert(topic)
	}
	if c.generation != t.generation {
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

// touch notes that c has to be told to watchers after the commit.
func (t *tx) touch(c *collection) {
	if !slices.Contains(t.touched, c) {
		t.touched = append(t.touched, c)
	}
}

// Count implements [driver.Tx].
func (t *tx) Count(ctx context.Context, h driver.Collection) (int64, error) {
	c, err := t.admit(ctx, h, false)
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

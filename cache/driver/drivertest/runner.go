package drivertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// callPatience bounds each operation of a random program.
const callPatience = time.Minute

// programSettings are those that a program starts with.
var programSettings = driver.Settings{
	Policy: driver.LeastFrequentlyUsed, SizeLimit: tooLarge, CullLimit: 10, MinFileSize: 32 << 10, Statistics: true,
}

// runner does operations on one store.
type runner struct {
	name    string
	handles []driver.Store
	opened  [][]driver.Collection // by handle
	inline  bool                  // no values are put in files: one of the sides has none
	fence   int64                 // the highest of a transaction that was committed
}

// outcome is all that can be seen of an operation.
type outcome struct {
	Err     string
	Found   bool
	Rows    []driver.Row
	Content []string
	Number  int64
	Stats   driver.Stats
	Names   []string
	Inner   []outcome
}

func newRunner(name string, handles []driver.Store) (*runner, error) {
	r := &runner{name: name, handles: handles, opened: make([][]driver.Collection, len(handles))}
	for i := range handles {
		r.opened[i] = make([]driver.Collection, len(collections))
		for c := range collections {
			if err := r.open(i, c); err != nil {
				return nil, err
			}
		}
	}
	// The default collection of a new store may have settings already.
	for c := range collections {
		_, err := handles[0].Configure(context.Background(), r.opened[0][c], func(s *driver.Settings) { *s = programSettings })
		if err != nil {
			return nil, err
		}
	}
	return r, (&call{runner: r, ctx: context.Background()}).settleAll()
}

func (r *runner) open(handle, collection int) (err error) {
	spec := driver.Spec{KeyCodec: "key", ValueCodec: "value", Settings: programSettings}
	r.opened[handle][collection], err = r.handles[handle].Open(context.Background(), collections[collection], spec)
	return err
}

func (r *runner) close(t testing.TB) {
	t.Helper()
	for i, s := range r.handles {
		if i == 0 {
			checkStore(t, s)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", r.name, err)
		}
	}
}

// call is what one operation works with.
type call struct {
	*runner
	ctx    context.Context
	handle int
	store  driver.Store
	files  map[*op]driver.File
	given  int64 // the highest fence that was committed or is the transaction's

	// blurred says that the rows' accesses and expiries are not compared:
	// reads are batched, and how soon they show is up to the engine.
	blurred bool
	// unread says that value files are not read: they may be gone already.
	unread bool
}

func (r *runner) do(o op) (out outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	c := &call{runner: r, ctx: ctx, handle: o.handle % len(r.handles), files: make(map[*op]driver.File)}
	c.store = r.handles[c.handle]
	defer func() {
		for _, f := range c.files {
			f.Discard()
		}
	}()
	if err := c.do(&o, &out); err != nil {
		out = outcome{Err: class(err), Inner: out.Inner}
	}
	return out
}

// collection returns the one that o is about.
func (c *call) collection(o *op) driver.Collection { return c.opened[c.handle][o.collection] }

func (c *call) do(o *op, out *outcome) (err error) {
	switch o.kind {
	case opUpdate:
		err = c.update(o, out)
		return errors.Join(err, c.settle())
	case opView:
		c.blurred = true
		err = c.store.View(c.ctx, func(tx driver.Tx) error { return c.all(tx, o.ops, out) })
		return errors.Join(err, c.settle())
	case opSnapshot:
		return c.snapshot(o, out)
	case opLookups:
		c.blurred = true
		for range o.limit {
			row, ok, err := c.store.Get(c.ctx, c.collection(o), o.key, o.lookup)
			if err != nil {
				return err
			}
			if err := c.found(o, out, row, ok); err != nil {
				return err
			}
		}
		return c.settle()
	case opStats:
		out.Stats, err = c.store.Stats(c.ctx, c.collection(o), o.reset)
		return err
	case opConfigure:
		if _, err = c.store.Configure(c.ctx, c.collection(o), func(s *driver.Settings) { *s = o.settings }); err != nil {
			return err
		}
		return c.settleAll() // other handles take notice with their next write
	case opDrop:
		if err = c.store.Drop(c.ctx, collections[o.collection]); err != nil {
			return err
		}
		for i := range c.handles {
			if err := c.open(i, o.collection); err != nil {
				return err
			}
		}
		return nil
	case opNames:
		out.Names, err = c.store.Names(c.ctx)
		return err
	}
	panic("drivertest: unknown operation")
}

// settle makes sure that rows show all that was read through this handle.
func (c *call) settle() error {
	for _, collection := range c.opened[c.handle] {
		if err := settle(c.ctx, c.store, collection); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) settleAll() error {
	for i, s := range c.handles {
		for _, collection := range c.opened[i] {
			if err := settle(c.ctx, s, collection); err != nil {
				return err
			}
		}
	}
	return nil
}

// create writes the files that ops put.
func (c *call) create(ops []op) error {
	for i := range ops {
		o := &ops[i]
		if o.kind != opPut || o.file == nil || c.inline {
			continue
		}
		f, err := filer(c.store).Create(c.ctx, o.put.Value.Kind())
		if err != nil {
			return err
		}
		c.files[o] = f
		if _, err := f.Write(o.file); err != nil {
			return err
		}
		if err := f.Finish(); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) update(o *op, out *outcome) (err error) {
	if err := c.create(o.ops); err != nil {
		return err
	}
	defer func() {
		if o.end != panics {
			return
		}
		if p := recover(); p != errRollback {
			err = fmt.Errorf("panic is %v", p)
		}
	}()
	return c.transaction(o.mode, func(tx driver.Tx) error {
		*out, c.blurred = outcome{}, false // it may be a second run
		if err := c.all(tx, o.ops, out); err != nil {
			return err
		}
		switch o.end {
		case rollsBack:
			return errRollback
		case panics:
			panic(errRollback)
		}
		return nil
	})
}

func (c *call) transaction(mode driver.Mode, fn func(tx driver.Tx) error) error {
	err := c.store.Update(c.ctx, mode, func(tx driver.Tx) error {
		c.given = c.fence
		return fn(tx)
	})
	if err == nil {
		c.fence = c.given
	}
	return err
}

// snapshot reads, lets another handle write, and reads the same again.
func (c *call) snapshot(o *op, out *outcome) error {
	w := &call{runner: c.runner, ctx: c.ctx, handle: (c.handle + 1) % len(c.handles), files: c.files}
	w.store = c.handles[w.handle]
	if err := w.create(o.then); err != nil {
		return err
	}
	c.blurred = true
	err := c.store.View(c.ctx, func(tx driver.Tx) error {
		if err := c.all(tx, o.ops, out); err != nil {
			return err
		}
		err := w.transaction(driver.Alone, func(tx driver.Tx) error { return w.all(tx, o.then, out) })
		if err != nil {
			return err
		}
		c.unread = true
		return c.all(tx, o.ops, out)
	})
	return errors.Join(err, c.settleAll())
}

func (c *call) all(tx driver.Tx, ops []op, out *outcome) error {
	for i := range ops {
		var inner outcome
		err := c.inside(tx, &ops[i], &inner)
		out.Inner = append(out.Inner, inner)
		if err != nil {
			return err
		}
	}
	return nil
}

// inside does one operation of a transaction.
func (c *call) inside(tx driver.Tx, o *op, out *outcome) (err error) {
	collection := c.collection(o)
	switch o.kind {
	case opPut:
		p := o.put
		if f := c.files[o]; f != nil {
			p.File = f
		}
		out.Rows, err = tx.Put(c.ctx, collection, p)
		out.Rows = c.comparable(out.Rows, p.Expired)
		return err
	case opPutMany:
		out.Rows, err = tx.PutMany(c.ctx, collection, o.puts)
		out.Rows = c.comparable(out.Rows, slices.ContainsFunc(o.puts, func(p driver.Put) bool { return p.Expired }))
		return err
	case opGetMany:
		out.Rows, err = tx.GetMany(c.ctx, collection, o.keys, o.lookup)
		out.Rows = c.comparable(out.Rows, true)
		c.blurred = c.blurred || !o.lookup.Quiet
		return err
	case opGet:
		row, ok, err := tx.Get(c.ctx, collection, o.key, o.lookup)
		if err != nil {
			return err
		}
		c.blurred = c.blurred || !o.lookup.Quiet
		return c.found(o, out, row, ok)
	case opTouch:
		out.Found, err = tx.Touch(c.ctx, collection, o.key, o.expire, o.now)
	case opDelete:
		out.Found, err = tx.Delete(c.ctx, collection, o.key, o.now)
	case opScan:
		s, err := beginAt(c.ctx, tx, collection, o.scan)
		if err != nil {
			return err
		}
		if out.Rows, err = tx.Scan(c.ctx, collection, s); err != nil {
			return err
		}
	case opPages:
		out.Rows, err = scanPages(c.ctx, tx, collection, o.scan)
	}
	if o.scan.Keys {
		for i, r := range out.Rows {
			out.Rows[i] = driver.Row{Key: r.Key, ForeignKey: r.ForeignKey}
		}
	}
	switch o.kind {
	case opRemove:
		f := o.filter
		f.IDs = slices.Clone(f.IDs)
		for i := range f.IDs {
			if f.IDs[i], err = idAt(c.ctx, tx, collection, f.IDs[i]); err != nil {
				return err
			}
		}
		out.Rows, err = tx.Remove(c.ctx, collection, f, o.limit)
		slices.SortFunc(out.Rows, func(a, b driver.Row) int { return cmp.Compare(a.ID, b.ID) })
	case opCull:
		out.Rows, err = tx.Cull(c.ctx, collection, o.now, o.limit, o.key)
		if err == nil {
			out.Rows = c.comparable(out.Rows, false) // every access is counted
			return nil
		}
	case opCount:
		out.Number, err = tx.Count(c.ctx, collection)
	case opFence:
		n, err := tx.Fence(c.ctx)
		if err == nil && (n <= c.given || n >= 1<<43) {
			err = fmt.Errorf("fence is %d after %d", n, c.given)
		}
		c.given = n
		return err
	case opIncrement:
		out.Number, err = incrementOrStart(c.ctx, tx, collection, o)
	}
	out.Rows = c.comparable(out.Rows, c.blurred)
	return err
}

func scanPages(ctx context.Context, tx driver.Tx, c driver.Collection, s driver.Scan) ([]driver.Row, error) {
	var all []driver.Row
	for range manyPages {
		page, err := tx.Scan(ctx, c, s)
		all = append(all, page...)
		if err != nil || len(page) < s.Limit {
			return all, err
		}
		s.After = &page[len(page)-1]
	}
	return all, errors.New("the scan does not come to an end")
}

func incrementOrStart(ctx context.Context, tx driver.Tx, c driver.Collection, o *op) (int64, error) {
	r, ok, err := tx.Get(ctx, c, o.key, driver.Lookup{Now: o.now, Quiet: true})
	if err != nil {
		return 0, err
	}
	n := r.Value.Integer() + 1
	return n, errOf(tx.Put(ctx, c, driver.Put{Key: o.key, Value: codec.IntegerValue(n), Keep: ok, Now: o.now}))
}

// found notes the result of a Get, with the content of a value file.
func (c *call) found(o *op, out *outcome, row driver.Row, ok bool) error {
	out.Found = ok
	if !ok {
		return nil
	}
	if codec.Equal(row.Key, o.key) {
		row.Key = o.key // 1 or 1.0: Get may return the key that it was given
	}
	if row.File != "" && !c.unread {
		f, err := filer(c.store).OpenFile(c.ctx, c.collection(o), row)
		if err != nil {
			return err
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		out.Content = append(out.Content, string(b))
	}
	out.Rows = append(out.Rows, c.comparable([]driver.Row{row}, c.blurred)...)
	return nil
}

// comparable removes from rows what the contract leaves open.
func (c *call) comparable(rows []driver.Row, blurred bool) []driver.Row {
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		r := &rows[i]
		if r.File != "" {
			r.File = "a file"
		}
		if blurred {
			r.Accesses, r.Accessed = 0, 0
		}
		if blurred && r.Expire != 0 {
			r.Expire = now
		}
	}
	return rows
}

// class returns what callers can tell of an error.
func class(err error) string {
	for _, sentinel := range []error{
		driver.ErrClosed, driver.ErrTimeout, driver.ErrReadOnly, driver.ErrFull, driver.ErrCorrupt, driver.ErrCodecMismatch,
		driver.ErrTooLarge, errRollback, context.DeadlineExceeded,
	} {
		if errors.Is(err, sentinel) {
			return sentinel.Error()
		}
	}
	return "error: " + err.Error()
}

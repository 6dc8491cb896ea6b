package memory

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

var (
	errEnded      = errors.New("memory: the transaction has ended")
	errNullKey    = errors.New("memory: the key is Null")
	errNoFile     = errors.New("memory: the file is not finished, discarded, already put or of another store")
	errForeign    = errors.New("memory: the collection was not opened by this store")
	errBadKind    = errors.New("memory: a file is a text or a blob")
	errUndeclared = errors.New("memory: the transaction uses a collection that Update was not told of")
	errNoPolicy   = errors.New("memory: unknown eviction policy")
)

// tx is a running transaction.
type tx struct {
	store    *Store
	state    *state // own, if writable
	writable bool
	declared []driver.Collection // if not nil, what may be used
	ended    bool

	counted      driver.Metrics
	taken        []*file  // put by this transaction
	unreferenced []string // names of files whose rows are gone
}

// table returns the table to read c from.
func (x *tx) table(ctx context.Context, c driver.Collection) (*table, error) {
	if x.ended {
		return nil, errEnded
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	own, err := x.store.own(c)
	if err != nil {
		return nil, err
	}
	if x.declared != nil && !slices.Contains(x.declared, c) {
		return nil, errUndeclared
	}
	t := x.state.find(own)
	if t == nil {
		return nil, driver.ErrClosed
	}
	return t, nil
}

// change returns a copy of c's table that may be changed.
func (x *tx) change(ctx context.Context, c driver.Collection) (*table, error) {
	t, err := x.table(ctx, c)
	if err != nil {
		return nil, err
	}
	if !x.writable {
		return nil, driver.ErrReadOnly
	}
	t = t.clone()
	x.state.tables[t.name] = t
	return t, nil
}

func (x *tx) Get(ctx context.Context, c driver.Collection, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	t, err := x.table(ctx, c)
	if err != nil {
		return driver.Row{}, false, err
	}
	r := t.byKey(key)
	if r != nil && t.over(r, l.Instant()) {
		r = nil
	}
	x.leave(t, r, l)
	if r == nil {
		return driver.Row{}, false, nil
	}
	return r.found(key, l.Bare), true, nil
}

// leave notes that a Get found r in t, or nothing. In a transaction that
// writes it is part of it, so that a run that is rolled back does not count.
func (x *tx) leave(t *table, r *row, l driver.Lookup) {
	if x.store.options.ReadOnly {
		return
	}
	if !x.writable {
		x.store.data.mu.Lock()
		defer x.store.data.mu.Unlock()
		x.store.data.marks.add(t, r, l)
		countRead(&x.store.counted, t, r, l)
		return
	}
	countRead(&x.counted, t, r, l)
	var m marks
	m.add(t, r, l)
	m.apply(x.state)
}

func (x *tx) GetMany(ctx context.Context, c driver.Collection, keys []codec.Value, l driver.Lookup) ([]driver.Row, error) {
	return driver.GetEach(ctx, x, c, keys, l)
}

func (x *tx) PutMany(ctx context.Context, c driver.Collection, ps []driver.Put) ([]driver.Row, error) {
	return driver.PutEach(ctx, x, c, ps)
}

func (x *tx) Put(ctx context.Context, c driver.Collection, p driver.Put) (out []driver.Row, err error) {
	t, err := x.change(ctx, c)
	if err != nil {
		return nil, err
	}
	if p.Key.IsNull() {
		return nil, errNullKey
	}
	old := t.byKey(p.Key)
	if p.Expired && old != nil && t.over(old, p.Now) {
		out = append(out, old.found(p.Key, true))
	}
	r := &row{life: new(life), Row: driver.Row{
		Stored:   p.Now,
		Accessed: p.Now,
		Expire:   p.Expire,
		Tag:      p.Tag.Clone(),
	}}
	switch {
	case old == nil:
		r.ID, r.Key = x.nextID(t), p.Key.Clone()
	default:
		r.ID, r.Key = old.ID, old.Key
		if p.Keep && !t.over(old, p.Now) {
			r.life = old.life
			r.Expire, r.Tag = old.Expire, old.Tag
			r.Accesses, r.Accessed = old.Accesses, old.Accessed
		}
	}
	if p.File == nil {
		r.Value, r.Size = p.Value.Clone(), size(p.Value)
	} else {
		f, ok := p.File.(*file)
		if !ok || !f.ready(x.store.data) || slices.Contains(x.taken, f) {
			return nil, errNoFile
		}
		x.taken = append(x.taken, f)
		r.File, r.FileKind, r.Size = f.name, f.kind, f.Size()
	}
	x.unreference(old)
	t.store(old, r)
	room := p.Room(&t.settings)
	if room <= 0 {
		return out, nil
	}
	culled, err := x.Cull(ctx, c, p.Now, room, p.Key)
	return append(out, culled...), err
}

func (x *tx) Touch(ctx context.Context, c driver.Collection, key codec.Value, expire, now driver.Instant) (bool, error) {
	t, err := x.change(ctx, c)
	if err != nil {
		return false, err
	}
	old := t.byKey(key)
	if old == nil || t.over(old, now) {
		return false, nil
	}
	r := *old
	r.Expire = expire
	t.store(old, &r)
	return true, nil
}

func (x *tx) Delete(ctx context.Context, c driver.Collection, key codec.Value, now driver.Instant) (bool, error) {
	t, err := x.change(ctx, c)
	if err != nil {
		return false, err
	}
	r := t.byKey(key)
	if r == nil {
		return false, nil
	}
	x.remove(t, r)
	return !t.over(r, now), nil
}

func (x *tx) Remove(ctx context.Context, c driver.Collection, f driver.Filter, limit int) ([]driver.Row, error) {
	t, err := x.change(ctx, c)
	if err != nil {
		return nil, err
	}
	var chosen []*row
	choose := func(r *row) bool {
		if len(chosen) >= limit {
			return false
		}
		if f.Expired != 0 && !r.Expired(f.Expired) || !f.Tag.IsNull() && !codec.Equal(f.Tag, r.Tag) {
			return true
		}
		chosen = append(chosen, r)
		return true
	}
	switch {
	case f.IDs != nil:
		for _, id := range slices.Compact(slices.Sorted(slices.Values(f.IDs))) {
			if r := t.byID(id); r != nil && !choose(r) {
				break
			}
		}
	case f.Expired != 0:
		t.expiries.all(choose)
	default:
		t.ids.all(choose)
	}
	removed := x.removeAll(t, chosen)
	if f.Expired != 0 {
		x.counted.Expired += int64(len(removed))
	}
	return removed, nil
}

func (x *tx) Cull(ctx context.Context, c driver.Collection, now driver.Instant, limit int, keep codec.Value) ([]driver.Row, error) {
	if x.writable && !x.ended {
		x.store.data.absorb(x.state)
	}
	t, err := x.change(ctx, c)
	if err != nil {
		return nil, err
	}
	spared := func(r *row) bool { return !keep.IsNull() && codec.Equal(r.Key, keep) }

	var expired []*row
	t.expiries.all(func(r *row) bool {
		if len(expired) >= limit || !r.Expired(now) {
			return false
		}
		if !spared(r) {
			expired = append(expired, r)
		}
		return true
	})
	culled := x.removeAll(t, expired)
	x.counted.Expired += int64(len(culled))

	over := func() bool { return len(culled) < limit && t.volume > t.settings.SizeLimit }
	if first := evictionOrder(t.settings.Policy); first != nil && over() {
		var rows []*row
		t.ids.all(func(r *row) bool {
			rows = append(rows, r)
			return true
		})
		slices.SortFunc(rows, first)
		for _, r := range rows {
			if !over() {
				break
			}
			if !spared(r) {
				x.counted.Evicted++
				culled = append(culled, x.removeAll(t, []*row{r})...)
			}
		}
	}
	return culled, nil
}

// evictionOrder returns which of two rows a policy evicts first, or nil if it
// evicts none.
func evictionOrder(p driver.Policy) order {
	switch p {
	case driver.LeastRecentlyStored:
		return func(a, b *row) int { return cmp.Or(cmp.Compare(a.Stored, b.Stored), byID(a, b)) }
	case driver.LeastRecentlyUsed:
		return func(a, b *row) int { return cmp.Or(cmp.Compare(a.Accessed, b.Accessed), byID(a, b)) }
	case driver.LeastFrequentlyUsed:
		return func(a, b *row) int { return cmp.Or(cmp.Compare(a.Accesses, b.Accesses), byID(a, b)) }
	}
	return nil
}

func (x *tx) Count(ctx context.Context, c driver.Collection) (int64, error) {
	t, err := x.table(ctx, c)
	if err != nil {
		return 0, err
	}
	return t.count, nil
}

func (x *tx) Fence(ctx context.Context) (int64, error) {
	switch {
	case x.ended:
		return 0, errEnded
	case !x.writable:
		return 0, driver.ErrReadOnly
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	}
	x.state.fence++
	if x.store.options.sparse {
		x.state.fence = x.store.data.sequence.Add(3)
	}
	return x.state.fence, nil
}

func (x *tx) Alive(ctx context.Context, session string) (bool, error) {
	switch {
	case x.ended:
		return false, errEnded
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	}
	return x.store.data.alive(session), nil
}

func (x *tx) removeAll(t *table, rows []*row) []driver.Row {
	removed := make([]driver.Row, len(rows))
	for i, r := range rows {
		x.remove(t, r)
		removed[i] = r.copy(true)
	}
	return removed
}

func (x *tx) remove(t *table, r *row) {
	x.unreference(r)
	t.remove(r)
}

// unreference notes that the file of r, if it has one, goes with the commit.
func (x *tx) unreference(r *row) {
	if r != nil && r.File != "" {
		x.unreferenced = append(x.unreferenced, r.File)
	}
}

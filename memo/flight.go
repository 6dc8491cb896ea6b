package memo

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/clock"
	"github.com/go-diskcache/diskcache/cache/family"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// flight is a computation of this process, and the callers who wait for it.
type flight[R any] struct {
	ctx    context.Context // ends when the last caller has left
	cancel context.CancelFunc
	done   chan struct{} // closed when v and err are set
	v      R
	err    error

	waiters int // guarded by Memo.mu

	beginning sync.Mutex // held while began is found out; before mu
	mu        sync.Mutex
	guard     *dsync.Guard // once it is held
	began     int64        // number of the last of removals before that
}

// begin notes that the process holds the lock of the argument with a guard, and is
// about to look at what is remembered and then to call the function.
func (f *flight[R]) begin(g *dsync.Guard, last func() (int64, error)) error {
	f.beginning.Lock() // a caller who comes after a removal must not join in between
	defer f.beginning.Unlock()
	n, err := last()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.guard, f.began = g, n
	return err
}

// started reports whether the function was called, or will be at any moment.
func (f *flight[R]) started() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.guard != nil
}

// valid reports whether what f computes cannot have been forgotten, cleared or
// evicted, by any process.
func (m *Memo[A, R]) valid(ctx context.Context, f *flight[R]) bool {
	f.beginning.Lock()
	f.mu.Lock()
	g, began := f.guard, f.began
	f.mu.Unlock()
	f.beginning.Unlock()
	if g == nil {
		return true
	}
	fresh := true
	err := m.st.View(ctx, func(tx *cache.Tx) error {
		r, err := m.kept.removals.in(tx).get(ctx)
		if err == nil {
			fresh = r.Last <= began
			err = g.Check(tx)
		}
		return err
	})
	return fresh && !errors.Is(err, dsync.ErrLost) && !errors.Is(err, dsync.ErrNotHeld)
}

// miss waits for a computation. Unless it is forced, that may be one of other callers.
func (m *Memo[A, R]) miss(ctx context.Context, op string, arg A, force bool) (v R, err error) {
	if ctx.Err() != nil {
		return v, m.fail(op, ctx.Err())
	}
	id, err := m.id(arg)
	if err != nil {
		return v, m.fail(op, err)
	}
	if m.st.TxOf(ctx) != nil {
		return v, m.fail(op, errInTx)
	}
	if within(ctx, m, id) {
		return v, m.fail(op, ErrRecursive)
	}
	f := m.join(ctx, id, force, func() *flight[R] { return m.fly(ctx, id, arg, op, force) })
	defer m.leave(id, f)
	select {
	case <-f.done:
		return f.v, f.err
	case <-ctx.Done():
		return v, m.fail(op, family.Ended(ctx))
	case <-m.open.Done():
		return v, m.fail(op, cache.ErrClosed)
	}
}

// join returns a flight whose result was not removed, and counts the caller among those
// who wait for it. If there is none, or if forced, it is the one that start begins, with
// m.mu held.
func (m *Memo[A, R]) join(ctx context.Context, id string, force bool, start func() *flight[R]) *flight[R] {
	for {
		m.mu.Lock()
		f := m.flights[id]
		if f == nil || force {
			f = start()
			m.mu.Unlock()
			return f
		}
		f.waiters++
		m.mu.Unlock()
		if m.valid(ctx, f) {
			m.counts.coalesced.Add(1)
			return f
		}
		m.drop(id, f)
		m.leave(id, f)
	}
}

// fly starts a flight, with m.mu held.
func (m *Memo[A, R]) fly(ctx context.Context, id string, arg A, op string, force bool) *flight[R] {
	f := &flight[R]{done: make(chan struct{}), waiters: 1}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if !force {
		m.flights[id] = f
	}
	go func() {
		defer close(f.done)
		defer m.drop(id, f) // before callers are told: they may call again
		returned := false
		defer catch(&returned, &f.err) // of codecs and Options
		f.v, f.err = m.compute(f, id, arg, op, force)
		returned = true
	}()
	return f
}

// drop keeps callers from joining f.
func (m *Memo[A, R]) drop(id string, f *flight[R]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flights[id] == f {
		delete(m.flights, id)
	}
}

// leave ends the flight if its last waiter leaves.
func (m *Memo[A, R]) leave(id string, f *flight[R]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if m.flights[id] == f {
		delete(m.flights, id)
	}
	f.cancel()
}

// compute finds or makes the result, while it holds the lock of the argument.
func (m *Memo[A, R]) compute(f *flight[R], id string, arg A, op string, force bool) (v R, err error) {
	ctx := f.ctx
	l, err := m.lock(ctx, id)
	var g *dsync.Guard
	if err == nil {
		g, err = l.Lock(ctx)
	}
	if err != nil {
		return m.without(ctx, op, arg, err)
	}
	defer g.Unlock() // if that fails, the lock is released later
	err = f.begin(g, func() (int64, error) { return m.kept.removals.last(ctx) })
	if err != nil {
		return m.without(ctx, op, arg, err)
	}
	if !force {
		// Another process, or an earlier flight, may have stored it meanwhile.
		v, ok, err := m.found(ctx, arg)
		if ok {
			m.counts.coalesced.Add(1)
			return v, err
		}
		if err != nil && !storeFailed(err) {
			return v, m.fail(op, err)
		}
		m.report(ctx, op, m.fail(op, err))
	}
	// A function that does not end with its context must not keep later callers
	// waiting.
	stop := context.AfterFunc(ctx, func() { _ = g.Unlock() })
	defer stop()
	return m.call(ctx, g, f.began, id, arg, op)
}

// found returns the result or the error that is remembered.
func (m *Memo[A, R]) found(ctx context.Context, arg A) (v R, ok bool, err error) {
	e, ok, err := m.kept.results.GetEntry(ctx, arg)
	if err != nil {
		return v, false, err
	}
	if ok && m.fresh(m.st.Now().Sub(e.Stored)) {
		return e.Value, true, nil
	}
	if m.kept.errors == nil {
		return v, false, nil
	}
	msg, ok, err := m.kept.errors.Get(ctx, arg)
	if err != nil {
		return v, false, err
	}
	if ok {
		return v, true, &StoredError{msg}
	}
	return v, false, nil
}

// call calls the function and stores its result, unless g is not held any more then,
// or results like it were removed since began.
func (m *Memo[A, R]) call(ctx context.Context, g *dsync.Guard, began int64, id string, arg A, op string) (v R, err error) {
	start := m.st.Now()
	var took time.Duration
	var tag cache.TagValue
	v, failed := m.run(inside(ctx, m, id), op, func(ctx context.Context, arg A) (R, error) {
		v, err := m.fn(ctx, arg)
		took = m.st.Now().Sub(start)
		if err == nil && m.o.Tag != nil {
			tag = m.o.Tag(arg, v)
		}
		return v, err
	}, arg)
	if failed != nil {
		return m.failed(ctx, g, began, id, arg, op, failed)
	}
	if err := m.unkept(ctx, op, m.keep(ctx, made[A, R]{g, began, id, arg, v, tag, took})); err != nil {
		var zero R
		return zero, err
	}
	return v, nil
}

// made is a result that was computed, and is to be stored.
type made[A, R any] struct {
	g     *dsync.Guard
	began int64 // number of the last of removals, when the computation began
	id    string
	arg   A
	v     R
	tag   cache.TagValue // what Options.Tag made
	took  time.Duration
}

// keep stores results in one transaction, but for those of which g is not held any more
// then, or like which results were removed since they began.
func (m *Memo[A, R]) keep(ctx context.Context, all ...made[A, R]) error {
	return m.store(ctx, func(k *kept[A, R], tx *cache.Tx) error {
		for i := range all {
			r := &all[i]
			hashes := []uint8{hashID(r.id)}
			if !r.tag.IsNull() {
				hashes = append(hashes, hashTag(r.tag.Value))
			}
			ok, err := k.storable(ctx, tx, r.g, r.began, hashes...)
			if ok && err == nil {
				err = k.put(ctx, r.arg, r.v, r.took, m.options(r.tag, r.took))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// unkept returns what callers are to get where keep has failed: nil if that is the
// result, all the same.
func (m *Memo[A, R]) unkept(ctx context.Context, op string, err error) error {
	switch {
	case err == nil || ctx.Err() != nil:
	case m.o.CallOnStoreError && storeFailed(err):
		m.report(ctx, op, m.fail(op, err))
	default:
		return m.fail(op, err)
	}
	return nil
}

// options returns what a result is stored with; tag is what Options.Tag made.
func (m *Memo[A, R]) options(tag cache.TagValue, took time.Duration) []cache.Option {
	expires := cache.NoExpiry()
	if m.o.TTL > 0 {
		expires = cache.TTL(clock.Add(m.o.TTL, m.o.StaleIfError))
	}
	if m.o.Tag == nil {
		tag = cache.Tag(took.Seconds())
	}
	return []cache.Option{expires, tag}
}

// failed returns what callers get when the function has failed.
func (m *Memo[A, R]) failed(ctx context.Context, g *dsync.Guard, began int64, id string, arg A, op string, failed error) (v R, err error) {
	if m.o.StaleIfError > 0 {
		// The store removes it when it is too old.
		if e, ok, err := m.kept.results.GetEntry(ctx, arg); ok && err == nil {
			if op != background { // of which no caller gets anything
				m.counts.stale.Add(1)
			}
			m.report(ctx, op, failed)
			return e.Value, nil
		}
	}
	if m.kept.errors == nil || ctx.Err() != nil {
		return v, failed
	}
	if d := m.o.CacheError(failed); d > 0 {
		err := m.store(ctx, func(k *kept[A, R], tx *cache.Tx) error {
			ok, err := k.storable(ctx, tx, g, began, hashID(id))
			if ok && err == nil {
				err = k.errors.Set(ctx, arg, failed.Error(), cache.TTL(d))
			}
			return err
		})
		if err != nil && !storeFailed(err) && ctx.Err() == nil {
			return v, m.fail(op, err)
		}
		m.report(ctx, op, m.fail(op, err))
	}
	return v, failed
}

// store runs fn, which stores what computations have made, in a transaction.
func (m *Memo[A, R]) store(ctx context.Context, fn func(k *kept[A, R], tx *cache.Tx) error) error {
	return family.Repeat(func() error {
		return m.st.Update(ctx, func(tx *cache.Tx) error { return fn(m.kept.in(tx), tx) })
	})
}

// refresh computes the next result in the background, unless this process does.
func (m *Memo[A, R]) refresh(ctx context.Context, arg A, stored time.Time) {
	id, err := m.id(arg)
	if err != nil {
		return
	}
	m.mu.Lock()
	busy := m.refreshing[id] || m.flights[id] != nil
	if !busy {
		m.refreshing[id] = true
	}
	m.mu.Unlock()
	if busy {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(m.open, cancel)
	go func() {
		defer stop()
		defer cancel()
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.refreshing, id)
		}()
		var err error
		defer func() { m.report(ctx, background, err) }()
		returned := false
		defer catch(&returned, &err) // of codecs and Options
		err = m.renew(ctx, id, arg, stored)
		returned = true
	}()
}

// background is the operation of an [Error] that no caller gets.
const background = "background refresh"

// renew is the work of refresh. Whatever fails, the old result stays, and the
// next call that is due tries again.
func (m *Memo[A, R]) renew(ctx context.Context, id string, arg A, stored time.Time) error {
	l, err := m.lock(ctx, id)
	if err != nil {
		return m.fail(background, err)
	}
	g, ok, err := l.TryLock(ctx)
	if err != nil || !ok {
		return m.fail(background, err)
	}
	defer g.Unlock()
	e, ok, err := m.kept.results.GetEntry(ctx, arg)
	if err != nil && !damaged(err) {
		return m.fail(background, err)
	}
	if ok && !e.Stored.Equal(stored) {
		return nil // another process was quicker
	}
	began, err := m.kept.removals.last(ctx)
	if err != nil {
		return m.fail(background, err)
	}
	_, err = m.call(ctx, g, began, id, arg, background)
	return err
}

// run calls fn, which is the function or calls it, and counts.
func (m *Memo[A, R]) run(ctx context.Context, op string, fn func(context.Context, A) (R, error), arg A) (R, error) {
	m.counts.computed.Add(1)
	if op == background {
		m.counts.refreshed.Add(1)
	}
	v, err := protect(ctx, fn, arg)
	if err != nil {
		m.counts.failed.Add(1)
	}
	return v, err
}

// protect calls fn on a goroutine of its own, and makes an error of a panic or
// a Goexit.
func protect[A, R any](ctx context.Context, fn func(context.Context, A) (R, error), arg A) (v R, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer catch(&returned, &err)
		v, err = fn(ctx, arg)
		returned = true
	}()
	<-done
	return v, err
}

// catch is deferred where a panic, or a Goexit, is to become an error.
func catch(returned *bool, err *error) {
	if *returned {
		return
	}
	p := &PanicError{Value: ErrGoexit, Stack: debug.Stack()}
	if r := recover(); r != nil {
		p.Value = r
	}
	*err = p
}

// chain is the computations that a context belongs to.
type chain struct {
	memo  any
	id    string
	outer *chain
}

type chainKey struct{}

func inside(ctx context.Context, memo any, id string) context.Context {
	outer, _ := ctx.Value(chainKey{}).(*chain)
	return context.WithValue(ctx, chainKey{}, &chain{memo, id, outer})
}

// within reports whether ctx belongs to the computation of id.
func within(ctx context.Context, memo any, id string) bool {
	c, _ := ctx.Value(chainKey{}).(*chain)
	for ; c != nil; c = c.outer {
		if c.memo == memo && c.id == id {
			return true
		}
	}
	return false
}

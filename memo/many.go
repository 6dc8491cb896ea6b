package memo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
	dsync "github.com/go-diskcache/diskcache/sync"
)

// CallMany returns the results for several arguments, in their order. What is
// remembered it reads in one transaction; for what other callers are computing, in any
// process, it waits; the rest goes to Options.Batch, in one call. Each argument is still
// computed once at a time, and what was computed is remembered as that of Call is.
//
//	users, err := profiles.CallMany(ctx, 17, 42, 99)
//
// When one argument fails, the others are still computed and remembered; then
// CallMany returns the error of the first that failed, and no results. When ctx ends,
// CallMany returns with its error, and other callers go on waiting. Without
// Options.Batch it fails with cache.ErrInvalid.
func (m *Memo[A, R]) CallMany(ctx context.Context, args ...A) ([]R, error) {
	switch {
	case m.o.Batch == nil:
		return nil, m.fail(callMany, family.Invalid("CallMany needs Options.Batch"))
	case m.st.TxOf(ctx) != nil:
		return nil, m.fail(callMany, errInTx)
	case ctx.Err() != nil:
		return nil, m.fail(callMany, ctx.Err())
	}
	ids := make([]string, len(args))
	asked := make(map[string]*one[A, R], len(args))
	var all []*one[A, R] // in the order of their first argument
	for i, arg := range args {
		id, err := m.id(arg)
		if err != nil {
			return nil, m.fail(callMany, err)
		}
		if within(ctx, m, id) {
			return nil, m.fail(callMany, ErrRecursive)
		}
		ids[i] = id
		if asked[id] == nil {
			asked[id] = &one[A, R]{id: id, arg: arg}
			all = append(all, asked[id])
		}
	}
	if err := m.lookUp(ctx, all); err != nil {
		return nil, err
	}
	m.fetch(ctx, all)
	vs := make([]R, len(args))
	for i, id := range ids {
		if err := asked[id].err; err != nil {
			return nil, err
		}
		vs[i] = asked[id].v
	}
	return vs, nil
}

const callMany = "CallMany"

// one is an argument of CallMany, and what becomes of it.
type one[A, R any] struct {
	id  string
	arg A

	found bool         // it is remembered, or it failed when it was looked up
	f     *flight[R]   // which computes it, if it was not found
	guard *dsync.Guard // of that flight, in a batch; nil if the store has failed
	v     R
	err   error
}

// lookUp finds what is remembered.
func (m *Memo[A, R]) lookUp(ctx context.Context, all []*one[A, R]) error {
	entries := make([]cache.Entry[A, R], len(all))
	failed := m.st.View(ctx, func(tx *cache.Tx) error {
		k := m.kept.in(tx)
		for i, a := range all {
			a.found, a.err = false, nil // the function may run again
			e, ok, err := k.results.GetEntry(ctx, a.arg)
			switch {
			case err != nil && !damaged(err):
				return err
			case err == nil && ok && m.fresh(m.st.Now().Sub(e.Stored)):
				a.found, a.v, entries[i] = true, e.Value, e
				continue
			case k.errors == nil:
				continue
			}
			msg, ok, err := k.errors.Get(ctx, a.arg)
			if err != nil && !damaged(err) {
				return err
			}
			if a.found = ok; ok {
				a.err = &StoredError{msg}
			}
		}
		return nil
	})
	if failed != nil {
		m.counts.misses.Add(int64(len(all)))
		if ctx.Err() != nil || !m.o.CallOnStoreError || !storeFailed(failed) {
			return m.fail(callMany, failed)
		}
		m.report(ctx, callMany, m.fail(callMany, failed))
		for _, a := range all {
			a.found = false
		}
		return nil
	}
	for i, a := range all {
		if !a.found {
			m.counts.misses.Add(1)
			continue
		}
		m.counts.hits.Add(1)
		if e := &entries[i]; a.err == nil && m.due(ctx, a.arg, m.st.Now().Sub(e.Stored), e) {
			m.refresh(ctx, a.arg, e.Stored)
		}
	}
	return nil
}

// fetch waits for the computations of what was not found, and begins those that
// nobody in this process has begun.
func (m *Memo[A, R]) fetch(ctx context.Context, all []*one[A, R]) {
	b := &batch[A, R]{m: m}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, a := range all {
		if !a.found {
			a.f = m.join(ctx, a.id, false, func() *flight[R] { return b.add(a) })
			defer m.leave(a.id, a.f)
		}
	}
	if len(b.own) == 0 {
		b.cancel()
	} else {
		b.left.Store(int64(len(b.own)))
		go b.run()
	}
	for _, a := range all {
		if a.f == nil {
			continue
		}
		select {
		case <-a.f.done:
			a.v, a.err = a.f.v, a.f.err
		case <-ctx.Done():
			a.err = m.fail(callMany, family.Ended(ctx))
		case <-m.open.Done():
			a.err = m.fail(callMany, cache.ErrClosed)
		}
	}
}

// batch is the flights that CallMany has begun.
type batch[A, R any] struct {
	m      *Memo[A, R]
	ctx    context.Context // ends when the last caller has left the last flight
	cancel context.CancelFunc
	left   atomic.Int64 // flights that callers wait for
	own    []*one[A, R]
}

// add begins a flight, with Memo.mu held. Nobody computes before run.
func (b *batch[A, R]) add(a *one[A, R]) *flight[R] {
	f := &flight[R]{done: make(chan struct{}), waiters: 1}
	ctx, cancel := context.WithCancel(b.ctx)
	f.ctx = ctx
	f.cancel = func() {
		cancel()
		if b.left.Add(-1) == 0 {
			b.cancel()
		}
	}
	b.m.flights[a.id] = f
	b.own = append(b.own, &one[A, R]{id: a.id, arg: a.arg, f: f})
	return f
}

// run computes together what it can have the locks of at once. It must not wait for one
// lock while it holds another: the function that computes that one may need a result of
// this batch. So each of the others is waited for by itself.
func (b *batch[A, R]) run() {
	var together []*one[A, R]
	var failed error // of the store: then nothing is shared or stored
	for _, a := range b.own {
		if failed == nil {
			g, ok, err := b.begin(a)
			switch {
			case err != nil && a.f.ctx.Err() == nil:
				failed = err
			case err != nil || !ok:
				go b.end(a, func() (R, error) { return b.m.compute(a.f, a.id, a.arg, callMany, false) })
				continue
			}
			a.guard = g
		}
		if failed != nil {
			if !b.m.o.CallOnStoreError || !storeFailed(failed) {
				go b.end(a, func() (R, error) { return a.v, b.m.fail(callMany, failed) })
				continue
			}
			a.guard = nil
		}
		together = append(together, a)
	}
	if failed != nil {
		b.m.report(b.ctx, callMany, b.m.fail(callMany, failed))
	}
	defer func() {
		for _, a := range together {
			if a.guard != nil {
				_ = a.guard.Unlock() // if that fails, the lock is released later
			}
			b.end(a, func() (R, error) { return a.v, a.err })
		}
	}()
	returned := false
	var err error
	defer func() {
		if !returned {
			for _, a := range together {
				if !a.found {
					a.err = err
				}
			}
		}
	}()
	defer catch(&returned, &err) // of codecs and Options
	b.compute(together)
	returned = true
}

// begin takes the lock of an argument, unless another process or another flight has it.
func (b *batch[A, R]) begin(a *one[A, R]) (g *dsync.Guard, ok bool, err error) {
	ctx := a.f.ctx
	l, err := b.m.lock(ctx, a.id)
	if err == nil {
		g, ok, err = l.TryLock(ctx)
	}
	if err != nil || !ok {
		return nil, false, err
	}
	err = a.f.begin(g, func() (int64, error) { return b.m.kept.removals.last(ctx) })
	if err != nil {
		_ = g.Unlock()
	}
	return g, err == nil, err
}

// end tells the callers who wait for a flight what has become of it.
func (b *batch[A, R]) end(a *one[A, R], result func() (R, error)) {
	defer close(a.f.done)
	defer b.m.drop(a.id, a.f) // before callers are told: they may call again
	returned := false
	defer catch(&returned, &a.f.err)
	a.f.v, a.f.err = result()
	returned = true
}

// compute finds or makes results, while their locks are held.
func (b *batch[A, R]) compute(all []*one[A, R]) {
	m := b.m
	ctx := b.ctx
	var missing []*one[A, R]
	var args []A
	for _, a := range all {
		if a.guard == nil {
			missing, args = append(missing, a), append(args, a.arg)
			ctx = inside(ctx, m, a.id)
			continue
		}
		// Another process, or an earlier flight, may have stored it meanwhile.
		v, ok, err := m.found(a.f.ctx, a.arg)
		switch {
		case ok:
			m.counts.coalesced.Add(1)
			a.found, a.v, a.err = true, v, err
			continue
		case err != nil && !storeFailed(err):
			a.found, a.err = true, m.fail(callMany, err)
			continue
		}
		m.report(ctx, callMany, m.fail(callMany, err))
		missing, args = append(missing, a), append(args, a.arg)
		ctx = inside(ctx, m, a.id)
		// A function that does not end with its context must not keep later callers
		// waiting.
		stop := context.AfterFunc(a.f.ctx, func() { _ = a.guard.Unlock() })
		defer stop()
	}
	if len(missing) == 0 {
		return
	}
	n := int64(len(missing))
	m.counts.computed.Add(n)
	start := m.st.Now()
	var took time.Duration
	tags := make([]cache.TagValue, n)
	vs, err := protect(ctx, func(ctx context.Context, args []A) ([]R, error) {
		vs, err := m.o.Batch(ctx, args)
		took = m.st.Now().Sub(start) / time.Duration(n)
		if err == nil && len(vs) != len(args) {
			err = family.Invalid(fmt.Sprintf("Options.Batch returned %d results for %d arguments", len(vs), len(args)))
		}
		for i := 0; err == nil && m.o.Tag != nil && i < len(vs); i++ {
			tags[i] = m.o.Tag(args[i], vs[i])
		}
		return vs, err
	}, args)
	if err != nil {
		m.counts.failed.Add(n)
		for _, a := range missing {
			if a.err = err; a.guard != nil {
				a.v, a.err = m.failed(a.f.ctx, a.guard, a.f.began, a.id, a.arg, callMany, err)
			}
		}
		return
	}
	var stored []*one[A, R]
	var results []made[A, R]
	for i, a := range missing {
		if a.v = vs[i]; a.guard != nil {
			stored = append(stored, a)
			results = append(results, made[A, R]{a.guard, a.f.began, a.id, a.arg, vs[i], tags[i], took})
		}
	}
	failed := m.keep(b.ctx, results...)
	alone := failed != nil && (!storeFailed(failed) || errors.Is(failed, cache.ErrTooLarge)) // it is about one result
	for i, a := range stored {
		err := failed
		if alone {
			err = m.keep(a.f.ctx, results[i])
		}
		if err := m.unkept(a.f.ctx, callMany, err); err != nil {
			var zero R
			a.v, a.err = zero, err
		}
	}
}

package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// together are the transactions of several members. That of the first shard
// is begun first and committed last: whoever has it may wait for others.
type together struct {
	store *Store
	ctx   context.Context
	begun map[*member]*begun
	err   error // of an operation: nothing is to be committed
	done  int   // members that have committed something
	held  bool  // store.snapshot
}

// begun is a transaction of a member that another goroutine waits in.
type begun struct {
	member  *member
	tx      driver.Tx
	wrote   bool
	verdict chan error // what ends it
	ended   chan error // what its Update returned
}

// together runs fn in a transaction over as many members as it needs.
func (s *Store) together(ctx context.Context, fn func(driver.Tx) error) error {
	x := &together{store: s, begun: make(map[*member]*begun)}
	// While the members are committed, nothing ends their context: it would
	// be the end of some of them.
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	detach := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer detach()
	x.ctx = own
	defer x.release()
	err := s.first().store.Update(own, driver.Alone, func(dt driver.Tx) error {
		x.begun[s.first()] = &begun{member: s.first(), tx: dt}
		committed := false
		defer func() { // also if fn panics or ends its goroutine
			if !committed {
				x.rollBack()
			}
		}()
		err := fn(&tx{store: s, ctx: own, branches: x})
		switch {
		case err != nil:
			return err
		case x.err != nil:
			return x.err
		case !detach():
			return context.Cause(ctx)
		}
		err = x.commit()
		committed = err == nil
		return err
	})
	if err != nil && x.done > 0 {
		return fmt.Errorf("%w, in %d shards or collections and not in others: %w", ErrPartial, x.done, err)
	}
	return err
}

func (x *together) spread() error { return nil }

// failed makes sure that after an error, which may have left a member unable
// to commit, none does.
func (x *together) failed(err error) error {
	if x.err == nil {
		x.err = err
	}
	return err
}

// at begins the transaction of a member. It runs on a goroutine of its own,
// since it has to last until fn's end.
func (x *together) at(m *member, write bool) (driver.Tx, error) {
	if b := x.begun[m]; b != nil {
		b.wrote = b.wrote || write
		return b.tx, nil
	}
	b := &begun{member: m, wrote: write, verdict: make(chan error, 1), ended: make(chan error, 1)}
	ready := make(chan driver.Tx)
	go func() {
		b.ended <- m.store.Update(x.ctx, driver.Alone, func(dt driver.Tx) error {
			ready <- dt
			return <-b.verdict
		})
	}()
	select {
	case b.tx = <-ready:
		x.begun[m] = b
		return b.tx, nil
	case err := <-b.ended:
		return nil, x.failed(fmt.Errorf("%s: %w", m.rel, err))
	}
}

// others returns what was begun after the first, in the order of the members.
func (x *together) others() []*begun {
	var all []*begun
	for m, b := range x.begun {
		if m != x.store.first() {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b *begun) int { return strings.Compare(a.member.rel, b.member.rel) })
	return all
}

// commit commits all but the first. What has not been committed when it fails
// is still there to be rolled back.
func (x *together) commit() error {
	writers := 0
	for _, b := range x.begun {
		if b.wrote {
			writers++
		}
	}
	if writers > 1 {
		x.store.snapshot.Lock()
		x.held = true
	}
	for _, b := range x.others() {
		if x.store.committing != nil {
			x.store.committing(b.member)
		}
		if err := x.end(b, nil); err != nil {
			return fmt.Errorf("%s: %w", b.member.rel, err)
		}
		if b.wrote {
			x.done++
		}
	}
	if x.store.committing != nil {
		x.store.committing(x.store.first())
	}
	return nil
}

// end ends the transaction of a member, and returns what that came to.
func (x *together) end(b *begun, verdict error) error {
	delete(x.begun, b.member)
	b.verdict <- verdict
	return <-b.ended
}

var errRollback = errors.New("shard: rolled back")

// rollBack ends all but the first, which is rolled back by the error that its
// function returns.
func (x *together) rollBack() {
	for _, b := range x.others() {
		_ = x.end(b, errRollback)
	}
}

// release lets Views begin, when the first has been committed too.
func (x *together) release() {
	if x.held {
		x.store.snapshot.Unlock()
	}
}

// View implements [driver.Store]. It takes snapshots of all members, between
// which no transaction of this Store over several of them is committed.
func (s *Store) View(ctx context.Context, fn func(driver.Tx) error) error {
	v := make(view)
	s.snapshot.RLock()
	waiting := true
	begun := func() {
		if waiting {
			waiting = false
			s.snapshot.RUnlock()
		}
	}
	defer begun()
	if err := s.enter(ctx); err != nil {
		return err
	}
	members := s.opened()
	var begin func(i int) error
	begin = func(i int) error {
		if i == len(members) {
			begun()
			return fn(&tx{store: s, ctx: ctx, branches: v})
		}
		return members[i].store.View(ctx, func(dt driver.Tx) error {
			v[members[i]] = dt
			return begin(i + 1)
		})
	}
	return begin(0)
}

// view are snapshots.
type view map[*member]driver.Tx

func (v view) at(m *member, write bool) (driver.Tx, error) {
	dt := v[m]
	if dt == nil {
		return nil, fmt.Errorf("%s was opened after the View had begun: %w", m.rel, driver.ErrClosed)
	}
	return dt, nil
}

func (v view) spread() error          { return nil }
func (v view) failed(err error) error { return err }

package postgres

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// groups are the Shared transactions that wait in this process. Those that have
// declared the same collections are run in one transaction of the server, by one of
// them, the leader, and committed together.
type groups struct {
	mu sync.Mutex
	of map[string]*group // by the collections; those that have a leader
}

// group are the members that wait for a leader to take them.
type group struct {
	waiting []*member
}

// member is a Shared transaction.
type member struct {
	ctx      context.Context
	deadline time.Time // for its waits; zero: none
	fn       func(*tx) error
	err      error         // of fn, in the last run
	done     chan error    // what Update returns, or errApart: the member runs by itself
	lead     chan struct{} // closed when this member is to lead
}

// groupSize is the most members of a group.
const groupSize = 64

// errApart means that a member of a group has failed after it had changed something, or
// has broken the transaction: each runs by itself.
var errApart = errors.New("postgres: the group falls apart")

// shared runs fn in a transaction, perhaps together with others.
func (s *Store) shared(ctx context.Context, ids []int32, fn func(*tx) error) error {
	if s.options.ReadOnly {
		return driver.ErrReadOnly
	}
	ids = ordered(ids)
	name := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		name = binary.BigEndian.AppendUint32(name, uint32(id))
	}
	key := string(name)
	m := &member{ctx: ctx, deadline: s.deadline(), fn: fn}
	gs := &s.groups
	gs.mu.Lock()
	g := gs.of[key]
	if g == nil {
		if gs.of == nil {
			gs.of = make(map[string]*group)
		}
		gs.of[key] = new(group)
		g = gs.of[key]
		gs.mu.Unlock()
		return s.leads(key, g, m, ids)
	}
	m.done, m.lead = make(chan error, 1), make(chan struct{})
	g.waiting = append(g.waiting, m)
	gs.mu.Unlock()

	var expired <-chan time.Time
	if !m.deadline.IsZero() {
		timer := time.NewTimer(time.Until(m.deadline))
		defer timer.Stop()
		expired = timer.C
	}
	var err error
	select {
	case err := <-m.done:
		if err == errApart {
			return s.transactBy(ctx, m.deadline, driver.Shared, ids, fn)
		}
		return err
	case <-m.lead:
		return s.leads(key, g, m, ids)
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-s.closing.Done():
		err = driver.ErrClosed
	case <-expired:
		err = driver.ErrTimeout
	}
	gs.mu.Lock()
	n := len(g.waiting)
	g.waiting = slices.DeleteFunc(g.waiting, func(w *member) bool { return w == m })
	left := len(g.waiting) < n
	gs.mu.Unlock()
	if left {
		return err
	}
	select { // a leader has it, or it is to lead
	case answer := <-m.done:
		if answer == errApart {
			return err
		}
		return answer
	case <-m.lead:
		s.handOver(key, g)
		return err
	}
}

// handOver has the next member lead, if there is one.
func (s *Store) handOver(key string, g *group) {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	if len(g.waiting) == 0 {
		delete(s.groups.of, key)
		return
	}
	next := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	close(next.lead)
}

// leads runs m and those who wait when it has its locks.
func (s *Store) leads(key string, g *group, m *member, ids []int32) (err error) {
	batch := []*member{m}
	apart := func() {
		for _, other := range batch[1:] {
			other.done <- errApart
		}
	}
	ran := false
	defer func() {
		if !ran { // a function has panicked, or ended the goroutine
			apart()
		}
		s.handOver(key, g)
	}()
	err = s.transactBy(m.ctx, m.deadline, driver.Shared, ids, func(x *tx) error {
		if len(batch) == 1 {
			s.groups.mu.Lock()
			n := min(len(g.waiting), groupSize-1)
			batch = append(batch, g.waiting[:n]...)
			g.waiting = slices.Delete(g.waiting, 0, n)
			s.groups.mu.Unlock()
		}
		return x.together(batch)
	})
	ran = true
	switch {
	case len(batch) == 1:
		return err
	case err == nil:
		for _, other := range batch[1:] {
			other.done <- other.err
		}
		return m.err
	case errors.Is(err, driver.ErrUncertain) || !errors.Is(err, errApart) && m.ctx.Err() == nil:
		for _, other := range batch[1:] {
			other.done <- cmp.Or(other.err, err)
		}
		return cmp.Or(m.err, err)
	}
	apart() // also where the leader's context has ended
	return s.transactBy(m.ctx, m.deadline, driver.Shared, ids, m.fn)
}

// together runs the members of a group. One that fails before it has changed anything
// is left out.
func (x *tx) together(batch []*member) error {
	if len(batch) == 1 {
		return batch[0].fn(x)
	}
	x.updates = 0
	for _, m := range batch {
		if m.ctx.Err() != nil {
			m.err = context.Cause(m.ctx)
			continue
		}
		before := x.dirty
		m.err = m.fn(x)
		switch {
		case x.again:
			m.err = nil // the run that follows may end before it comes to m
			return errOrder
		case m.err != nil && x.dirty != before, x.conn.IsClosed() || x.conn.PgConn().TxStatus() != 'T': // whatever fn says
			return errApart
		case m.err == nil:
			x.updates++
		}
	}
	return nil
}

package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// request is what a caller of Lock or Acquire asks for.
type request struct {
	key  string
	size int64         // of the lock or semaphore
	n    int64         // permits
	max  time.Duration // how long it may be held, or 0
}

// acquire waits until the request is granted.
func (m *manager) acquire(ctx context.Context, r request) (*hold, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.busy.Done()
	if err := m.checkNested(ctx, r); err != nil {
		return nil, err
	}

	q, w := m.join(r.key)
	defer m.leave(r.key, q, w)
	if err := m.await(ctx, w); err != nil {
		return nil, err
	}
	p, err := m.session(ctx)
	if err != nil {
		return nil, err
	}
	c := m.newClaim(r, p)
	m.expect(q, &c)
	held, err := m.step(ctx, r.key, r.size, c, true)
	if err != nil {
		m.refused(ctx, r.key, c, err)
		return nil, err
	}
	if held == nil {
		if held, err = m.wait(ctx, r, c, q, p); err != nil {
			m.giveUp(r.key, c)
			return nil, err
		}
	}
	return m.newHold(ctx, r.key, *held, p), nil
}

// checkNested fails with ErrRecursive if the request could not be granted before
// permits come back that the caller itself holds, as ctx says.
func (m *manager) checkNested(ctx context.Context, r request) error {
	own := int64(0)
	for h := innermost(ctx); h != nil; h = h.outer() {
		n, err := h.permitsOf(ctx, m, r.key)
		if err != nil {
			return err
		}
		own += n
	}
	switch {
	case own == 0:
		return nil
	case strings.HasPrefix(r.key, lockPrefix):
		return fmt.Errorf("%w: use RLock for a lock that its holder takes again", ErrRecursive)
	}
	row, ok, err := m.rows.Get(ctx, r.key)
	if err != nil || !ok || own+r.n <= row.Size {
		return err
	}
	return fmt.Errorf("%w: %d of the %d permits are its own", ErrRecursive, own, row.Size)
}

// permitsOf returns how many permits h holds of the row of key in the manager's store,
// which another manager of this process may share.
func (h *hold) permitsOf(ctx context.Context, m *manager, key string) (int64, error) {
	if h.key != key || h.state() != nil {
		return 0, nil
	}
	if h.m != m {
		p, err := m.session(ctx)
		if err != nil || p.name != h.session.name {
			return 0, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.claim.N, nil
}

// try is acquire without waiting. It returns neither a hold nor an error if others
// hold the permits or wait for them.
func (m *manager) try(ctx context.Context, r request) (*hold, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.busy.Done()
	if m.hasWaiters(r.key) {
		return nil, nil
	}
	p, err := m.session(ctx)
	if err != nil {
		return nil, err
	}
	c := m.newClaim(r, p)
	held, err := m.step(ctx, r.key, r.size, c, false)
	if err != nil {
		m.refused(ctx, r.key, c, err)
		return nil, err
	}
	if held == nil {
		return nil, nil
	}
	return m.newHold(ctx, r.key, *held, p), nil
}

func (m *manager) newClaim(r request, p *session) claim {
	return claim{Owner: p.owner, ID: newID(), N: r.n, Max: int64(r.max)}
}

// refused withdraws a claim whose first step has failed, unless the error says that
// nothing was written.
func (m *manager) refused(ctx context.Context, key string, c claim, err error) {
	nothing := []error{cache.ErrInvalid, cache.ErrReadOnly, cache.ErrTimeout, cache.ErrClosed, cache.ErrFull, ctx.Err()}
	if !errors.Is(err, cache.ErrUncertain) && slices.ContainsFunc(nothing, func(e error) bool { return e != nil && errors.Is(err, e) }) {
		return
	}
	m.giveUp(key, c)
}

// withdrawWait is how long a caller whose context has ended waits for its claim to be
// removed from the row. If the store is busy for longer, the caller returns, and the
// removal goes on.
const withdrawWait = 100 * time.Millisecond

// giveUp withdraws the claim of a caller that is about to fail.
func (m *manager) giveUp(key string, c claim) {
	done := make(chan struct{})
	m.busy.Add(1) // the caller's own keeps close from waiting already
	go func() {
		defer m.busy.Done()
		defer close(done)
		m.withdraw(key, &c)
	}()
	timer := time.NewTimer(withdrawWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// wait waits until c, which is in the row's queue, is granted. The process that
// releases a permit grants c and wakes this one. A process that dies does not: so wait
// also watches the sessions of the claims that have to go before c.
func (m *manager) wait(ctx context.Context, r request, c claim, q *localQueue, p *session) (*claim, error) {
	if err := m.listen(); err != nil {
		return nil, err
	}
	defer m.unlisten()
	for {
		// No message has told of a change before listen.
		row, _, err := m.rows.Get(ctx, r.key)
		if err != nil {
			return nil, err
		}
		if h := row.held(&c); h != nil {
			return h, nil
		}
		again := indexOf(row.Queue, &c) < 0 // the row was removed
		if !again {
			var held *claim
			if held, again, err = m.pause(ctx, &row, &c, q, p); held != nil || err != nil {
				return held, err
			}
		}
		if again {
			held, err := m.step(ctx, r.key, r.size, c, true)
			if held != nil || err != nil {
				return held, err
			}
		}
	}
}

// pause waits until something has happened to row, in whose queue c is. It returns the
// hold that c has become if a wake-up says so. With again, a holder has died or its
// time is over, so that this process has to settle the row by a step.
func (m *manager) pause(ctx context.Context, row *lease, c *claim, q *localQueue, p *session) (held *claim, again bool, err error) {
	dead, stop, err := m.st.WatchSession(m.ahead(row, c)...)
	if err != nil {
		return nil, false, err
	}
	defer stop()
	var over <-chan time.Time
	if d, ok := row.soonest(m.st.Now()); ok {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-q.changed:
		return m.granted(q), false, nil
	case <-dead:
	case <-over:
	case <-p.lost:
		if _, err := m.session(ctx); err != nil {
			return nil, false, err // of a store that was removed or replaced, for instance
		}
		return nil, false, errSession
	case <-ctx.Done():
		return nil, false, family.Ended(ctx)
	case <-m.closed:
		return nil, false, cache.ErrClosed
	}
	return nil, true, nil
}

// ahead returns the sessions of the holds in row and of the first claim in its queue,
// for which c waits, without this process's own.
func (m *manager) ahead(row *lease, c *claim) (sessions []string) {
	add := func(c *claim) {
		if name := c.session(); !m.isOwn(name) && !slices.Contains(sessions, name) {
			sessions = append(sessions, name)
		}
	}
	for i := range row.Holds {
		add(&row.Holds[i])
	}
	if first := &row.Queue[0]; !first.is(c) {
		add(first)
	}
	return sessions
}

// soonest returns how long it takes until the first hold reaches its maximum time, and
// false if no hold has one.
func (l *lease) soonest(now time.Time) (d time.Duration, ok bool) {
	for i := range l.Holds {
		if t, limited := l.Holds[i].until(); limited && (!ok || t.Sub(now) < d) {
			d, ok = t.Sub(now), true
		}
	}
	return max(d, 0), ok
}

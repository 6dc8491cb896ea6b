package sync

import (
	"context"
	"slices"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// localQueue has the goroutines of this process that wait for one row.
type localQueue struct {
	waiters []*waiter     // the first one has a claim in the row
	changed chan struct{} // has room for one: the row may have changed
	claim   claim         // of the first waiter; a wake-up has set its token; guarded by manager.mu
}

type waiter struct {
	turn chan struct{} // closed when the waiter is the first of its queue
}

// join puts a waiter at the end of the local queue for key.
func (m *manager) join(key string) (*localQueue, *waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queues[key]
	if q == nil {
		q = &localQueue{changed: make(chan struct{}, 1)}
		m.queues[key] = q
	}
	w := &waiter{}
	if len(q.waiters) > 0 {
		w.turn = make(chan struct{})
	}
	q.waiters = append(q.waiters, w)
	return q, w
}

// leave takes a waiter out of its queue.
func (m *manager) leave(key string, q *localQueue, w *waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(q.waiters, w)
	q.waiters = slices.Delete(q.waiters, i, i+1)
	switch {
	case len(q.waiters) == 0:
		delete(m.queues, key)
	case i == 0:
		close(q.waiters[0].turn)
	}
}

// hasWaiters reports whether a goroutine of this process waits for a row.
func (m *manager) hasWaiters(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.queues[key] != nil
}

// expect notes the claim of a queue's first waiter.
func (m *manager) expect(q *localQueue, c *claim) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q.claim = *c
}

// notify takes a wake-up for a claim: it has become a hold, or without a token,
// its row is to be looked at. A wake-up for an unknown claim changes nothing.
func (m *manager) notify(key string, c *claim) {
	m.mu.Lock()
	if q := m.queues[key]; q != nil && q.claim.is(c) {
		if q.claim.Token == 0 {
			q.claim.Token, q.claim.Since = c.Token, c.Since
		}
		signal(q.changed)
	}
	var lost *hold
	for h := range m.observed {
		if h.key == key && h.claim.is(c) {
			lost = h
		}
	}
	m.mu.Unlock()
	if lost != nil {
		lost.look()
	}
}

// granted returns the hold that the claim of a queue's first waiter has become,
// or nil if no wake-up has said so.
func (m *manager) granted(q *localQueue) *claim {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q.claim.Token == 0 {
		return nil
	}
	h := q.claim
	return &h
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // the channel has one already
	}
}

// await waits until w is the first of its queue.
func (m *manager) await(ctx context.Context, w *waiter) error {
	if w.turn == nil {
		return nil
	}
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
		return family.Ended(ctx)
	case <-m.closed:
		return cache.ErrClosed
	}
}

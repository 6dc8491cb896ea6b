package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// turns are the locks of the server once more, among the goroutines of this store: who
// waits for another goroutine waits here, without a connection. All that a transaction
// needs it gets at once, in the order of the calls as far as they are in each other's
// way.
type turns struct {
	mu      sync.Mutex
	alone   bool
	shared  int
	held    map[int32]bool
	waiting []*turn
}

// turn is a transaction that holds or waits for locks.
type turn struct {
	alone   bool
	ids     []int32
	granted chan struct{}
}

// free reports whether t is not in the way of those who hold locks.
func (q *turns) free(t *turn) bool {
	if q.alone || t.alone && q.shared > 0 {
		return false
	}
	return t.alone || !slices.ContainsFunc(t.ids, func(id int32) bool { return q.held[id] })
}

// conflicts reports whether two transactions cannot run at the same time.
func (t *turn) conflicts(u *turn) bool {
	return t.alone || u.alone || slices.ContainsFunc(t.ids, func(id int32) bool { return slices.Contains(u.ids, id) })
}

func (q *turns) take(t *turn) {
	if t.alone {
		q.alone = true
		return
	}
	q.shared++
	if q.held == nil {
		q.held = make(map[int32]bool)
	}
	for _, id := range t.ids {
		q.held[id] = true
	}
}

// lock waits for a turn: alone, or with the collections of ids.
func (q *turns) lock(ctx context.Context, deadline time.Time, alone bool, ids []int32) (*turn, error) {
	t := &turn{alone: alone, ids: slices.Clone(ids), granted: make(chan struct{})}
	q.mu.Lock()
	if q.free(t) && !slices.ContainsFunc(q.waiting, t.conflicts) {
		q.take(t)
		q.mu.Unlock()
		return t, nil
	}
	q.waiting = append(q.waiting, t)
	q.mu.Unlock()

	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	var err error
	select {
	case <-t.granted:
		return t, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-expired:
		err = fmt.Errorf("%w in this process: what is written inside of a transaction's function must go through the transaction", driver.ErrTimeout)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-t.granted: // meanwhile
		q.release(t)
	default:
		q.waiting = slices.DeleteFunc(q.waiting, func(u *turn) bool { return u == t })
		q.grant()
	}
	return nil, err
}

// try is lock for those who do not wait.
func (q *turns) try(alone bool, ids []int32) (*turn, bool) {
	t := &turn{alone: alone, ids: slices.Clone(ids)}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.free(t) {
		return nil, false
	}
	q.take(t)
	return t, true
}

// add locks one more collection for a transaction that is not alone, if it is free.
func (q *turns) add(t *turn, id int32) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[id] {
		return false
	}
	t.ids = append(t.ids, id)
	q.held[id] = true
	return true
}

func (q *turns) unlock(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release(t)
}

func (q *turns) release(t *turn) {
	if t.alone {
		q.alone = false
	} else {
		q.shared--
		for _, id := range t.ids {
			delete(q.held, id)
		}
	}
	q.grant()
}

// grant gives locks to those who wait and are in nobody's way, nor in that of anybody
// who has waited for longer.
func (q *turns) grant() {
	var still []*turn
	for _, t := range q.waiting {
		if q.free(t) && !slices.ContainsFunc(still, t.conflicts) {
			q.take(t)
			close(t.granted)
		} else {
			still = append(still, t)
		}
	}
	q.waiting = still
}

package sync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// manager is the lock manager of one Store in this process. All locks and
// semaphores of the Store share it: the collection with their rows, the queues
// of waiting goroutines, and the goroutine that listens for changes.
//
// Of the goroutines of this process that wait for a row, only the first has a
// claim in the row's queue. The others stand behind it in a local queue. So a
// row has at most one waiting claim per process, and a change of it wakes one
// goroutine per process.
type manager struct {
	st         *cache.Store
	rows       *cache.Cache[string, lease]
	broadcasts *cache.Cache[string, string] // a change of it tells every listener to look
	closed     chan struct{}                // closed when the store's Close begins

	beginning sync.Mutex              // held while a session is begun; taken before mu
	current   atomic.Pointer[session] // nil until there is one; changed with both held

	mu         sync.Mutex // never held during an operation of the store
	ended      bool       // closed is closed
	busy       sync.WaitGroup
	queues     map[string]*localQueue // by row
	holds      map[*hold]struct{}     // all that are not released or lost
	observed   map[*hold]struct{}     // those whose context was asked for
	interests  int                    // waiting claims and observed holds
	listener   *listener              // nil without interests, after listenerIdle
	unreleased []unreleased
	retry      *time.Timer // retries them; nil if there are none
	stopWakes  func()      // ends receiveWakes of the session; nil before the first interest, or without messages

	swept string // where the last sweep ended
}

// unreleased is a claim whose release has failed.
type unreleased struct {
	key   string
	claim claim
	hold  *hold // what the claim is, or nil if it was withdrawn
}

var (
	managersMu    sync.Mutex
	managers      = map[*cache.Store]*manager{}
	managerNumber atomic.Int64
)

// leases returns the rows of the locks and semaphores of a store.
func leases(ctx context.Context, st *cache.Store) (*cache.Cache[string, lease], error) {
	return cache.New(ctx, st, "leases", &cache.Options[string, lease]{Family: "sync", Persistent: true, Values: leaseCodec{}})
}

// managerOf returns the lock manager of a store.
func managerOf(ctx context.Context, st *cache.Store) (*manager, error) {
	if st == nil {
		return nil, family.Invalid("nil Store")
	}
	managersMu.Lock()
	m := managers[st]
	managersMu.Unlock()
	if m != nil {
		return m, nil
	}
	rows, err := leases(ctx, st)
	if err != nil {
		return nil, err
	}
	broadcasts, err := cache.New(ctx, st, "broadcasts", &cache.Options[string, string]{Family: "sync", Persistent: true})
	if err != nil {
		return nil, err
	}
	managersMu.Lock()
	defer managersMu.Unlock()
	if m := managers[st]; m != nil {
		return m, nil
	}
	m = &manager{
		st:         st,
		rows:       rows,
		broadcasts: broadcasts,
		closed:     make(chan struct{}),
		queues:     map[string]*localQueue{},
		holds:      map[*hold]struct{}{},
		observed:   map[*hold]struct{}{},
	}
	if _, err := st.AtClose(m.close); err != nil {
		return nil, err
	}
	managers[st] = m
	return m, nil
}

// enter begins an operation, for which close waits. If it returns nil,
// the caller calls m.busy.Done afterwards.
func (m *manager) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return family.Ended(ctx)
	}
	if m.st.TxOf(ctx) != nil {
		return errInTx // it would wait for itself
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return cache.ErrClosed
	}
	m.busy.Add(1)
	return nil
}

// close releases all holds and fails all waiters, before the store is closed.
// A release that fails here takes effect when the session ends.
func (m *manager) close() {
	managersMu.Lock()
	delete(managers, m.st)
	managersMu.Unlock()

	m.mu.Lock()
	m.ended = true
	close(m.closed)
	m.mu.Unlock()
	m.busy.Wait()

	m.mu.Lock()
	holds := slices.Collect(maps.Keys(m.holds))
	withdrawn := m.unreleased
	if m.retry != nil {
		m.retry.Stop()
	}
	m.mu.Unlock()
	for _, h := range holds {
		h.lose(fmt.Errorf("%w: %w", ErrLost, cache.ErrClosed))
		_, _ = m.giveBack(h.key, &h.claim, 0)
	}
	for i := range withdrawn {
		_, _ = m.giveBack(withdrawn[i].key, &withdrawn[i].claim, 0)
	}
	// Only now: Guard.Context may have started them until its hold was lost.
	m.mu.Lock()
	l, b := m.listener, m.stopWakes
	m.mu.Unlock()
	if l != nil {
		<-l.ended
	}
	if b != nil {
		b()
	}
}

// update runs fn on the row of key in a transaction, which may be rolled back and run
// again. fn returns the claims that it granted, and whether the row is to be written.
// After the commit, update wakes the owners of the granted claims, and of the holds in
// env.lost.
//
// If it is not known whether the transaction was committed, they are told to look at
// the row, and update tries again, with env.again: on the row as it is then, fn must do
// what is left to be done.
func (m *manager) update(ctx context.Context, key string, fn func(l *lease, exists bool, e *env) (granted []claim, write bool, err error)) error {
	again := false
	return family.Repeat(func() error {
		granted, lost, err := m.tryUpdate(ctx, key, again, fn)
		again = true
		if err != nil && !errors.Is(err, cache.ErrUncertain) {
			return err
		}
		if err != nil {
			withoutTokens(granted)
		}
		m.wakeOwners(key, granted)
		withoutTokens(lost)
		m.wakeOwners(key, lost)
		return err
	})
}

func withoutTokens(claims []claim) {
	for i := range claims {
		claims[i].Token = 0
	}
}

func (m *manager) tryUpdate(ctx context.Context, key string, again bool, fn func(l *lease, exists bool, e *env) (granted []claim, write bool, err error)) (granted, lost []claim, err error) {
	err = m.rows.Step(ctx, func(tx *cache.Tx) error {
		granted, lost = nil, nil
		rows := m.rows.In(tx)
		l, ok, err := rows.Get(ctx, key)
		if err != nil {
			return err
		}
		e := &env{again: again, now: m.st.Now(), fence: tx.Fence, alive: func(session string) (bool, error) {
			if m.isOwn(session) {
				return true, nil
			}
			return m.st.Alive(tx.Context(), session)
		}}
		var write bool
		granted, write, err = fn(&l, ok, e)
		lost = e.lost
		if err != nil || !write {
			return err
		}
		if e.remove {
			_, err := rows.Delete(ctx, key)
			return err
		}
		if !ok {
			if err := m.sweep(ctx, tx, rows, e.now); err != nil {
				return err
			}
		}
		return rows.Set(ctx, key, l)
	})
	return granted, lost, err
}

// step takes a claim as far as possible: it becomes a hold if its permits are
// free and nobody waits, or else, with queue, it is put into the row's queue.
// step returns the hold, or nil. A step that is repeated changes nothing.
func (m *manager) step(ctx context.Context, key string, size int64, c claim, queue bool) (held *claim, err error) {
	err = m.update(ctx, key, func(l *lease, exists bool, e *env) (granted []claim, write bool, err error) {
		held = nil
		if !exists {
			l.Size = size
		}
		if c.N > l.Size {
			return nil, false, family.Invalid("%d permits of %d would never be granted", c.N, l.Size)
		}
		if granted, write, err = l.settle(e); err != nil {
			return nil, false, err
		}
		switch {
		case l.held(&c) != nil:
			h := *l.held(&c)
			held = &h
		case indexOf(l.Queue, &c) >= 0:
		case len(l.Queue) == 0 && c.N <= l.free():
			h, err := l.admit(c, e)
			if err != nil {
				return nil, false, err
			}
			held, write = &h, true
		case queue:
			l.Queue = append(l.Queue, c)
			write = true
		}
		return granted, write, nil
	})
	return held, err
}

// giveBack leaves left permits of a claim, or removes it with 0. It reports whether
// the claim was a hold whose time was not over. No context ends it, but the store's
// timeout does.
func (m *manager) giveBack(key string, c *claim, left int64) (ok bool, err error) {
	err = m.update(context.Background(), key, func(l *lease, exists bool, e *env) ([]claim, bool, error) {
		h := l.held(c)
		// The try before may have removed it.
		ok = e.again && ok || h != nil && !h.over(e.now)
		if !l.reduce(c, left) {
			return nil, false, nil
		}
		granted, err := l.grant(e)
		return granted, true, err
	})
	return ok, err
}

// withdraw removes a claim that may have been written, and that nobody will use.
func (m *manager) withdraw(key string, c *claim) {
	if _, err := m.giveBack(key, c, 0); err != nil {
		m.releaseLater(unreleased{key: key, claim: *c}, err)
	}
}

// retryAfter is how long after a release that has failed the next try begins. Most
// have failed because the store was busy, for as long as its timeout.
const retryAfter = 100 * time.Millisecond

// releaseLater has a release be tried again that has failed, until it succeeds or the
// store is closed. It does nothing if the row is gone with the store.
func (m *manager) releaseLater(u unreleased, failed error) {
	if errors.Is(failed, cache.ErrNotStore) || errors.Is(failed, cache.ErrClosed) {
		return
	}
	if u.hold == nil { // else Unlock returns it
		m.st.Logger().Warn("sync: a claim that nobody waits for is still there", "name", u.key, "error", failed)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.ContainsFunc(m.unreleased, func(o unreleased) bool { return o.claim.is(&u.claim) }) {
		m.unreleased = append(m.unreleased, u)
	}
	if m.retry == nil && !m.ended {
		m.retry = time.AfterFunc(retryAfter, m.retryReleases)
	}
}

func (m *manager) retryReleases() {
	if m.enter(context.Background()) != nil {
		return // close does it
	}
	defer m.busy.Done()
	m.mu.Lock()
	list := m.unreleased
	m.unreleased, m.retry = nil, nil
	m.mu.Unlock()
	for i := range list {
		if h := list[i].hold; h != nil {
			_ = h.release(0) // Unlock has returned the error of the first try
		} else {
			m.withdraw(list[i].key, &list[i].claim)
		}
	}
}

// wakeOwners wakes the owners of claims. A claim with a token has become a hold;
// without one, its owner is to look at the row.
func (m *manager) wakeOwners(key string, claims []claim) {
	sent := true
	for i := range claims {
		c := &claims[i]
		if m.isOwner(c.Owner) {
			m.notify(key, c)
			continue
		}
		if other := managerNamed(c.Owner); other != nil {
			other.notify(key, c)
			continue
		}
		sent = m.wake(key, c) && sent
	}
	if !sent {
		m.broadcast()
	}
}

// managerNamed returns the lock manager of this process whose claims have owner.
func managerNamed(owner string) *manager {
	managersMu.Lock()
	defer managersMu.Unlock()
	for _, m := range managers {
		if m.isOwner(owner) {
			return m
		}
	}
	return nil
}

// breakHolds ends all holds of a row.
func (m *manager) breakHolds(ctx context.Context, key string) (ok bool, err error) {
	if err := m.enter(ctx); err != nil {
		return false, err
	}
	defer m.busy.Done()
	var broken []claim // by the first try: others are to keep what they get after it
	err = m.update(ctx, key, func(l *lease, exists bool, e *env) ([]claim, bool, error) {
		if !e.again {
			broken, ok = slices.Clone(l.Holds), len(l.Holds) > 0
		}
		l.Holds = slices.DeleteFunc(l.Holds, func(c claim) bool {
			if indexOf(broken, &c) < 0 {
				return false
			}
			e.lost = append(e.lost, c)
			return true
		})
		granted, err := l.grant(e)
		return granted, len(e.lost)+len(granted) > 0, err
	})
	return ok, err
}

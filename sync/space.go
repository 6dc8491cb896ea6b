package sync

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache"
)

// space is what all locks and semaphores of one Store share in this process:
// the collection of their rows, the lines of those who wait, and the
// goroutine that wakes them.
//
// Of those who wait for a row in this process, only the first has a place in
// the row's queue; the others are behind it in a line. So a row stays as short
// as there are processes, and a change wakes one goroutine per process and
// row.
type space struct {
	st     *cache.Store
	rows   *cache.Cache[string, lease]
	shouts *cache.Cache[string, string] // see listener
	closed chan struct{}                // closed when the store's Close begins

	beginning sync.Mutex              // held while a session is begun; before mu
	current   atomic.Pointer[session] // nil until there is one; changed with both held

	mu        sync.Mutex // held for moments, never during an operation of the store
	ended     bool       // closed is closed
	busy      sync.WaitGroup
	lines     map[string]*line   // by row
	holds     map[*hold]struct{} // what is held
	observed  map[*hold]struct{} // those whose context somebody uses
	interests int                // waiters and observed holds
	listener  *listener          // nil until there is interest
	stopRings func()             // of the session; nil until there has been interest, or if rings cannot be heard

	swept  string                  // where the last sweep ended; used in transactions only
	strays atomic.Pointer[[]stray] // claims that could not be given back
}

type stray struct {
	key string
	c   claim
}

var (
	spacesMu sync.Mutex
	spaces   = map[*cache.Store]*space{}
	number   atomic.Int64
)

// spaceOf returns the space of a store.
func spaceOf(ctx context.Context, st *cache.Store) (*space, error) {
	if st == nil {
		return nil, invalid("nil Store")
	}
	spacesMu.Lock()
	s := spaces[st]
	spacesMu.Unlock()
	if s != nil {
		return s, nil
	}
	rows, err := cache.New(ctx, st, "leases", &cache.Options[string, lease]{Family: "sync", Persistent: true, Values: leaseCodec{}})
	if err != nil {
		return nil, err
	}
	shouts, err := cache.New(ctx, st, "shouts", &cache.Options[string, string]{Family: "sync", Persistent: true})
	if err != nil {
		return nil, err
	}
	spacesMu.Lock()
	defer spacesMu.Unlock()
	if s := spaces[st]; s != nil {
		return s, nil
	}
	s = &space{
		st:       st,
		rows:     rows,
		shouts:   shouts,
		closed:   make(chan struct{}),
		lines:    map[string]*line{},
		holds:    map[*hold]struct{}{},
		observed: map[*hold]struct{}{},
	}
	if _, err := st.AtClose(s.close); err != nil {
		return nil, err
	}
	spaces[st] = s
	return s, nil
}

// enter begins an operation, for which close waits. If it returns nil,
// s.busy.Done has to follow.
func (s *space) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if s.st.TxOf(ctx) != nil {
		return errInTx // it would wait for itself
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return cache.ErrClosed
	}
	s.busy.Add(1)
	return nil
}

// close gives back what is held, and ends what waits, before the store is
// closed. What fails here is told to others by the session's end.
func (s *space) close() {
	spacesMu.Lock()
	delete(spaces, s.st)
	spacesMu.Unlock()

	s.mu.Lock()
	s.ended = true
	close(s.closed)
	s.mu.Unlock()
	s.busy.Wait()

	s.mu.Lock()
	holds := make([]*hold, 0, len(s.holds))
	for h := range s.holds {
		holds = append(holds, h)
	}
	s.mu.Unlock()
	for _, h := range holds {
		h.lose(fmt.Errorf("%w: %w", ErrLost, cache.ErrClosed))
		_, _ = s.giveBack(h.key, &h.claim, 0)
	}
	// Until its hold was lost somebody may have asked for a context, and so for
	// these.
	s.mu.Lock()
	l, b := s.listener, s.stopRings
	s.mu.Unlock()
	if l != nil {
		<-l.ended
	}
	if b != nil {
		b()
	}
}

// update changes the row of key, in a transaction, by fn, which returns
// whether there is something to write. It then wakes those that were granted
// their claims, and those whose holds have ended though they live.
func (s *space) update(ctx context.Context, key string, fn func(l *lease, exists bool, w *world) (granted []claim, write bool, err error)) error {
	var granted, lost []claim
	err := s.rows.Update(ctx, func(tx *cache.Tx) error {
		rows := s.rows.In(tx)
		l, ok, err := rows.Get(ctx, key)
		if err != nil {
			return err
		}
		w := &world{now: s.st.Now(), fence: tx.Fence, alive: func(session string) (bool, error) {
			if s.isOwn(session) {
				return true, nil
			}
			return tx.Alive(session)
		}}
		var write bool
		granted, write, err = fn(&l, ok, w)
		lost = w.lost
		if err != nil || !write {
			return err
		}
		if !ok {
			if err := s.sweep(ctx, rows, w.now); err != nil {
				return err
			}
		}
		return rows.Set(ctx, key, l)
	})
	if err != nil {
		return err
	}
	s.tell(key, granted)
	for i := range lost {
		lost[i].Token = 0 // no hold any more
	}
	s.tell(key, lost)
	return nil
}

// step makes what progress can be made with a claim: it takes what is free,
// or else, with queue, a place in the row's queue. It returns the hold, or
// nil.
func (s *space) step(ctx context.Context, key string, size int64, c claim, queue bool) (held *claim, err error) {
	err = s.update(ctx, key, func(l *lease, exists bool, w *world) (granted []claim, write bool, err error) {
		held = nil
		if !exists {
			l.Size = size
		}
		if c.N > l.Size {
			return nil, false, invalid("%d permits of %d would never be granted", c.N, l.Size)
		}
		if granted, write, err = l.settle(w); err != nil {
			return nil, false, err
		}
		switch {
		case l.held(&c) != nil:
			h := *l.held(&c)
			held = &h
		case index(l.Queue, &c) >= 0:
		case len(l.Queue) == 0 && c.N <= l.free():
			h, err := l.hold(c, w)
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

// giveBack removes n permits of a claim, or all of it with n = 0, and reports
// whether it was still there and its time not over. It does not end with any
// context, but with the store's timeout.
func (s *space) giveBack(key string, c *claim, n int64) (ok bool, err error) {
	err = s.update(context.Background(), key, func(l *lease, exists bool, w *world) ([]claim, bool, error) {
		h := l.held(c)
		ok = h != nil && !h.over(w.now)
		if !l.drop(c, n) {
			return nil, false, nil
		}
		granted, err := l.grant(w)
		return granted, true, err
	})
	return ok, err
}

// abandon gives a claim back that nobody will use.
func (s *space) abandon(key string, c *claim) error {
	_, err := s.giveBack(key, c, 0)
	if err == nil {
		return nil
	}
	for {
		old := s.strays.Load()
		list := []stray{{key, *c}}
		if old != nil {
			list = append(list, *old...)
		}
		if s.strays.CompareAndSwap(old, &list) {
			break
		}
	}
	return fmt.Errorf("the claim could not be withdrawn and stands until this store is used again or closed: %w", err)
}

// tidy tries again to give back what could not be.
func (s *space) tidy() {
	if s.strays.Load() == nil {
		return
	}
	list := s.strays.Swap(nil)
	if list == nil {
		return
	}
	for _, st := range *list {
		_ = s.abandon(st.key, &st.c)
	}
}

// tell wakes the owners of claims that have become holds, or are none any
// more and have no token.
func (s *space) tell(key string, claims []claim) {
	heard := true
	for i := range claims {
		c := &claims[i]
		if s.isOwner(c.Owner) {
			s.hear(key, c)
			continue
		}
		if other := neighbour(c.Owner); other != nil {
			other.hear(key, c)
			continue
		}
		heard = s.ring(key, c) && heard
	}
	if !heard {
		s.shout()
	}
}

// neighbour returns the space of this process that is called owner.
func neighbour(owner string) *space {
	spacesMu.Lock()
	defer spacesMu.Unlock()
	for _, s := range spaces {
		if s.isOwner(owner) {
			return s
		}
	}
	return nil
}

// breakHolds takes all holds of a row away.
func (s *space) breakHolds(ctx context.Context, key string) (ok bool, err error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.busy.Done()
	err = s.update(ctx, key, func(l *lease, exists bool, w *world) ([]claim, bool, error) {
		ok = len(l.Holds) > 0
		w.lost, l.Holds = l.Holds, nil
		granted, err := l.grant(w)
		return granted, ok || len(granted) > 0, err
	})
	return ok, err
}

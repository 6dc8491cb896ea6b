package sync

import (
	"context"
	"errors"
	"sync"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// RLock is a [Lock] that a caller may take again while it has it. The context tells:
// Lock called with a guard's context, or one derived from it, succeeds at once with the
// same token. The lock is free when all of the guards have been unlocked, in any order.
// Every goroutine that is given such a context can take the lock again.
type RLock struct{ l *Lock }

// nested counts the guards of one hold.
type nested struct {
	mu sync.Mutex
	n  int // 0: released
	h  *hold
}

// NewRLock returns the lock called name of a store: see [NewLock].
func NewRLock(ctx context.Context, st *cache.Store, name string, o *LockOptions) (*RLock, error) {
	l, err := NewLock(ctx, st, name, o)
	if err != nil {
		return nil, fail("NewRLock", lockPrefix+name, err)
	}
	return &RLock{l}, nil
}

// Lock takes the lock, once more if ctx is that of a guard, or else like
// [Lock.Lock]. With the context of a guard that was lost it fails with
// ErrLost.
func (r *RLock) Lock(ctx context.Context) (*Guard, error) {
	g, err := r.again(ctx)
	if g != nil || err != nil {
		return g, fail("Lock", r.l.key, err)
	}
	h, err := r.l.m.acquire(ctx, r.l.request())
	if err != nil {
		return nil, fail("Lock", r.l.key, err)
	}
	return firstGuard(h), nil
}

// TryLock is Lock without waiting: see [Lock.TryLock].
func (r *RLock) TryLock(ctx context.Context) (*Guard, bool, error) {
	g, err := r.again(ctx)
	if g != nil || err != nil {
		return g, g != nil, fail("TryLock", r.l.key, err)
	}
	h, err := r.l.m.try(ctx, r.l.request())
	if h == nil || err != nil {
		return nil, false, fail("TryLock", r.l.key, err)
	}
	return firstGuard(h), true, nil
}

// Do runs fn while it holds the lock: see [Lock.Do].
func (r *RLock) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	if fn == nil {
		return fail("Do", r.l.key, family.Invalid("nil function"))
	}
	g, err := r.Lock(ctx)
	if err != nil {
		return fail("Do", r.l.key, err)
	}
	return do(g.Context(), g.Unlock, fn)
}

// Break takes the lock away from its holder: see [Lock.Break].
func (r *RLock) Break(ctx context.Context) (bool, error) { return r.l.Break(ctx) }

// again returns one more guard of the hold that ctx carries, if it does.
func (r *RLock) again(ctx context.Context) (*Guard, error) {
	h := innermost(ctx)
	for h != nil && (h.m != r.l.m || h.key != r.l.key) {
		h = h.outer()
	}
	if h == nil || h.nested == nil { // not held, or by a Lock, which acquire tells
		return nil, nil
	}
	n := h.nested
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.n == 0 {
		return nil, nil
	}
	if err := n.h.state(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, family.Ended(ctx)
	}
	n.n++
	return &Guard{h: n.h, nested: n}, nil
}

// firstGuard returns the first guard of a hold.
func firstGuard(h *hold) *Guard {
	h.nested = &nested{n: 1, h: h}
	return &Guard{h: h, nested: h.nested}
}

// leave unlocks one of several guards.
func (g *Guard) leave() error {
	n := g.nested
	n.mu.Lock()
	defer n.mu.Unlock()
	if g.done {
		return ErrNotHeld
	}
	if n.n == 1 {
		err := g.h.release(0)
		if err != nil && !errors.Is(err, ErrLost) {
			return err
		}
		n.n = 0
		g.done = true
		return err
	}
	n.n--
	g.done = true
	return g.h.state()
}

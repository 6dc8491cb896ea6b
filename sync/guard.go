package sync

import (
	"context"

	"github.com/go-diskcache/diskcache/cache"
)

// Guard is a held lock. Its methods may be called by several goroutines.
type Guard struct {
	h      *hold
	nested *nested // of an RLock
	done   bool    // guarded by nested.mu
}

// Unlock releases the lock, and wakes the next one that waits for it. It takes no
// context, so that it can be deferred and works after the context of Lock has
// ended. It returns within StoreOptions.Timeout, 60 s unless said otherwise: so
// long other writers may keep it waiting.
//
// A second Unlock is ErrNotHeld, and that of a lock that was lost ErrLost. With any
// other error, such as cache.ErrTimeout, the lock is still held, as far as is known.
// It is released then as soon as the store can be written to, without another call;
// Unlock may be called again all the same.
func (g *Guard) Unlock() error {
	switch {
	case g == nil:
		return fail("Unlock", "lock", ErrNotHeld)
	case g.nested != nil:
		return fail("Unlock", g.h.key, g.leave())
	}
	return fail("Unlock", g.h.key, g.h.release(0))
}

// Context returns a context that ends when the lock is released or lost, in
// the latter case with ErrLost as its cause. It is derived from the context
// that the lock was taken with. That a lock was lost may take some moments to
// notice; to be sure, see Check.
func (g *Guard) Context() context.Context { return g.h.context() }

// Token returns the fencing token: a number that is higher than that of every
// earlier acquisition of this lock, by any process, also after restarts. A
// service that remembers the highest token it has seen can refuse what comes
// late from a holder that lost the lock.
func (g *Guard) Token() int64 { return g.h.claim.Token }

// Check fails with ErrLost unless the transaction tx sees the lock held by g. The lock
// cannot change hands while an Update runs. So an Update that calls Check first commits
// only while g holds the lock:
//
//	err := st.Update(ctx, func(tx *cache.Tx) error {
//		if err := g.Check(tx); err != nil {
//			return err
//		}
//		return totals.In(tx).Set(ctx, "sum", sum)
//	})
func (g *Guard) Check(tx *cache.Tx) error { return fail("Check", g.h.key, g.h.check(tx)) }

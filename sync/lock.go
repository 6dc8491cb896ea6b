package sync

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// LockOptions say how a lock is used. The zero value of each field is its
// default. They belong to the Lock, not to the row: programs may use the same
// lock with different options.
type LockOptions struct {
	// MaxHold bounds how long the lock is held, by the clock of the store. A guard
	// that has held it for longer loses it: the guard's context ends, and the next
	// one that waits gets the lock. If the clock is set back, the time begins again.
	// Without MaxHold a lock is held until it is released or the process that holds
	// it is dead, however long that is stopped or slow. Defaults to no bound.
	MaxHold time.Duration
}

func (o *LockOptions) maxHold() (time.Duration, error) {
	if o == nil {
		return 0, nil
	}
	if o.MaxHold < 0 {
		return 0, family.Invalid("LockOptions.MaxHold is negative; 0 is no bound")
	}
	return o.MaxHold, nil
}

// Lock is a lock of all goroutines and processes that use one store: one of
// them at a time holds it. Within a process it is first come, first served;
// processes that wait take turns. All methods may be called by many goroutines
// at once.
//
// When the process that holds it dies, the lock is free; a process that waits notices
// within 50 ms. While that process is merely slow or stopped the lock stays held: no
// clock decides. Close of the store with which it was taken releases the lock.
//
// The lock is not reentrant: Lock with the context of its own guard, such as that of
// Do, fails with ErrRecursive. An [RLock] can be taken again.
type Lock struct {
	m   *manager
	key string
	max time.Duration
}

// NewLock returns the lock called name of a store. It writes nothing. Locks of
// the same name are the same lock, also as an RLock.
func NewLock(ctx context.Context, st *cache.Store, name string, o *LockOptions) (*Lock, error) {
	max, err := o.maxHold()
	if err != nil {
		return nil, fail("NewLock", lockPrefix+name, err)
	}
	m, err := managerOf(ctx, st)
	if err != nil {
		return nil, fail("NewLock", lockPrefix+name, err)
	}
	return &Lock{m: m, key: lockPrefix + name, max: max}, nil
}

func (l *Lock) request() request { return request{key: l.key, size: 1, n: 1, max: l.max} }

// Lock waits until the lock is free and takes it. It fails when ctx ends, with
// its error, or when the store is closed, with cache.ErrClosed; then the lock
// is not held. Inside a transaction it fails with cache.ErrInTx, and with the context
// of the lock's own guard with ErrRecursive.
func (l *Lock) Lock(ctx context.Context) (*Guard, error) {
	h, err := l.m.acquire(ctx, l.request())
	if err != nil {
		return nil, fail("Lock", l.key, err)
	}
	return &Guard{h: h}, nil
}

// TryLock takes the lock if nobody holds it or waits for it, and reports
// whether it did.
func (l *Lock) TryLock(ctx context.Context) (g *Guard, ok bool, err error) {
	h, err := l.m.try(ctx, l.request())
	if err != nil || h == nil {
		return nil, false, fail("TryLock", l.key, err)
	}
	return &Guard{h: h}, true, nil
}

// Do runs fn while it holds the lock, with the guard's context, and returns
// fn's error. If the lock was lost meanwhile or could not be released the
// error is that as well. If fn panics, the lock is released.
func (l *Lock) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	if fn == nil {
		return fail("Do", l.key, family.Invalid("nil function"))
	}
	g, err := l.Lock(ctx)
	if err != nil {
		return fail("Do", l.key, err)
	}
	return do(g.Context(), g.Unlock, fn)
}

// do runs fn and then release.
func do(ctx context.Context, release func() error, fn func(ctx context.Context) error) (err error) {
	defer func() {
		if lost := release(); lost != nil {
			err = errors.Join(err, lost)
		}
	}()
	return fn(ctx)
}

// Break takes the lock away from the guard that holds it, in any process, and reports
// whether there was one. That guard's context ends, and its Check and Unlock fail with
// ErrLost. The next one that waits gets the lock.
func (l *Lock) Break(ctx context.Context) (bool, error) {
	ok, err := l.m.breakHolds(ctx, l.key)
	return ok, fail("Break", l.key, err)
}

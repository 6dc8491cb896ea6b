package sync

import (
	"context"

	"github.com/go-diskcache/diskcache/cache"
)

// DropLock removes the lock called name from a store. While it is held or waited for
// that fails with ErrHeld. There is no need to drop locks: those that were not used
// for a minute are removed when others are made. Dropping what does not exist does
// nothing. A Lock that is used afterwards makes its lock anew; tokens go on growing.
func DropLock(ctx context.Context, st *cache.Store, name string) error {
	return fail("DropLock", lockPrefix+name, dropLease(ctx, st, lockPrefix+name))
}

// DropSemaphore removes the semaphore called name from a store, with the number of
// its permits. While any is held or waited for that fails with ErrHeld. Dropping what
// does not exist does nothing. A Semaphore that is used afterwards makes its semaphore
// anew, with its own number of permits.
func DropSemaphore(ctx context.Context, st *cache.Store, name string) error {
	return fail("DropSemaphore", semaphorePrefix+name, dropLease(ctx, st, semaphorePrefix+name))
}

func dropLease(ctx context.Context, st *cache.Store, key string) error {
	m, err := managerOf(ctx, st)
	if err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.busy.Done()
	return m.update(ctx, key, func(l *lease, exists bool, e *env) ([]claim, bool, error) {
		if _, _, err := l.settle(e); err != nil {
			return nil, false, err
		}
		if !l.idle() {
			return nil, false, ErrHeld
		}
		e.remove = true
		return nil, exists, nil
	})
}

// DropThrottle removes the throttle called name from a store, and what it has counted.
// Dropping what does not exist does nothing. A Throttle that is used afterwards begins
// with a full burst.
func DropThrottle(ctx context.Context, st *cache.Store, name string) error {
	rows, err := throttles(ctx, st)
	if err == nil {
		_, err = rows.Delete(ctx, name)
	}
	return fail("DropThrottle", throttlePrefix+name, err)
}

// DropAverager removes the averager called name from a store, and its numbers. Dropping
// what does not exist does nothing. An Averager that is used afterwards begins without
// numbers.
func DropAverager(ctx context.Context, st *cache.Store, name string) error {
	rows, err := averagers(ctx, st)
	if err == nil {
		_, err = rows.Delete(ctx, name)
	}
	return fail("DropAverager", averagerPrefix+name, err)
}

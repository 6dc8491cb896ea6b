package sync

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
)

// Errors that operations return inside a [*cache.Error], which has the name of the
// lock, such as "sync/lock/nightly"; compare with [errors.Is]. Those of package cache,
// such as cache.ErrClosed, cache.ErrInvalid and cache.ErrTimeout, come up as well.
// When a context ends, the error is also its context.Canceled or
// context.DeadlineExceeded.
var (
	// ErrNotHeld means that a Guard or Permit does not hold what was to be released:
	// it has released that before, or holds fewer permits than [Permit.ReleaseN] was
	// to release.
	ErrNotHeld = errors.New("not held")

	// ErrLost means that a lock or a permit was lost before it was released:
	// its LockOptions.MaxHold had passed, Break took it away, its store was closed,
	// another process removed its row, or the session of the store was lost: see
	// [cache.Store.Session].
	ErrLost = errors.New("the lock or permit was lost")

	// ErrRecursive means that the caller would wait for itself: it asks for a lock or
	// permits with the context of a guard or permit that has to be released first. An
	// [RLock] can be taken again.
	ErrRecursive = errors.New("the caller would wait for itself")

	// ErrHeld means that what was to be dropped is held, or waited for.
	ErrHeld = errors.New("held or waited for")

	// ErrSize means that a semaphore exists with another number of permits.
	ErrSize = errors.New("semaphore has another size")
)

// errInTx is the cache.ErrInTx of what waits for others.
var errInTx = fmt.Errorf("nobody can release a lock while this transaction keeps all writers waiting; take it before: %w", cache.ErrInTx)

// Names in errors begin so, after the family, and so do the keys of rows.
const (
	lockPrefix      = "lock/"
	semaphorePrefix = "semaphore/"
	throttlePrefix  = "throttle/"
	averagerPrefix  = "averager/"
)

// fail makes a *cache.Error of err.
func fail(op, name string, err error) error {
	if err == nil {
		return nil // without making the name
	}
	return cache.WrapError(context.Background(), op, "sync/"+name, err)
}

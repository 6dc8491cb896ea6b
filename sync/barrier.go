package sync

import (
	"context"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/cache/family"
)

// Locker is what a barrier can be made of: [Lock], [RLock], [Semaphore] and
// [KeyLock] are Lockers.
type Locker interface {
	// Do runs fn while it holds the lock, and returns fn's error.
	Do(ctx context.Context, fn func(ctx context.Context) error) error
}

// Barrier returns a function that calls fn while it holds a lock, with a
// context that ends when the lock is lost. With a Semaphore, so many calls run
// at once as there are permits.
func Barrier[A, R any](l Locker, fn func(ctx context.Context, arg A) (R, error)) func(ctx context.Context, arg A) (R, error) {
	return func(ctx context.Context, arg A) (r R, err error) {
		if l == nil || fn == nil {
			return r, cache.WrapError(context.Background(), "Barrier", "", family.Invalid("nil lock or function"))
		}
		err = l.Do(ctx, func(ctx context.Context) (err error) {
			r, err = fn(ctx, arg)
			return err
		})
		return r, err
	}
}

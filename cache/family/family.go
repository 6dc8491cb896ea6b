// Package family is what packages have in common whose collections are made of
// [cache.Cache] ones, such as deque and sync: how their errors look, and how they go
// on when a commit is uncertain.
package family

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
)

// Fail makes a *cache.Error of err, or nil of nil: the operation op on name has
// failed, such as "Lock" on "sync/lock/nightly". If err is a *cache.Error of an
// operation below, what that has failed with takes its place, so that the user sees
// one operation, which is the user's own.
func Fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	for {
		below, ok := err.(*cache.Error)
		if !ok {
			return &cache.Error{Op: op, Collection: name, Err: err}
		}
		err = below.Err
	}
}

// Invalid returns a cache.ErrInvalid with details.
func Invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{cache.ErrInvalid}, args...)...)
}

// Ended returns why ctx has ended, or nil: its error, and its cause if that is another.
func Ended(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// Repeat runs fn again, a few times at most, while it fails with cache.ErrUncertain:
// then it is not known whether what it did was committed. To do it once more must be
// harmless, and fn must return nil if all is done already.
func Repeat(fn func() error) (err error) {
	for range 3 {
		if err = fn(); !errors.Is(err, cache.ErrUncertain) {
			break
		}
	}
	return err
}

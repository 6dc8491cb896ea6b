// Package family is what deque, index, sync and memo have in common, which make their
// collections of those of package cache: causes of their errors, and how they go on
// when a commit is uncertain.
package family

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
)

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
// harmless, and fn must return nil if all is done already. If it fails otherwise then,
// what it did before is still not known: the error is both.
func Repeat(fn func() error) error {
	var uncertain error
	for range 3 {
		err := fn()
		if err == nil {
			return nil
		}
		if !errors.Is(err, cache.ErrUncertain) {
			if uncertain != nil {
				err = fmt.Errorf("%w; then: %w", uncertain, err)
			}
			return err
		}
		uncertain = err
	}
	return uncertain
}

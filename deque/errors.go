package deque

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
)

// Errors that operations return inside a [*cache.Error], beside those of
// package cache; compare with [errors.Is].
var (
	// ErrOutOfRange means that there is no item at a position.
	ErrOutOfRange = errors.New("no item at this position")

	// ErrLost means that a claim is over: the item was acknowledged or given
	// back before, its lease has ended and it has come back, or the deque was
	// cleared. Nothing was changed.
	ErrLost = errors.New("the claim is over")
)

// fail makes an error of this package's operation of err.
func (d *Deque[T]) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var inner *cache.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return &cache.Error{Op: op, Collection: d.Name(), Err: err}
}

// ended returns why ctx has ended, or nil.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); err != nil && !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// refusal is an error that does not spoil the transaction: what it is a part of
// can go on, and what was written before it stays.
type refusal struct{ error }

func errEncode(name string, err error) error {
	return fmt.Errorf("the item cannot be encoded with codec %q: %w", name, err)
}

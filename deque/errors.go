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

	// ErrLost means that a claim has ended: by an Ack or a Nack before, since the
	// lease has ended and the item has come back, or since the deque was cleared.
	// Nothing was changed.
	ErrLost = errors.New("the claim is over")
)

// fail makes an error of this package's operation of err.
func (d *Deque[T]) fail(ctx context.Context, op string, err error) error {
	return cache.WrapError(ctx, op, d.Name(), err)
}

// refusal is an error that does not spoil the transaction: what it is a part of
// can go on, and what was written before it stays.
type refusal struct{ error }

func errEncode(name string, err error) error {
	return fmt.Errorf("the item cannot be encoded with codec %q: %w", name, err)
}

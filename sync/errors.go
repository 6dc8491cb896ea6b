package sync

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
)

// Errors that operations return inside an [*Error]; compare with errors.Is.
// Those of package cache, such as cache.ErrClosed, cache.ErrInvalid and
// cache.ErrTimeout, come up as well. When a context ends, the error is also
// its context.Canceled or context.DeadlineExceeded.
var (
	// ErrNotHeld means that what was to be released is not held: it was
	// released before, or is less than that.
	ErrNotHeld = errors.New("not held")

	// ErrLost means that a hold ended before it was released: its maximum
	// time was over, Break took it away, its store was closed, its row was
	// removed, or the store's session was lost: see [cache.Store.Session].
	ErrLost = errors.New("hold was lost")

	// ErrRecursive means that what the caller asks for could not be granted
	// before it releases what it holds: it was given the context of its own
	// guard or permit. An [RLock] can be taken again.
	ErrRecursive = errors.New("the caller would wait for itself")

	// ErrHeld means that what was to be dropped is held, or waited for.
	ErrHeld = errors.New("held or waited for")

	// ErrSize means that a semaphore exists with another number of permits.
	ErrSize = errors.New("semaphore has another size")
)

// errInTx is the cache.ErrInTx of what waits for others.
var errInTx = fmt.Errorf("a transaction holds up whoever could release it, take it before: %w", cache.ErrInTx)

// Error says which operation failed. It contains no names, which may be
// secret.
type Error struct {
	Op  string // method or function, such as "Unlock"
	Err error
}

// Error returns the message.
func (e *Error) Error() string { return "sync: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// fail makes an *Error of err, once.
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*Error); ok {
		return err
	}
	return &Error{Op: op, Err: err}
}

// ended returns why ctx has ended: its error, and the cause if that is
// another.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// invalid returns a cache.ErrInvalid with details.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{cache.ErrInvalid}, args...)...)
}

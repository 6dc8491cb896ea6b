package memo

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-diskcache/diskcache/cache"
)

// ErrRecursive means that a function called itself, through its Memo, with the
// argument that it was computing. It would have waited for itself.
var ErrRecursive = errors.New("function needs the result that it is computing")

// ErrGoexit is in the [PanicError] where runtime.Goexit was called, as
// testing.T.FailNow does.
var ErrGoexit = errors.New("runtime.Goexit was called")

// PanicError is what everybody gets who waits for a function that panicked or
// called runtime.Goexit, or if a codec or a function of [Options] did.
type PanicError struct {
	Value any    // of the panic, or ErrGoexit
	Stack []byte // of the goroutine, as debug.Stack formats it
}

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("memo: panic in a computation: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// StoredError is an error that [Options].CacheError kept. Only its message was
// stored.
type StoredError struct{ Message string }

// Error returns the message of the error that the function returned.
func (e *StoredError) Error() string { return e.Message }

var errInTx = fmt.Errorf("nobody can compute a result while this transaction keeps all writers waiting: %w", cache.ErrInTx)

// fail makes a *cache.Error of err, of an operation of m.
func (m *Memo[A, R]) fail(op string, err error) error {
	if err == nil {
		return nil // without making the name
	}
	return cache.WrapError(context.Background(), op, "memo/"+m.name, err)
}

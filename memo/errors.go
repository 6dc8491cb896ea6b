package memo

import (
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

// Error says which operation failed, and on which Memo. Errors of the function
// are returned as they are.
type Error struct {
	Op   string // method or function, such as "Call"
	Name string // of the Memo
	Err  error
}

// Error returns the message.
func (e *Error) Error() string { return fmt.Sprintf("memo: %s of %q: %v", e.Op, e.Name, e.Err) }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

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

var errInTx = fmt.Errorf("a memo is not for use in a transaction, call it before: %w", cache.ErrInTx)

func (m *Memo[A, R]) fail(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cache.ErrInTx): // without the advice to bind it, which it cannot be
		err = errInTx
	}
	return &Error{Op: op, Name: m.name, Err: err}
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{cache.ErrInvalid}, args...)...)
}

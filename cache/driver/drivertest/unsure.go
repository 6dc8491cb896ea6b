package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Unsure is a store that loses the connection while it commits, when a test wants it
// to: for tests of what is done after [driver.ErrUncertain].
type Unsure struct {
	driver.Store
	Commits bool         // whether it commits before that
	Next    atomic.Int64 // of so many transactions, those that fail aside
	Skip    atomic.Int64 // so many transactions before those are certain
	After   func()       // called, if not nil, after each of them

	Then atomic.Pointer[error] // what the transaction after those fails with, if not nil
}

// Update implements [driver.Store].
func (u *Unsure) Update(ctx context.Context, mode driver.Mode, fn func(driver.Tx) error, touches ...driver.Collection) error {
	if u.Next.Load() <= 0 {
		if err := u.Then.Swap(nil); err != nil {
			return *err
		}
	}
	if u.Next.Load() <= 0 || u.Skip.Add(-1) >= 0 {
		return u.Store.Update(ctx, mode, fn, touches...)
	}
	undo := errors.New("undo")
	err := u.Store.Update(ctx, mode, func(tx driver.Tx) error {
		if err := fn(tx); err != nil || u.Commits {
			return err
		}
		return undo
	}, touches...)
	if err != nil && err != undo {
		return err
	}
	u.Next.Add(-1)
	if u.After != nil {
		u.After()
	}
	return fmt.Errorf("connection reset: %w", driver.ErrUncertain)
}

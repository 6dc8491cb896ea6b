package drivertest

import (
	"context"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Fickle is a store whose session is refused or lost when a test wants it to
// be: for tests of what is built on sessions.
type Fickle struct {
	driver.Store

	open func() driver.Store

	mu      sync.Mutex
	refused error
	holder  driver.Store // whose session is this one's; nil if there is none
	lost    chan struct{}
}

// NewFickle returns a store that is s but for its session. open opens the same
// data once more, with a session of its own, as package memory's Data.Open
// does.
func NewFickle(s driver.Store, open func() driver.Store) *Fickle {
	return &Fickle{Store: s, open: open}
}

// Refuse has Session fail with err instead of beginning a session, until it is
// called with nil.
func (f *Fickle) Refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = err
}

// Lose has the session be lost, if there is one.
func (f *Fickle) Lose() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holder == nil {
		return nil
	}
	close(f.lost)
	err := f.holder.Close()
	f.holder = nil
	return err
}

// Session implements [driver.Store].
func (f *Fickle) Session(ctx context.Context) (name string, lost <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ReadOnly() {
		return f.Store.Session(ctx)
	}
	if _, err := f.Store.Alive(ctx, ""); err != nil { // it is closed, or the context has ended
		return "", nil, err
	}
	if f.holder == nil {
		if f.refused != nil {
			return "", nil, f.refused
		}
		f.holder, f.lost = f.open(), make(chan struct{})
	}
	name, _, err = f.holder.Session(ctx)
	return name, f.lost, err
}

// Close implements [driver.Store].
func (f *Fickle) Close() error {
	err := f.Store.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holder == nil {
		return err
	}
	closed := f.holder.Close()
	f.holder = nil
	if err == nil {
		err = closed
	}
	return err
}

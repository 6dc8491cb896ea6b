package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// What is exported in this file is for packages that make structures of their own
// of collections, as deque, index, sync and memo do: see "Building on it" in the
// package documentation.

// WrapError returns err as an [*Error] of the operation op on a collection, and nil
// if err is nil. Where err is an *Error already, that of an operation which op
// consists of, only its cause is kept: a user reads the name of what was called,
// once. A context that has ended with a cause of its own, which is what engines
// report, is also its context.Canceled or context.DeadlineExceeded.
func WrapError(ctx context.Context, op, collection string, err error) error {
	if err == nil {
		return nil
	}
	for {
		inner, ok := err.(*Error)
		if !ok {
			break
		}
		err = inner.Err
	}
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return &Error{Op: op, Collection: collection, Err: err}
}

// Step is Update for the steps of collections that are made of this one and others,
// such as a lock's or a queue's: short, and not one that a user's function makes
// longer. fn may run again after a rollback, so it has no effects of its own but on
// variables that it sets anew each time, waits for nothing, and leaves to
// [Tx.AfterCommit] what is to happen once. Steps of several goroutines may be
// committed together, and an engine may run steps at the same time that touch
// different collections.
//
// fn is going to use c and others, as far as the caller knows: engines that lock
// collections lock those first.
func (c *Cache[K, V]) Step(ctx context.Context, fn func(tx *Tx) error, others ...Collection) error {
	touches := c.shared.touches
	if len(others) > 0 {
		touches = append(make([]driver.Collection, 0, 1+len(others)), touches...)
		for _, other := range others {
			touches = append(touches, other.collection())
		}
	}
	return c.transact(ctx, "Step", driver.Own, touches, fn)
}

// Collection is any [Cache], whatever its types.
type Collection interface {
	Name() string
	collection() driver.Collection
}

func (c *Cache[K, V]) collection() driver.Collection { return c.dc }

// Logger returns [StoreOptions].Logger, or one that discards everything. A
// package tells it what no caller of the package is told.
func (s *Store) Logger() *slog.Logger { return s.log }

// Now returns the time by the store's clock: see [StoreOptions].Now.
func (s *Store) Now() time.Time { return s.now() }

// TxOf returns the running transaction of this store that ctx carries, see
// [Tx.Context], or nil.
func (s *Store) TxOf(ctx context.Context) *Tx { return s.txOf(ctx) }

// Session returns the name of this store's session, and begins one if there is
// none. The session ends with Close or with the process, however that dies.
// What must not outlive its holder, such as a lock or a lease, is stored with the
// name of the holder's session; a process that wants it asks [Store.Alive].
//
// lost is closed if the session ends while the store is open, for instance
// because the directory was replaced by another one. What was held in the session
// is held no longer then, and the next call begins another session. Close does
// not close lost.
//
// Session fails if the session cannot be made known to other processes, since
// they would take it for ended. In a read-only store that is ErrReadOnly.
func (s *Store) Session(ctx context.Context) (name string, lost <-chan struct{}, err error) {
	name, lost, err = s.engine.Session(ctx)
	return name, lost, WrapError(ctx, "Session", "", err)
}

// Alive reports whether a session has not ended yet. It needs no clock: a
// process that is stopped or slow is alive. With a context of [Tx.Context] it is
// asked as a part of that transaction.
func (s *Store) Alive(ctx context.Context, session string) (ok bool, err error) {
	if tx := s.txOf(ctx); tx != nil {
		err = tx.do(ctx, false, func(dt driver.Tx) (err error) {
			ok, err = dt.Alive(ctx, session)
			return err
		})
	} else {
		ok, err = s.engine.Alive(ctx, session)
	}
	return ok, WrapError(ctx, "Alive", "", err)
}

// WatchSession returns a channel that is closed when one of the sessions has
// ended, at once if one has ended already, and a function that ends the watch.
// Close closes the channel too: look with [Store.Alive] then. To miss nothing,
// watch, then look, then wait.
func (s *Store) WatchSession(sessions ...string) (ended <-chan struct{}, stop func(), err error) {
	ended, stop, err = s.engine.WatchSession(sessions...)
	return ended, stop, WrapError(context.Background(), "WatchSession", "", err)
}

// Listen calls fn with each message that [Store.Signal] sends to name, on a goroutine
// of its own and for one at a time, until stop is called. No other listener may have
// the name: it should have the name of a session in it. own says that a process of the
// same user has sent the message; any process on the machine may. fn must not wait, nor
// keep the message. Listen fails with errors.ErrUnsupported where processes cannot be
// told but by Watch.
func (s *Store) Listen(name string, fn func(message []byte, own bool)) (stop func(), err error) {
	e, err := driver.As[driver.Signaler](s.engine)
	if err == nil {
		stop, err = e.Listen(name, fn)
	}
	return stop, WrapError(context.Background(), "Listen", "", err)
}

// Signal sends a message of up to 1024 bytes to the listener of name, in any process.
// It does not wait, and fails if the message will not be heard, because there is no
// listener or it has no room for more, and with errors.ErrUnsupported as Listen does.
func (s *Store) Signal(name string, message []byte) error {
	e, err := driver.As[driver.Signaler](s.engine)
	if err == nil {
		err = e.Signal(name, message)
	}
	return WrapError(context.Background(), "Signal", "", err)
}

// Fence returns the next number of a counter that belongs to the store and that
// all of its users share, locks among them. Of the numbers of transactions that
// are committed the later one is the higher, so that of two holders of a lease
// the later one has the higher number. A number whose transaction is rolled
// back is given out again.
func (t *Tx) Fence() (n int64, err error) {
	err = t.do(t.ctx, true, func(dt driver.Tx) (err error) {
		n, err = dt.Fence(t.ctx)
		return err
	})
	return n, WrapError(t.ctx, "Fence", "", err)
}

// closing is what is to be done when a Store is closed.
type closing struct {
	mu    sync.Mutex
	begun bool
	next  int
	fns   map[int]func()
}

// AtClose has fn called when Close begins, while the store can still be used:
// in fn a package ends its goroutines, and gives back what other processes wait
// for. Functions run one after another, on the goroutine of Close, the last
// registered first. cancel takes fn back, and does nothing once it runs. After
// Close has begun, AtClose fails with ErrClosed.
func (s *Store) AtClose(fn func()) (cancel func(), err error) {
	c := &s.closing
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun {
		return nil, &Error{Op: "AtClose", Err: ErrClosed}
	}
	if c.fns == nil {
		c.fns = map[int]func(){}
	}
	id := c.next
	c.next++
	c.fns[id] = fn
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.fns, id)
	}, nil
}

// begin runs the functions, once.
func (c *closing) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	for c.next--; c.next >= 0; c.next-- {
		fn := c.fns[c.next]
		delete(c.fns, c.next)
		if fn == nil {
			continue
		}
		c.mu.Unlock()
		fn()
		c.mu.Lock()
	}
}

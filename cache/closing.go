package cache

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// closing is what is to be done when a Store is closed.
type closing struct {
	mu    sync.Mutex
	begun bool
	next  int
	fns   map[int]func()
}

// AtClose has fn called when Close begins, while the store can still be used:
// whoever builds on Store ends its goroutines in fn, and gives back what other
// processes wait for. Functions run one after another, on the goroutine of
// Close, the last registered first. cancel takes fn back, and does nothing
// once it runs. After Close has begun, AtClose fails with ErrClosed.
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

// Logger returns [StoreOptions].Logger, or one that discards everything: whoever
// builds on Store tells it what no caller is told.
func (s *Store) Logger() *slog.Logger { return s.log }

// Now returns the time by the store's clock: see [StoreOptions].Now.
func (s *Store) Now() time.Time { return s.now() }

// TxOf returns the running transaction of this store that ctx carries, see
// [Tx.Context], or nil.
func (s *Store) TxOf(ctx context.Context) *Tx { return s.txOf(ctx) }

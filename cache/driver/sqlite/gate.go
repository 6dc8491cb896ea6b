package sqlite

import (
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// gate counts the calls that run on a handle. After close every call fails at enter, and
// close returns when the last call has left. A call costs two atomic additions. It is no
// lock, since every read passes the gate.
type gate struct {
	state atomic.Int64 // calls inside; plus gateClosed after close
	empty atomic.Pointer[chan struct{}]
}

const gateClosed = 1 << 62

// enter fails with [driver.ErrClosed] after close.
func (g *gate) enter() error {
	if g.state.Add(1) > gateClosed {
		g.leave()
		return driver.ErrClosed
	}
	return nil
}

// leave ends a call.
func (g *gate) leave() {
	if g.state.Add(-1) == gateClosed {
		if ch := g.empty.Swap(nil); ch != nil {
			close(*ch)
		}
	}
}

// close closes the gate and waits until no call is inside. It reports false,
// without waiting, if the gate was closed before.
func (g *gate) close() bool {
	ch := make(chan struct{})
	// The extra caller keeps the count from reaching "empty" before ch is in
	// place.
	for {
		n := g.state.Load()
		if n >= gateClosed {
			return false
		}
		if g.state.CompareAndSwap(n, n+gateClosed+1) {
			break
		}
	}
	g.empty.Store(&ch)
	g.leave()
	<-ch
	return true
}

package postgres

import (
	"context"
	"sync"
	"time"
)

// views are the Views of a store that run. What they may need of the time before is kept
// until they have ended.
type views struct {
	mu      sync.Mutex
	next    uint64 // number of the next one
	running map[uint64]bool

	pinning sync.Mutex
	swept   uint64 // no value is swept while a View runs with a lower number; 0: no such View; guarded by pinning
}

func (vs *views) begin() (n uint64) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.running == nil {
		vs.running = make(map[uint64]bool)
	}
	vs.next++
	vs.running[vs.next] = true
	return vs.next
}

// now returns the number that separates the Views that have begun from those that will,
// or 0 if none is running.
func (vs *views) now() uint64 {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if len(vs.running) == 0 {
		return 0
	}
	return vs.next + 1
}

// over reports whether all Views before such a number have ended.
func (vs *views) over(before uint64) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for n := range vs.running {
		if n < before {
			return false
		}
	}
	return true
}

// endView forgets what only a View needed that has ended.
func (s *Store) endView(n uint64) {
	vs := &s.views
	vs.mu.Lock()
	delete(vs.running, n)
	vs.mu.Unlock()
	s.marks.forgetWritten(vs)
	vs.pinning.Lock()
	defer vs.pinning.Unlock()
	if vs.swept != 0 && vs.over(vs.swept) {
		vs.swept = 0
		s.pins.remove(s, sweeping)
		s.unswept.Store(true)
	}
}

// sweeping is a value that is not there, whose lock keeps everybody from sweeping.
const sweeping = -1

// keepTimeout bounds the wait for a sweep that is under way.
const keepTimeout = 5 * time.Second

// keepValues has no program sweep values until the Views have ended that run now and may
// see those that a transaction is about to remove.
func (s *Store) keepValues(ctx context.Context) {
	vs := &s.views
	vs.pinning.Lock()
	defer vs.pinning.Unlock()
	now := vs.now()
	if now == 0 {
		return
	}
	if vs.swept == 0 {
		ctx, cancel := context.WithTimeout(ctx, keepTimeout)
		defer cancel()
		if err := s.pins.add(ctx, s, sweeping); err != nil {
			s.options.Logger.Warn("values may go before a View has ended that sees them", "err", err)
			return
		}
	}
	vs.swept = now
}

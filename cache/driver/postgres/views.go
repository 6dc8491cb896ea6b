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
	leaving int           // commits that leave values to be swept, and began when no View ran
	left    chan struct{} // closed when the last of them is over

	pinning sync.Mutex // guards what follows
	pinned  bool       // no value is swept
	pinners int        // commits that leave values to be swept, and began when Views ran
	swept   uint64     // Views with a lower number may see such values; 0: none does
}

// begin begins a View, which has to wait for ready, if it is not nil, before it looks:
// it might see what such a commit leaves to be swept.
func (vs *views) begin() (n uint64, ready <-chan struct{}) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.leaving > 0 {
		ready = vs.left
	}
	if vs.running == nil {
		vs.running = make(map[uint64]bool)
	}
	vs.next++
	vs.running[vs.next] = true
	return vs.next, ready
}

// leave reports whether no View runs. Those that begin then wait for endLeave.
func (vs *views) leave() bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if len(vs.running) > 0 {
		return false
	}
	if vs.leaving++; vs.leaving == 1 {
		vs.left = make(chan struct{})
	}
	return true
}

func (vs *views) endLeave() {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.leaving--; vs.leaving == 0 {
		close(vs.left)
	}
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
	s.unpin()
}

// unpin lets values be swept if no View may see them. The caller has pinning.
func (s *Store) unpin() {
	vs := &s.views
	if vs.pinned && vs.pinners == 0 && vs.over(vs.swept) {
		vs.pinned = false
		s.pins.remove(s, sweeping)
		s.unswept.Store(true)
	}
}

// sweeping is a value that is not there, whose lock keeps everybody from sweeping.
const sweeping = -1

// keepTimeout bounds the wait for a sweep that is under way.
const keepTimeout = 5 * time.Second

// keepValues keeps values for Views that see them as they were before a commit, of which
// it is told before and, by done, after. Until then nobody knows which Views those are:
// no program sweeps, or, if no View runs, those that begin wait.
func (s *Store) keepValues(ctx context.Context) (done func()) {
	vs := &s.views
	if vs.leave() {
		return vs.endLeave
	}
	vs.pinning.Lock()
	defer vs.pinning.Unlock()
	if !vs.pinned {
		ctx, cancel := context.WithTimeout(ctx, keepTimeout)
		defer cancel()
		if err := s.pins.add(ctx, s, sweeping); err != nil {
			s.options.Logger.Warn("values may go before a View has ended that sees them", "err", err)
			return func() {}
		}
		vs.pinned = true
	}
	vs.pinners++
	return func() {
		vs.pinning.Lock()
		defer vs.pinning.Unlock()
		vs.pinners--
		vs.swept = vs.now()
		s.unpin()
	}
}

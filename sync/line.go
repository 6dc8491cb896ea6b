package sync

import (
	"context"
	"slices"

	"github.com/go-diskcache/diskcache/cache"
)

// line is the queue of this process for one row.
type line struct {
	waiters []*waiter     // the first one waits for other processes
	changed chan struct{} // has room for one: the row may have changed
	claim   claim         // of the first waiter; with a token, it was heard to be a hold; guarded by space.mu
}

type waiter struct {
	turn chan struct{} // closed when the waiter is the first of its line
}

// join puts a waiter at the end of a line.
func (s *space) join(key string) (*line, *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[key]
	if l == nil {
		l = &line{changed: make(chan struct{}, 1)}
		s.lines[key] = l
	}
	w := &waiter{}
	if len(l.waiters) > 0 {
		w.turn = make(chan struct{})
	}
	l.waiters = append(l.waiters, w)
	return l, w
}

// leave takes a waiter out of its line.
func (s *space) leave(key string, l *line, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(l.waiters, w)
	l.waiters = slices.Delete(l.waiters, i, i+1)
	switch {
	case len(l.waiters) == 0:
		delete(s.lines, key)
	case i == 0:
		close(l.waiters[0].turn)
	}
}

// lined reports whether anybody in this process waits for a row.
func (s *space) lined(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[key] != nil
}

// expect makes c the claim that the first of a line waits for.
func (s *space) expect(l *line, c *claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.claim = *c
}

// hear is told that a claim has become a hold or, without a token, that its row
// is to be looked at. What is not a claim of this space changes nothing.
func (s *space) hear(key string, c *claim) {
	s.mu.Lock()
	if l := s.lines[key]; l != nil && l.claim.is(c) {
		if l.claim.Token == 0 {
			l.claim.Token, l.claim.Since = c.Token, c.Since
		}
		signal(l.changed)
	}
	var lost *hold
	for h := range s.observed {
		if h.key == key && h.claim.is(c) {
			lost = h
		}
	}
	s.mu.Unlock()
	if lost != nil {
		lost.look()
	}
}

// heard returns the hold that the claim of a line's first waiter has become, if
// that was heard of.
func (s *space) heard(l *line) *claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.claim.Token == 0 {
		return nil
	}
	h := l.claim
	return &h
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // one is enough
	}
}

// await waits until w is the first of its line.
func (s *space) await(ctx context.Context, w *waiter) error {
	if w.turn == nil {
		return nil
	}
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	case <-s.closed:
		return cache.ErrClosed
	}
}

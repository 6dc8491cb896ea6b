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

// poke tells the first of a line to look at its row.
func (s *space) poke(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lines[key]; l != nil {
		signal(l.changed)
	}
}

// hear is told that a row has changed for somebody in this process.
func (s *space) hear(key string) {
	s.poke(key)
	s.mu.Lock()
	var observed []*hold
	for h := range s.observed {
		if h.key == key {
			observed = append(observed, h)
		}
	}
	s.mu.Unlock()
	for _, h := range observed {
		h.look()
	}
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

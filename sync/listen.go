package sync

import (
	"context"
	"time"
)

const (
	// rest is the least time between two looks at rows because something in
	// the collection has changed, where no rings are heard.
	rest = 5 * time.Millisecond

	// linger is how long the listener stays when nobody waits any more.
	linger = time.Second
)

// longRest is the least time between two looks where rings are heard. Then
// Watch is the net below, for changes that nobody tells of, such as a row that
// is deleted: every change would wake every process that waits. Tests do
// without.
var longRest = time.Second

// listener is the goroutine that wakes those who wait when another process
// has changed their row. It lives while there is interest, and a little
// longer.
//
// A process that is granted a claim is told by a ring. One that cannot ring shouts
// instead, by a change of a collection that all listeners watch and that is
// not changed for anything else.
type listener struct {
	shouts *watch
	rows   *watch
	rings  bool          // rings are heard
	idle   chan struct{} // has room for one: interest has ended
	ended  chan struct{} // the goroutine has ended
}

// listen registers interest in changes. If it returns nil, unlisten has to
// follow.
func (s *space) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.current.Load(); s.stopRings == nil && p != nil {
		s.stopRings = s.hearRings(p)
	}
	if s.listener == nil {
		l := &listener{
			shouts: &watch{of: s.shouts.Watch}, rows: &watch{of: s.rows.Watch},
			idle: make(chan struct{}, 1), ended: make(chan struct{}),
		}
		l.rings = s.stopRings != nil
		err := l.rows.begin()
		if err == nil && l.rings {
			err = l.shouts.begin()
		}
		if err != nil {
			l.end()
			return err
		}
		s.listener = l
		go s.run(l)
	}
	s.interests++
	return nil
}

func (s *space) unlisten() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interests--
	if s.interests == 0 && s.listener != nil {
		signal(s.listener.idle)
	}
}

func (s *space) run(l *listener) {
	defer close(l.ended)
	defer l.end()
	pause := time.NewTimer(time.Hour) // until rows are looked at again
	defer pause.Stop()
	var lingering <-chan time.Time
	changed := l.rows.changed
	var forgone *session
	for {
		var lost <-chan struct{}
		p := s.current.Load()
		if p != nil && p != forgone {
			lost = p.lost
		}
		select {
		case <-lost:
			s.forgo(p)
			forgone = p
		case <-l.shouts.changed:
			s.pokeAll()
		case <-changed:
			changed = nil
			if !l.rings {
				s.pokeAll()
				pause.Reset(rest)
			} else {
				l.rows.end()
				pause.Reset(longRest)
			}
		case <-pause.C:
			if l.rings && l.rows.begin() == nil {
				s.pokeAll() // for what has changed in between
			}
			changed = l.rows.changed
		case <-l.idle:
			lingering = time.After(linger)
		case <-lingering:
			lingering = nil
			if s.retire(l) {
				return
			}
		case <-s.closed:
			return
		}
	}
}

// watch is a Watch that can be interrupted.
type watch struct {
	of      func() (<-chan struct{}, func(), error)
	changed <-chan struct{} // nil while it does not watch
	stop    func()
}

func (w *watch) begin() (err error) {
	w.changed, w.stop, err = w.of()
	return err
}

func (w *watch) end() {
	if w.changed != nil {
		w.stop()
		w.changed = nil
	}
}

func (l *listener) end() {
	l.rows.end()
	l.shouts.end()
}

// shout tells all processes that wait for anything to look. What fails here
// they notice within longRest.
func (s *space) shout() {
	_ = s.shouts.Set(context.Background(), "", "")
}

// retire takes the listener away if there is no interest.
func (s *space) retire(l *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interests > 0 {
		return false
	}
	s.listener = nil
	return true
}

// pokeAll tells everybody who waits to look, and looks for those holds whose
// context is in use.
func (s *space) pokeAll() {
	s.mu.Lock()
	for _, l := range s.lines {
		signal(l.changed)
	}
	observed := make([]*hold, 0, len(s.observed))
	for h := range s.observed {
		observed = append(observed, h)
	}
	s.mu.Unlock()
	for _, h := range observed {
		h.look()
	}
	s.tidy()
}

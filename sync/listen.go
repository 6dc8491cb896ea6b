package sync

import (
	"context"
	"time"
)

const (
	// rest is the least time between two looks at rows because something in
	// the collection has changed. Who is granted a claim is told directly;
	// the collection's Watch is the net below, and for changes that nobody
	// tells of.
	rest = 5 * time.Millisecond

	// linger is how long the listener stays when nobody waits any more.
	linger = time.Second
)

// listener is the goroutine that wakes those who wait when another process
// has changed their row. It lives while there is interest, and a little
// longer.
type listener struct {
	changed <-chan struct{}
	stop    func()
	bell    *bell
	idle    chan struct{} // has room for one: interest has ended
	ended   chan struct{} // the goroutine has ended
}

// listen registers interest in changes. If it returns nil, unlisten has to
// follow.
func (s *space) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		changed, stop, err := s.rows.Watch()
		if err != nil {
			return err
		}
		l := &listener{changed: changed, stop: stop, idle: make(chan struct{}, 1), ended: make(chan struct{})}
		if s.st.Dir() != "" {
			l.bell = hang(s.owner, s.poke)
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
	defer l.stop()
	defer l.bell.remove()
	pause := time.NewTimer(0) // until the next look may come
	defer pause.Stop()
	var lingering <-chan time.Time
	changed := l.changed
	for {
		select {
		case <-changed:
			s.pokeAll()
			changed = nil
			pause.Reset(rest)
		case <-pause.C:
			changed = l.changed
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

// retire takes the listener away if there is no interest.
func (s *space) retire(l *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interests > 0 {
		return false
	}
	l.bell.remove() // before the next listener hangs one of the same name
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

// mourner waits for the end of a session, for all who are behind it.
type mourner struct {
	cancel context.CancelFunc
	tell   map[chan struct{}]int
}

// mourn makes ends those of the given sessions: dead receives when one of
// them has ended. Our own session is left out.
func (s *space) mourn(sessions map[string]bool, ends map[string]func(), dead chan struct{}) {
	for session, stop := range ends {
		if !sessions[session] {
			stop()
			delete(ends, session)
		}
	}
	for session := range sessions {
		if session != s.session && ends[session] == nil {
			ends[session] = s.awaitEnd(session, dead)
		}
	}
}

func (s *space) awaitEnd(session string, dead chan struct{}) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mourners[session]
	if m == nil {
		ctx, cancel := context.WithCancel(context.Background())
		m = &mourner{cancel: cancel, tell: map[chan struct{}]int{}}
		s.mourners[session] = m
		s.busy.Add(1)
		go func() {
			defer s.busy.Done()
			err := s.st.AwaitEnd(ctx, session)
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.mourners[session] == m {
				delete(s.mourners, session)
			}
			if err == nil {
				for ch := range m.tell {
					signal(ch)
				}
			}
		}()
	}
	m.tell[dead]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if m.tell[dead]--; m.tell[dead] == 0 {
			delete(m.tell, dead)
		}
		if len(m.tell) == 0 {
			if s.mourners[session] == m {
				delete(s.mourners, session)
			}
			m.cancel()
		}
	}
}

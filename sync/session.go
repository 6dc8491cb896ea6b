package sync

import (
	"context"
	"fmt"
)

// session is a session of the store, and what a space is called in it. Claims
// live and die with it.
type session struct {
	name  string
	owner string // of this space's claims
	lost  <-chan struct{}
}

func (p *session) isLost() bool {
	select {
	case <-p.lost:
		return true
	default:
		return false
	}
}

// errSession is why holds are lost with their session.
var errSession = fmt.Errorf("%w: the store's session ended while the store was open", ErrLost)

// session returns the session that the store is in, and begins one if need be.
func (s *space) session(ctx context.Context) (*session, error) {
	if p := s.current.Load(); p != nil && !p.isLost() {
		return p, nil
	}
	s.beginning.Lock()
	defer s.beginning.Unlock()
	p := s.current.Load()
	if p != nil && !p.isLost() {
		return p, nil
	}
	name, lost, err := s.st.Session(ctx)
	if err != nil {
		return nil, err
	}
	p = &session{name: name, owner: fmt.Sprintf("%s.%d", name, number.Add(1)), lost: lost}
	s.mu.Lock()
	old := s.stopRings
	s.stopRings = nil // it has the name of the session before
	s.current.Store(p)
	s.mu.Unlock()
	if old != nil {
		old()
	}
	return p, nil
}

// isOwn reports whether a session is the one that the store is in.
func (s *space) isOwn(name string) bool {
	p := s.current.Load()
	return p != nil && p.name == name && !p.isLost()
}

// isOwner reports whether a claim is one of this space, of whichever session.
func (s *space) isOwner(owner string) bool {
	p := s.current.Load()
	return p != nil && p.owner == owner
}

// forgo loses the holds of a session that was lost.
func (s *space) forgo(p *session) {
	s.mu.Lock()
	var holds []*hold
	for h := range s.holds {
		if h.session == p {
			holds = append(holds, h)
		}
	}
	s.mu.Unlock()
	for _, h := range holds {
		h.lose(errSession)
	}
}

package sync

import (
	"context"
	"fmt"
)

// session is a session of the store, and the name of the manager in it. A claim ends
// with its session.
type session struct {
	name  string
	owner string // claim.Owner of this manager's claims
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

// errSession is why the holds of a session are lost that was lost.
var errSession = fmt.Errorf("%w: the store's session ended while the store was open", ErrLost)

// session returns the session that the store is in, and begins one if need be.
func (m *manager) session(ctx context.Context) (*session, error) {
	if p := m.current.Load(); p != nil && !p.isLost() {
		return p, nil
	}
	m.beginning.Lock()
	defer m.beginning.Unlock()
	p := m.current.Load()
	if p != nil && !p.isLost() {
		return p, nil
	}
	name, lost, err := m.st.Session(ctx)
	if err != nil {
		return nil, err
	}
	before := p
	p = &session{name: name, owner: fmt.Sprintf("%s.%d", name, managerNumber.Add(1)), lost: lost}
	m.mu.Lock()
	old := m.stopWakes
	m.stopWakes = nil // it receives the wake-ups of the session before
	m.current.Store(p)
	m.mu.Unlock()
	if old != nil {
		old()
	}
	if before != nil {
		m.loseHolds(before) // the listener watches the new session from now on
	}
	return p, nil
}

// isOwn reports whether a session is the one that the store is in.
func (m *manager) isOwn(name string) bool {
	p := m.current.Load()
	return p != nil && p.name == name && !p.isLost()
}

// isOwner reports whether claims with owner are this manager's.
func (m *manager) isOwner(owner string) bool {
	p := m.current.Load()
	return p != nil && p.owner == owner
}

// loseHolds loses the holds of a session that was lost.
func (m *manager) loseHolds(p *session) {
	m.mu.Lock()
	var holds []*hold
	for h := range m.holds {
		if h.session == p {
			holds = append(holds, h)
		}
	}
	m.mu.Unlock()
	for _, h := range holds {
		h.lose(errSession)
	}
}

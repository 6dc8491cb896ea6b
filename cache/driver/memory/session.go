package memory

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// sessions numbers the sessions of this process.
var sessions atomic.Int64

// endWatch waits for the end of any of some sessions. It is in Data.ends until
// it is closed or stopped.
type endWatch struct {
	store    *Store
	sessions []string
	ended    chan struct{}
}

// close tells that one of the sessions has ended. The caller has data.mu.
func (w *endWatch) close() {
	delete(w.store.data.ends, w)
	close(w.ended)
}

// Session implements [driver.Store]. The session is never lost.
func (s *Store) Session(ctx context.Context) (name string, lost <-chan struct{}, err error) {
	if err := s.enter(ctx); err != nil {
		return "", nil, err
	}
	defer s.leave()
	if s.options.ReadOnly {
		return "", nil, driver.ErrReadOnly
	}
	d := s.data
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.session == "" {
		s.session = fmt.Sprintf("memory-%d", sessions.Add(1))
		d.sessions[s.session] = true
	}
	return s.session, nil, nil
}

// endSessions ends the session, and all that waits in this store for the ends of
// others. The caller has data.mu.
func (s *Store) endSessions() {
	delete(s.data.sessions, s.session)
	for w := range s.data.ends {
		if w.store == s || slices.Contains(w.sessions, s.session) {
			w.close()
		}
	}
}

// Alive implements [driver.Store].
func (s *Store) Alive(ctx context.Context, session string) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	return s.data.alive(session), nil
}

func (d *Data) alive(session string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[session]
}

// WatchSession implements [driver.Store].
func (s *Store) WatchSession(sessions ...string) (ended <-chan struct{}, stop func(), err error) {
	if err := s.enter(context.Background()); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	d := s.data
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &endWatch{store: s, sessions: slices.Clone(sessions), ended: make(chan struct{})}
	d.ends[w] = struct{}{}
	for _, name := range sessions {
		if !d.sessions[name] {
			w.close()
			break
		}
	}
	return w.ended, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.ends, w)
	}, nil
}

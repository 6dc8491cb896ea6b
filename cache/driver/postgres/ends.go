package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ends are the watches for ends of sessions. While there are any, one goroutine asks
// the server about all of their sessions, with one statement.
type ends struct {
	mu      sync.Mutex
	watches map[*endWatch]struct{}
	asking  bool
	look    chan struct{} // has an element when there is a new watch
}

// endWatch waits for the end of any of some sessions.
type endWatch struct {
	sessions []string
	ended    chan struct{}
}

// probeEvery is how often sessions are asked about that somebody waits for.
const probeEvery = 50 * time.Millisecond

// WatchSession implements [driver.Store].
func (s *Store) WatchSession(sessions ...string) (ended <-chan struct{}, stop func(), err error) {
	if err := s.enter(context.Background()); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	es := &s.ends
	w := &endWatch{sessions: slices.Clone(sessions), ended: make(chan struct{})}
	es.mu.Lock()
	defer es.mu.Unlock()
	es.watches[w] = struct{}{}
	select {
	case es.look <- struct{}{}:
	default:
	}
	if !es.asking {
		es.asking = true
		s.keepers.Go(s.awaitEnds)
	}
	return w.ended, func() {
		es.mu.Lock()
		defer es.mu.Unlock()
		delete(es.watches, w)
	}, nil
}

// awaitEnds closes what waits for sessions that have ended, until nobody waits.
func (s *Store) awaitEnds() {
	es := &s.ends
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.closing.Done():
			es.mu.Lock()
			defer es.mu.Unlock()
			for w := range es.watches {
				close(w.ended)
			}
			clear(es.watches)
			es.asking = false // what is watched from now on is closed by another one
			return
		case <-es.look:
		case <-tick.C:
		}
		es.mu.Lock()
		if len(es.watches) == 0 {
			es.asking = false
			es.mu.Unlock()
			return
		}
		var names []string
		for w := range es.watches {
			names = append(names, w.sessions...)
		}
		es.mu.Unlock()
		slices.Sort(names)
		names = slices.Compact(names)
		gone := make(map[string]bool)
		err := s.conns.with(s.closing, func(c *pgx.Conn) error {
			alive, err := s.probe(s.closing, c, names)
			for i, lives := range alive {
				gone[names[i]] = !lives
			}
			return err
		})
		if err != nil {
			continue // who does not know that a session has ended goes on waiting
		}
		es.mu.Lock()
		for w := range es.watches {
			if slices.ContainsFunc(w.sessions, func(name string) bool { return gone[name] }) {
				delete(es.watches, w)
				close(w.ended)
			}
		}
		es.mu.Unlock()
	}
}

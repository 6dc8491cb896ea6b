package shard

import (
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// watch waits for changes of any part of a collection.
type watch struct {
	changed chan struct{}
	stopped chan struct{}
	once    sync.Once
	waiting sync.WaitGroup
	stops   []func()
}

// Watch implements [driver.Store].
func (s *Store) Watch(h driver.Collection) (<-chan struct{}, func(), error) {
	c, err := s.own(h)
	if err != nil {
		return nil, nil, err
	}
	if len(c.parts) == 1 {
		return c.members[0].store.Watch(c.parts[0])
	}
	w := &watch{changed: make(chan struct{}, 1), stopped: make(chan struct{})}
	for i, m := range c.members {
		changed, stop, err := m.store.Watch(c.parts[i])
		if err != nil {
			w.stop()
			return nil, nil, err
		}
		w.stops = append(w.stops, stop)
		w.waiting.Go(func() { w.pass(changed) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches == nil {
		w.stop()
		return nil, nil, driver.ErrClosed
	}
	s.watches[w] = struct{}{}
	return w.changed, func() {
		s.mu.Lock()
		delete(s.watches, w)
		s.mu.Unlock()
		w.stop()
	}, nil
}

// pass passes signals of a part on.
func (w *watch) pass(changed <-chan struct{}) {
	for {
		select {
		case <-w.stopped:
			return
		case _, open := <-changed:
			w.signal()
			if !open {
				return
			}
		}
	}
}

func (w *watch) signal() {
	select {
	case w.changed <- struct{}{}:
	default: // one is enough
	}
}

// stop ends the watch. No signal comes afterwards.
func (w *watch) stop() {
	w.once.Do(func() {
		close(w.stopped)
		for _, stop := range w.stops {
			stop()
		}
	})
	w.waiting.Wait()
}

// close is stop when the store is closed.
func (w *watch) close() {
	w.stop()
	close(w.changed)
}

// Listen implements [driver.Signaler].
func (s *Store) Listen(name string, fn func(message []byte, own bool)) (stop func(), err error) {
	st, err := driver.As[driver.Signaler](s.first().store)
	if err != nil {
		return nil, err
	}
	return st.Listen(name, fn)
}

// Signal implements [driver.Signaler].
func (s *Store) Signal(name string, message []byte) error {
	st, err := driver.As[driver.Signaler](s.first().store)
	if err != nil {
		return err
	}
	return st.Signal(name, message)
}

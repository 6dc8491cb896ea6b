package memory

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// watcher waits for changes of one collection.
type watcher struct {
	store      *Store
	collection int64 // the table's id
	changed    chan struct{}
}

// signal wakes whoever waits. A signal that nobody has taken yet is enough.
func (w *watcher) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Watch implements [driver.Store].
func (s *Store) Watch(c driver.Collection) (<-chan struct{}, func(), error) {
	if err := s.enter(context.Background()); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	own, err := s.own(c)
	if err != nil {
		return nil, nil, err
	}
	d := s.data
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.Load().find(own) == nil {
		return nil, nil, driver.ErrClosed
	}
	w := &watcher{store: s, collection: own.id, changed: make(chan struct{}, 1)}
	d.watchers[w] = struct{}{}
	return w.changed, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, w)
	}, nil
}

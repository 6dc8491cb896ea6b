package memory

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Session implements [driver.Store].
func (s *Store) Session() string { return s.session }

// Alive implements [driver.Store].
func (s *Store) Alive(ctx context.Context, session string) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	return s.data.session(session) != nil, nil
}

// AwaitEnd implements [driver.Store].
func (s *Store) AwaitEnd(ctx context.Context, session string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	end := s.data.session(session)
	if end == nil {
		return nil
	}
	select {
	case <-end:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closing:
		return driver.ErrClosed
	}
}

// session returns what is closed at the end of a session, or nil if it has
// ended.
func (d *Data) session(name string) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[name]
}

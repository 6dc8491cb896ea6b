package sqlite

import "github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/notify"

// Messages between processes are package notify's datagrams: the store hands them on, and
// keeps a sender.

// Listen implements [driver.Signaler], on Linux; elsewhere it fails with
// [errors.ErrUnsupported]. To flood a name delays its messages.
func (s *Store) Listen(name string, fn func(message []byte, own bool)) (stop func(), err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	m, err := notify.Listen(name, fn)
	if err != nil {
		return nil, err
	}
	return m.Close, nil
}

// Signal implements [driver.Signaler].
func (s *Store) Signal(name string, message []byte) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.core.sender.Send(name, message)
}

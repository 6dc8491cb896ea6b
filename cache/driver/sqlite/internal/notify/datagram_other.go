//go:build !linux

package notify

import "errors"

// A Receiver is only to be had on Linux.
type Receiver struct{}

// Listen fails.
func Listen(string, func(message []byte, own bool)) (*Receiver, error) {
	return nil, errors.ErrUnsupported
}

// Close does nothing.
func (m *Receiver) Close() {}

// A Sender cannot send.
type Sender struct{}

// Send fails.
func (s *Sender) Send(string, []byte) error { return errors.ErrUnsupported }

// Close does nothing.
func (s *Sender) Close() {}

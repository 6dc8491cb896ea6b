// Package notify sends datagrams from one process of a machine to another, faster
// than a change of the database is seen.
//
// A [Mailbox] has a name, receives what any process of the network namespace sends to
// that name, and goes away with its process. A [Sender] sends and never waits. The
// package knows neither stores nor what the messages mean. Its locks are held for a
// system call and no other is taken meanwhile.
package notify

import "errors"

// MaxSize is the length in bytes of the longest message.
const MaxSize = 1024

var (
	// ErrSize says that a message is too long.
	ErrSize = errors.New("message is too long to be sent")

	// ErrClosed says that a Sender is closed.
	ErrClosed = errors.New("sender is closed")
)

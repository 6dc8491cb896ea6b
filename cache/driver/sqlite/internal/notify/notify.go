// Package notify wakes goroutines that wait for something which another process of
// the machine does.
//
// [Watchers] wakes those that wait for changes of a subject in a database. Commits of
// this process tell it directly; signals through a page of shared memory bring the
// commits of other processes, and looks at the database those of programs that do
// not signal, the external commits.
//
// A [Receiver] receives datagrams, which come faster than a change of the database is
// seen. It has a name, receives what any process of the network namespace sends to
// that name, and goes away with its process. A [Sender] sends and never waits.
//
// The package owns the goroutines that wait, and the use of the page. It knows
// neither stores nor SQL, nor what the messages mean. Lock order: Watchers.mu,
// signals.mu. Those of datagrams are held for a system call, and no other is taken
// meanwhile.
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

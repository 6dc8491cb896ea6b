//go:build !linux

package inotify

import "errors"

// The events have no meaning on this system.
const Once, Modified, Closed, Unlinked = Event(0), Event(0), Event(0), Event(0)

// Watch does not exist on this system.
type Watch struct{}

// Add fails with errors.ErrUnsupported.
func Add(string, Event, func()) (*Watch, error) { return nil, errors.ErrUnsupported }

func (w *Watch) Remove() {}

//go:build !linux

package sync

// bell is what wakes waiters of other processes faster than the collection's
// Watch does, and without waking others, where the system has something for
// it.
type bell struct{}

func hang(string, func(key string, c *claim)) *bell { return nil }

func (b *bell) remove() {}

// ringer rings the bells of other spaces.
type ringer struct{}

// ring says that everybody was told: without bells, all watch the rows.
func (r *ringer) ring(string, *claim) bool { return true }

func (r *ringer) close() {}

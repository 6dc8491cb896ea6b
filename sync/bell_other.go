//go:build !linux

package sync

// bell is what wakes waiters of other processes faster than the collection's
// Watch does, where the system has something for it.
type bell struct{}

func hang(string, func(key string)) *bell { return nil }

func (b *bell) remove() {}

func ring(owner, key string) {}

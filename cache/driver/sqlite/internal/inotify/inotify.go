// Package inotify tells when files are changed or closed. All watches of a
// process share one inotify instance; the kernel limits them per user. It
// exists on Linux only; elsewhere Add fails with errors.ErrUnsupported.
//
// The package owns that instance and the goroutine that reads it. It must not know what
// the files are. Lock order: instance.mu is held while the functions of watches run, and
// so comes before their locks.
package inotify

// Event is a set of what may happen to a file.
type Event uint32

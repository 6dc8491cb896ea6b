// Package inotify tells when files are changed or closed. All watches of a
// process share one descriptor of the kind, of which a user may have few. It
// exists on Linux only; elsewhere Add fails with errors.ErrUnsupported.
//
// The package owns that descriptor and the goroutine that reads it. It does not know what
// the files are. Its one lock is held while the functions of watches run: it comes before
// their locks.
package inotify

// Event is a set of what may happen to a file.
type Event uint32

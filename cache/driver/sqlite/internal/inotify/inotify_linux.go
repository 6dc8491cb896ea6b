package inotify

import (
	"encoding/binary"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// Once ends the watch after its first event.
	Once = Event(unix.IN_ONESHOT)
	// Modified: it, or in a folder a file, was written to.
	Modified = Event(unix.IN_MODIFY)
	// Closed: a process that could write to it has closed it, or died.
	Closed = Event(unix.IN_CLOSE_WRITE)
	// Unlinked: its name was taken away, or its rights were changed.
	Unlinked = Event(unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF)
)

// Watch is a wait for events.
type Watch struct {
	wd int32
	fn func()
}

// instance is the inotify instance of this process. It exists while there are
// watches.
type instance struct {
	mu      sync.Mutex
	f       *os.File
	fd      int
	watches map[int32][]*Watch // by the kernel's number
	count   int                // that were not removed yet
}

var sharedInstance instance

// Add has fn called when one of the events has happened to path after Add has
// returned. It may be called more often. fn is called on a goroutine that all
// watches share, with the package's lock held: it must not block, nor call Add or
// Remove. All watches of one path are to name the same events. A symbolic link at
// the end of path is not followed.
func Add(path string, events Event, fn func()) (*Watch, error) {
	s := &sharedInstance
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			return nil, os.NewSyscallError("inotify_init1", err)
		}
		s.fd, s.f = fd, os.NewFile(uintptr(fd), "inotify")
		s.watches = map[int32][]*Watch{}
		go readEvents(s.f)
	}
	wd, err := unix.InotifyAddWatch(s.fd, path, uint32(events)|unix.IN_DONT_FOLLOW)
	if err != nil {
		s.closeIfUnused()
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	w := &Watch{wd: int32(wd), fn: fn}
	s.watches[w.wd] = append(s.watches[w.wd], w)
	s.count++
	return w, nil
}

// Remove ends the watch. It waits for a running fn; afterwards fn is not called.
func (w *Watch) Remove() {
	s := &sharedInstance
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
	// Numbers are not used again, so that this finds nothing if the watch
	// has ended by itself.
	all := s.watches[w.wd]
	if i := slices.Index(all, w); i >= 0 && len(all) > 1 {
		s.watches[w.wd] = slices.Delete(all, i, i+1)
	} else if i >= 0 {
		delete(s.watches, w.wd)
		unix.InotifyRmWatch(s.fd, uint32(w.wd))
	}
	s.closeIfUnused()
}

// closeIfUnused ends readEvents. The descriptor is closed when that returns: that takes the
// kernel milliseconds, for which the caller of Remove does not wait.
func (s *instance) closeIfUnused() {
	if s.count == 0 && s.f != nil {
		s.f.Close()
		s.f = nil
	}
}

// readEvents calls the functions of the watches until f is closed.
func readEvents(f *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := f.Read(buf)
		if err != nil {
			sharedInstance.lose(f)
			return
		}
		dispatch(f, buf[:n])
	}
}

// lose ends an instance that cannot be read any more. Watches that there are
// stay silent; the next one begins anew.
func (s *instance) lose(f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == f {
		f.Close()
		s.f = nil
		clear(s.watches)
	}
}

func dispatch(f *os.File, b []byte) {
	s := &sharedInstance
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f != f {
		return
	}
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		b = b[unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:])):]
		if mask&unix.IN_Q_OVERFLOW != 0 { // of any watch
			for _, all := range s.watches {
				callAll(all)
			}
			continue
		}
		if mask&unix.IN_IGNORED != 0 { // the watch has ended, and told so
			delete(s.watches, wd)
			continue
		}
		callAll(s.watches[wd])
	}
}

func callAll(all []*Watch) {
	for _, w := range all {
		w.fn()
	}
}

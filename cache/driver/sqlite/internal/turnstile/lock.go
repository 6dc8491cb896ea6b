package turnstile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// fifoLock is an exclusive lock between processes that the kernel hands on and
// that ends with its holder. Within the process one caller at a time takes it,
// and the same one, or a timer on its behalf, gives it up.
//
// The kernel wakes one of the processes that wait when the lock is given up, but
// gives it to the first that asks: mostly to the one that has just given it up,
// and is awake. So that this one can let others go first, there is a queue, and a
// lock for its head: the process at the head waits for the lock itself, beside
// those that do not queue.
//
// The process that gets the lock writes the time into its file. That is a hint:
// where it cannot be written, the other processes take the holder for stopped.
//
// A system call that waits for a lock cannot be ended, so a wait happens on a
// goroutine of its own. If its caller gives up, the goroutine goes on waiting,
// and gives up what it gets unless the next caller has come by then.
type fifoLock struct {
	f    lockFile
	head lockFile
	path string                   // of f, once resolved
	isIn func(dir *osfs.Dir) bool // reports whether the files are still the directory's

	mu        sync.Mutex
	closed    bool          // the files are left to the goroutine that waits
	waiting   bool          // a goroutine waits for the lock
	abandoned bool          // nobody waits for that goroutine
	got       chan struct{} // it has the lock; has room for one
	waitErr   error
}

// lockFile is a file that can be locked, as [osfs.File] is.
type lockFile interface {
	io.ReaderAt
	io.WriterAt
	TryLock() (bool, error)
	TryLockShared() (bool, error)
	Lock() error
	Unlock()
	Close() error
}

// parked has the locks that were closed while a goroutine waited. To open the same
// one takes the goroutine over: where a holder does not move, and a store is
// opened and closed again and again, there is one and not one each time.
var parked = struct {
	sync.Mutex
	byPath map[string]*fifoLock
}{byPath: make(map[string]*fifoLock)}

func openLock(dir *osfs.Dir, lock, head string) (*fifoLock, error) {
	path := filepath.Join(dir.Path(), lock)
	parked.Lock()
	l := parked.byPath[path]
	parked.Unlock()
	if l != nil && l.reopen(dir) {
		return l, nil
	}
	f, err := dir.Shared(lock)
	if err != nil {
		return nil, err
	}
	h, err := dir.Shared(head)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l = newLock(f, h)
	l.path = path
	l.isIn = func(dir *osfs.Dir) bool { return dir.Has(f, lock) && dir.Has(h, head) }
	return l, nil
}

func newLock(f, head lockFile) *fifoLock {
	return &fifoLock{f: f, head: head, got: make(chan struct{}, 1)}
}

// park keeps l for reopen, or does so no more. The caller holds l.mu.
func (l *fifoLock) park(on bool) {
	l.closed = on
	parked.Lock()
	defer parked.Unlock()
	if on {
		parked.byPath[l.path] = l
	} else if parked.byPath[l.path] == l {
		delete(parked.byPath, l.path)
	}
}

// reopen takes a parked lock back, if its files are still those of the
// directory.
func (l *fifoLock) reopen(dir *osfs.Dir) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed || !l.isIn(dir) {
		return false
	}
	l.park(false)
	return true
}

// position is where a process waits for a fifoLock.
type position int

const (
	outsideQueue position = iota // beside those that queue
	endOfQueue                   // after all that wait already, in the queue or outside
)

const (
	// wakeUp is about how long it takes until a process runs that is woken up,
	// and maxWakeUp how many times that it may take on a busy machine.
	wakeUp    = 200 * time.Microsecond
	maxWakeUp = 10
)

// lock waits for the lock until ctx ends or the deadline, if there is one, has
// passed. It reports whether it had to wait.
func (l *fifoLock) lock(ctx context.Context, deadline time.Time, at position) (waited bool, err error) {
	l.mu.Lock()
	if !l.waiting {
		if at == outsideQueue {
			if ok, err := l.take(); ok || err != nil {
				l.mu.Unlock()
				return false, err
			}
		}
		l.waiting = true
		go l.await(at)
	}
	l.abandoned = false
	l.mu.Unlock()

	var expired <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		expired = t.C
	}
	var gaveUp error
	select {
	case <-l.got:
		return true, l.waitErr
	case <-ctx.Done():
		gaveUp = context.Cause(ctx)
	case <-expired:
		gaveUp = fmt.Errorf("%w in another process", driver.ErrTimeout)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		l.abandoned = true
		return true, gaveUp
	}
	<-l.got // it came at the last moment
	if l.waitErr == nil {
		l.unlock()
	}
	return true, gaveUp
}

// tryLock takes the lock if no process has it. It does not look at the queue: to do
// so would get in the way of a process that is just becoming its head.
func (l *fifoLock) tryLock() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting { // to try would give up what the goroutine has by now
		return false, nil
	}
	return l.take()
}

// take takes the lock if no process has it.
func (l *fifoLock) take() (bool, error) {
	ok, err := l.f.TryLock()
	if ok {
		l.stamp()
	}
	return ok, err
}

// stampAt is where the time stands in the lock's file: not at its beginning, which on
// Windows nobody can read while the lock is held.
const stampAt = 8

// stamp writes the time at which this process got the lock.
func (l *fifoLock) stamp() {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(time.Now().UnixNano()))
	l.f.WriteAt(b[:], stampAt)
}

// taken is the time at which some process last got the lock, as that process wrote
// it: it is there to be compared. Zero is unknown.
func (l *fifoLock) taken() int64 {
	var b [8]byte
	if _, err := l.f.ReadAt(b[:], stampAt); err != nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b[:]))
}

// isFree reports whether nobody has a lock, or there is an error, which shows
// when it is taken.
func isFree(f lockFile) bool {
	ok, err := f.TryLockShared()
	if ok {
		f.Unlock()
	}
	return ok || err != nil
}

// letGo waits while others are just being woken up, one to take the lock and the
// next to become the head of the queue: until there is a process at both places,
// or at none. If no process wants to be the head that is a wait for nothing, but not
// for long, and some process has the lock meanwhile.
func (l *fifoLock) letGo() {
	for range maxWakeUp {
		time.Sleep(wakeUp)
		if isFree(l.f) == isFree(l.head) {
			return
		}
	}
}

// await waits for the lock.
func (l *fifoLock) await(at position) {
	var err error
	if at == endOfQueue {
		l.letGo()
		err = l.head.Lock()
		if err == nil && l.dismissed() {
			return
		}
	}
	if err == nil {
		err = l.f.Lock()
		if at == endOfQueue {
			l.head.Unlock()
		}
	}
	if err == nil {
		l.stamp()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waitErr = err
	if !l.abandoned {
		l.waiting = false
		l.got <- struct{}{}
		return
	}
	if err == nil {
		l.unlock()
	}
	l.end()
}

// dismissed has the goroutine that waits give up at the head of the queue if
// nobody waits for it any more.
func (l *fifoLock) dismissed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.abandoned {
		return false
	}
	l.head.Unlock()
	l.end()
	return true
}

// end is the end of a goroutine that nobody waits for.
func (l *fifoLock) end() {
	l.waiting = false
	if l.closed {
		l.park(false)
		l.f.Close()
		l.head.Close()
	}
}

func (l *fifoLock) unlock() { l.f.Unlock() }

// close closes the files. A goroutine that still waits does so when it is
// done.
func (l *fifoLock) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		l.park(true)
		return nil
	}
	return errors.Join(l.f.Close(), l.head.Close())
}

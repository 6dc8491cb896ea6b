package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// fileLock is an exclusive lock between processes that the kernel hands on and
// that ends with its holder. Within the process one caller at a time takes it,
// and he or somebody on his behalf releases it.
//
// The kernel wakes one of those who wait when the lock is released, but gives it
// to whoever asks first: mostly to the one who has just released it, and is
// awake. So that he can let others go first, there is a line, and a lock for its
// head: who holds that waits for the lock itself, beside those who do not line
// up.
//
// A system call that waits for a lock cannot be ended, so a wait happens on a
// goroutine of its own. If its caller gives up, the goroutine goes on waiting,
// and releases what it gets unless the next caller has come by then.
type fileLock struct {
	path string // of f, once resolved
	f    *osfs.File
	head *osfs.File

	mu        sync.Mutex
	closed    bool          // the files are left to the goroutine that waits
	waiting   bool          // a goroutine waits for the lock
	abandoned bool          // nobody waits for that goroutine
	got       chan struct{} // it has the lock; has room for one
	waitErr   error
}

// parked has the locks that were closed while a goroutine waited. Who opens the
// same one takes the goroutine over: where a holder does not move, and a store is
// opened and closed again and again, there is one and not one each time.
var parked struct {
	sync.Mutex
	byPath map[string]*fileLock
}

func openFileLock(dir *osfs.Dir) (*fileLock, error) {
	path := filepath.Join(dir.Path(), lockName)
	parked.Lock()
	l := parked.byPath[path]
	parked.Unlock()
	if l != nil && l.reopen(dir) {
		return l, nil
	}
	f, err := dir.Shared(lockName)
	if err != nil {
		return nil, err
	}
	head, err := dir.Shared(lineName)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fileLock{path: path, f: f, head: head, got: make(chan struct{}, 1)}, nil
}

// park keeps l for reopen, or does so no more. The caller holds l.mu.
func (l *fileLock) park(on bool) {
	l.closed = on
	parked.Lock()
	defer parked.Unlock()
	switch {
	case on && parked.byPath == nil:
		parked.byPath = map[string]*fileLock{l.path: l}
	case on:
		parked.byPath[l.path] = l
	case parked.byPath[l.path] == l:
		delete(parked.byPath, l.path)
	}
}

// reopen takes a parked lock back, if its files are still those of the
// directory.
func (l *fileLock) reopen(dir *osfs.Dir) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed || !dir.Has(l.f, lockName) || !dir.Has(l.head, lineName) {
		return false
	}
	l.park(false)
	return true
}

// place is where one waits for a fileLock.
type place int

const (
	aside  place = iota // not in the line
	inLine              // in the line, but not before it has been tried to get the lock at once
	behind              // in the line, after those who wait already, there or aside
)

const (
	// wakeUp is about how long it takes until a process runs that is woken up,
	// and maxWakeUp how many times that it may take on a busy machine.
	wakeUp    = 200 * time.Microsecond
	maxWakeUp = 10
)

// lock waits for the lock until ctx ends or the deadline, if there is one,
// has passed.
func (l *fileLock) lock(ctx context.Context, deadline time.Time, at place) error {
	l.mu.Lock()
	if !l.waiting {
		if at != behind {
			ok, err := l.f.TryLock()
			if ok || err != nil {
				l.mu.Unlock()
				return translate(err)
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
		return translate(l.waitErr)
	case <-ctx.Done():
		gaveUp = context.Cause(ctx)
	case <-expired:
		gaveUp = fmt.Errorf("%w in another process", driver.ErrTimeout)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		l.abandoned = true
		return gaveUp
	}
	<-l.got // it came at the last moment
	if l.waitErr == nil {
		l.unlock()
	}
	return gaveUp
}

// tryLock takes the lock if nobody has it. It does not look at the line: to do so
// would get in the way of who is just becoming its head.
func (l *fileLock) tryLock() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting { // to try would release what the goroutine has by now
		return false, nil
	}
	ok, err := l.f.TryLock()
	return ok, translate(err)
}

// free reports whether nobody has the lock or waits for it, not even a
// goroutine of this process. The caller must not have it: to try a lock on the
// same open file would replace it.
func (l *fileLock) free() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting { // see tryLock
		return false
	}
	return isFree(l.f) && isFree(l.head)
}

// isFree reports whether nobody has a lock, or there is an error, which shows
// when it is taken.
func isFree(f *osfs.File) bool {
	ok, err := f.TryLockShared()
	if ok {
		f.Unlock()
	}
	return ok || err != nil
}

// letGo waits while others are just being woken up, one to take the lock and the
// next to become the head of the line: until there is somebody at both places,
// or nobody. If nobody wants to be the head that is a wait for nothing, but not
// for long, and somebody has the lock meanwhile.
func (l *fileLock) letGo() {
	for range maxWakeUp {
		time.Sleep(wakeUp)
		if isFree(l.f) == isFree(l.head) {
			return
		}
	}
}

// await waits for the lock.
func (l *fileLock) await(at place) {
	if at == behind {
		l.letGo()
	}
	var err error
	if at != aside {
		err = l.head.Lock()
		if err == nil && l.dismissed() {
			return
		}
	}
	if err == nil {
		err = l.f.Lock()
		if at != aside {
			l.head.Unlock()
		}
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

// dismissed has the goroutine that waits give up at the head of the line if
// nobody waits for it any more.
func (l *fileLock) dismissed() bool {
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
func (l *fileLock) end() {
	l.waiting = false
	if l.closed {
		l.park(false)
		l.f.Close()
		l.head.Close()
	}
}

func (l *fileLock) unlock() { l.f.Unlock() }

// close closes the files. A goroutine that still waits does so when it is
// done.
func (l *fileLock) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		l.park(true)
		return nil
	}
	return errors.Join(l.f.Close(), l.head.Close())
}

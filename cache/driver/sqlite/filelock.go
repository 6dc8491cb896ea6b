package sqlite

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// fileLock is an exclusive lock between processes that the kernel hands on and
// that ends with its holder. Within the process one caller at a time uses it.
//
// A system call that waits for a lock cannot be ended, so a wait happens on a
// goroutine of its own. If its caller gives up, the goroutine goes on waiting,
// and releases what it gets unless the next caller has come by then.
type fileLock struct {
	f *os.File

	mu        sync.Mutex
	waiting   bool          // a goroutine waits for the lock
	abandoned bool          // nobody waits for that goroutine
	got       chan struct{} // it has the lock; has room for one
	waitErr   error
}

func openFileLock(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &fileLock{f: f, got: make(chan struct{}, 1)}, nil
}

// lock waits for the lock until ctx ends or the deadline, if there is one,
// has passed.
func (l *fileLock) lock(ctx context.Context, deadline time.Time) error {
	l.mu.Lock()
	if !l.waiting {
		ok, err := tryLockFile(l.f)
		if ok || err != nil {
			l.mu.Unlock()
			return translate(err)
		}
		l.waiting = true
		go l.await()
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

func (l *fileLock) await() {
	err := lockFile(l.f)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = false
	l.waitErr = err
	if !l.abandoned {
		l.got <- struct{}{}
		return
	}
	if err == nil {
		l.unlock()
	}
	// The file was left to this goroutine if it was closed meanwhile.
	if l.f != nil && l.got == nil {
		l.f.Close()
	}
}

func (l *fileLock) unlock() { unlockFile(l.f) }

// close releases the file. A goroutine that still waits does so when it is
// done.
func (l *fileLock) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		l.got = nil
		return nil
	}
	return l.f.Close()
}

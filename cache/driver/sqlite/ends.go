package sqlite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/inotify"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// ends waits for the ends of sessions. All who wait for one share a goroutine,
// which stays for a while when nobody waits any more: whoever waits for a lock
// often waits for the same holder.
//
// The file system tells when the session's file is closed or loses its name,
// which is what happens when its process dies or closes the store. Only the
// lock on the file counts, which is looked at then: neither a process id nor
// a clock is trusted.
type ends struct {
	core *core

	mu   sync.Mutex
	by   map[string]*end // by session
	done bool
	all  sync.WaitGroup
}

// end is the end of a session that is waited for.
type end struct {
	came    chan struct{} // closed when the session has ended
	changed chan struct{} // has room for one: it may have
	stop    chan struct{} // closed when nobody waits any more

	// Guarded by ends.mu.
	waiters int
	unused  *time.Timer
	f       *osfs.File // the session's file, or nil
	err     error      // set before came is closed
}

const (
	// endEvery is how often is looked where nobody tells. A look is three
	// system calls.
	endEvery = 20 * time.Millisecond
	// endFirst is the time after which is looked again if the file was
	// closed, but its lock is not gone yet.
	endFirst = 50 * time.Microsecond
)

// Alive implements [driver.Store].
func (s *Store) Alive(ctx context.Context, session string) (bool, error) {
	if err := s.gate.enter(); err != nil {
		return false, err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return s.core.ends.alive(session)
}

// AwaitEnd implements [driver.Store].
func (s *Store) AwaitEnd(ctx context.Context, session string) error {
	// A session that has ended is told at once, and none of those whose
	// names are none is waited for.
	if ok, err := s.Alive(ctx, session); err != nil || !ok {
		return err
	}
	es := &s.core.ends
	e := es.join(session)
	if e == nil {
		return closedWhileWaiting()
	}
	defer es.leave(session, e)
	select {
	case <-e.came:
		return e.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closing:
		return closedWhileWaiting()
	}
}

func closedWhileWaiting() error {
	return fmt.Errorf("while waiting for a session: %w", driver.ErrClosed)
}

func (es *ends) init(c *core) {
	es.core = c
	es.by = make(map[string]*end)
}

// alive reports whether a session lives. Whoever asks for one that is waited
// for, as those do who contend for a lock, saves opening its file.
func (es *ends) alive(session string) (bool, error) {
	es.mu.Lock()
	if e := es.by[session]; e != nil && e.f != nil {
		ended, err := e.f.TryLockShared() // at once
		if ended {
			e.f.Unlock()
			signal(e.changed)
		}
		es.mu.Unlock()
		return !ended, translate(err)
	}
	es.mu.Unlock()
	return es.core.sessions.alive(session)
}

// join returns nil if the store is closed.
func (es *ends) join(session string) *end {
	es.mu.Lock()
	defer es.mu.Unlock()
	if es.done {
		return nil
	}
	e := es.by[session]
	if e == nil {
		e = &end{came: make(chan struct{}), changed: make(chan struct{}, 1), stop: make(chan struct{})}
		es.by[session] = e
		es.all.Go(func() { es.await(session, e) })
	}
	if e.unused != nil {
		e.unused.Stop()
		e.unused = nil
	}
	e.waiters++
	return e
}

func (es *ends) leave(session string, e *end) {
	es.mu.Lock()
	defer es.mu.Unlock()
	e.waiters--
	if e.waiters == 0 && es.by[session] == e {
		e.unused = time.AfterFunc(linger, func() { es.forget(session, e) })
	}
}

// forget ends a wait that nobody has joined again.
func (es *ends) forget(session string, e *end) {
	es.mu.Lock()
	defer es.mu.Unlock()
	if e.waiters == 0 && es.by[session] == e {
		delete(es.by, session)
		close(e.stop)
	}
}

// await waits for the end of a session.
func (es *ends) await(session string, e *end) {
	rest := endEvery
	if es.core.sessions.mine(session) {
		rest = netEvery // it ends when the store is closed, which ends this
	} else if !es.core.opts.AllowNetwork { // another machine's processes are not told of
		w, err := inotify.Add(es.core.path(es.core.sessions.file(session)), inotify.Closed|inotify.Unlinked, func() { signal(e.changed) })
		if err == nil {
			defer w.Remove()
			rest = netEvery
		}
		defer es.open(session, e)()
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	soon := rest
	for {
		if alive, err := es.alive(session); err != nil || !alive {
			es.mu.Lock()
			if es.by[session] == e {
				delete(es.by, session)
			}
			e.err = err
			close(e.came)
			es.mu.Unlock()
			return
		}
		timer.Reset(soon)
		select {
		case <-e.stop:
			return
		case <-e.changed:
			soon = endFirst
		case <-timer.C:
			soon = min(4*soon, rest)
		}
	}
}

// open opens the session's file for alive, until the returned function is
// called.
func (es *ends) open(session string, e *end) func() {
	f, err := es.core.files.ReadShared(es.core.sessions.file(session))
	if err != nil {
		return func() {}
	}
	es.mu.Lock()
	defer es.mu.Unlock()
	e.f = f
	return func() {
		es.mu.Lock()
		defer es.mu.Unlock()
		e.f = nil
		f.Close()
	}
}

// close ends all waits.
func (es *ends) close() {
	es.mu.Lock()
	es.done = true
	for session, e := range es.by {
		delete(es.by, session)
		close(e.stop)
		if e.unused != nil {
			e.unused.Stop()
		}
	}
	es.mu.Unlock()
	es.all.Wait()
}

package sqlite

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/inotify"
)

// ends waits for the ends of sessions, on one goroutine for all of them. It is
// there while there is something to wait for, and a while longer: whoever waits
// for a lock is likely to wait for another one.
//
// A process that dies closes the database, and one that closes the store does
// so: the file system tells of it. Then the locks are looked at, which alone
// decide: neither a process id nor a clock is trusted.
//
// The goroutine looks after this core's own session as well.
type ends struct {
	core  *core
	told  chan struct{} // has room for one: a session may have ended
	woken chan struct{} // has room for one: there is something to wait for again
	stop  chan struct{} // closed by close
	all   sync.WaitGroup

	mu      sync.Mutex
	watches map[*endWatch]struct{}
	unused  time.Time // when the last watch ended
	own     bool      // there is a session of this core
	running bool
	awake   bool // the goroutine is about to see what is watched
	done    bool
}

// endWatch is a wait for the end of any of some sessions.
type endWatch struct {
	store    *Store
	sessions []string
	ended    chan struct{}
}

const (
	// endEvery is how often is looked where nobody tells. A look is one system
	// call for each session.
	endEvery = 20 * time.Millisecond
	// endFirst is the time after which is looked again if the database was
	// closed, but a lock is not gone yet.
	endFirst = 50 * time.Microsecond
)

func (es *ends) init(c *core) {
	es.core = c
	es.told = make(chan struct{}, 1)
	es.woken = make(chan struct{}, 1)
	es.stop = make(chan struct{})
	es.watches = make(map[*endWatch]struct{})
}

// Alive implements [driver.Store].
func (s *Store) Alive(ctx context.Context, session string) (bool, error) {
	if err := s.gate.enter(); err != nil {
		return false, err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return s.core.sessions.alive(session)
}

// WatchSession implements [driver.Store].
func (s *Store) WatchSession(sessions ...string) (ended <-chan struct{}, stop func(), err error) {
	if err := s.gate.enter(); err != nil {
		return nil, nil, err
	}
	defer s.gate.leave()
	es := &s.core.ends
	w := &endWatch{store: s, sessions: slices.Clone(sessions), ended: make(chan struct{})}
	es.add(w)
	if es.over(w) {
		es.end(w)
	}
	return w.ended, func() { es.remove(w) }, nil
}

func (es *ends) add(w *endWatch) {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.watches[w] = struct{}{}
	es.start()
	if !es.awake {
		signal(es.woken)
	}
}

// start starts the goroutine. The caller holds mu.
func (es *ends) start() {
	if !es.running && !es.done {
		es.running = true
		es.all.Go(es.run)
	}
}

// guard has the goroutine look after this core's session from now on, or no more.
func (es *ends) guard(on bool) {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.own = on
	if on {
		es.start()
	}
}

// remove ends a watch, and reports whether it had not ended before.
func (es *ends) remove(w *endWatch) bool {
	es.mu.Lock()
	defer es.mu.Unlock()
	_, ok := es.watches[w]
	delete(es.watches, w)
	if ok && len(es.watches) == 0 {
		es.unused = time.Now()
	}
	return ok
}

// end tells that one of the sessions of a watch has ended.
func (es *ends) end(w *endWatch) {
	if es.remove(w) {
		close(w.ended)
	}
}

// over reports whether one of the sessions of a watch has ended. Whoever waits
// is told of an error too, and meets it when he looks.
func (es *ends) over(w *endWatch) bool {
	return slices.ContainsFunc(w.sessions, func(session string) bool {
		alive, err := es.core.sessions.alive(session)
		return !alive || err != nil
	})
}

// current returns the watches that there are.
func (es *ends) current() []*endWatch {
	es.mu.Lock()
	defer es.mu.Unlock()
	all := make([]*endWatch, 0, len(es.watches))
	for w := range es.watches {
		all = append(all, w)
	}
	return all
}

// endOf ends the watches of a handle, which is closed.
func (es *ends) endOf(s *Store) {
	for _, w := range es.current() {
		if w.store == s {
			es.end(w)
		}
	}
}

func (es *ends) run() {
	var hearing *inotify.Watch
	defer func() {
		if hearing != nil {
			hearing.Remove()
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	soon := netEvery // until the next look: less after somebody has told
	for {
		wanted, ok := es.wanted()
		if !ok {
			return
		}
		switch {
		case wanted && hearing == nil && !es.core.opts.AllowNetwork: // another machine's processes are not told of
			hearing, _ = inotify.Add(es.core.path(databaseName), inotify.Closed|inotify.Unlinked, func() { signal(es.told) })
		case !wanted && hearing != nil:
			hearing.Remove()
			hearing = nil
		}
		rest := netEvery
		if wanted && hearing == nil {
			rest = endEvery
		}

		es.core.sessions.check()
		for _, w := range es.current() {
			if es.over(w) {
				es.end(w)
			}
		}

		timer.Reset(min(soon, rest))
		select {
		case <-es.stop:
			return
		case <-es.woken:
		case <-es.told:
			soon = endFirst
		case <-timer.C:
			soon = min(4*soon, netEvery)
		}
	}
}

// wanted reports whether anybody watches, or did a moment ago, and false if the
// goroutine is to end.
func (es *ends) wanted() (wanted, ok bool) {
	es.mu.Lock()
	defer es.mu.Unlock()
	wanted = len(es.watches) > 0 || time.Since(es.unused) < linger
	es.running = (wanted || es.own) && !es.done
	es.awake = wanted && es.running
	return wanted, es.running
}

// close ends all watches.
func (es *ends) close() {
	es.mu.Lock()
	es.done = true
	es.mu.Unlock()
	close(es.stop)
	es.all.Wait()
	for _, w := range es.current() {
		es.end(w)
	}
}

package session

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wake"
)

// watcher waits for the ends of sessions, on one goroutine for all of them. The
// goroutine is there while there is something to wait for, and a while longer: a
// process that waits for a lock is likely to wait for another one.
//
// A process that dies closes the database, and one that closes the store does
// so: Subscribe tells of it. Then the watcher looks at the locks, which alone
// decide.
//
// The goroutine looks after this store's own session as well.
type watcher struct {
	sessions     *Sessions
	mayHaveEnded chan struct{} // has room for one
	woken        chan struct{} // has room for one: there is something to wait for again
	stop         chan struct{} // closed by EndWatches
	all          sync.WaitGroup

	mu      sync.Mutex
	watches map[*watch]struct{}
	unused  time.Time // when the last watch ended
	own     bool      // there is a session of this store
	running bool
	awake   bool // the goroutine is about to see what is watched
	done    bool
}

// watch is a wait for the end of any of some sessions.
type watch struct {
	owner any
	names []string
	ended chan struct{}
}

const (
	// pollEvery is how often the watcher looks where it is not subscribed. A look is one
	// system call for each session.
	pollEvery = 20 * time.Millisecond
	// firstLook is the time after which it looks again if the database was
	// closed, but a lock is not gone yet.
	firstLook = 50 * time.Microsecond
	// idleAfter is how long it stays subscribed after the last watch has ended: to
	// subscribe takes longer than most waits.
	idleAfter = time.Second
)

func (w *watcher) init(s *Sessions) {
	w.sessions = s
	w.mayHaveEnded = make(chan struct{}, 1)
	w.woken = make(chan struct{}, 1)
	w.stop = make(chan struct{})
	w.watches = make(map[*watch]struct{})
}

// runningWatchers has the watchers of this process whose goroutines run.
var runningWatchers = struct {
	sync.Mutex
	watchers map[*watcher]struct{}
}{watchers: make(map[*watcher]struct{})}

// lookAll has all watchers of this process look.
func lookAll() {
	runningWatchers.Lock()
	defer runningWatchers.Unlock()
	for w := range runningWatchers.watchers {
		wake.Signal(w.mayHaveEnded)
	}
}

// Watch has ended closed when one of some sessions has ended, or cannot be asked
// for, or all watches of the owner end. stop ends the watch.
func (s *Sessions) Watch(owner any, names ...string) (ended <-chan struct{}, stop func()) {
	w := &watch{owner: owner, names: slices.Clone(names), ended: make(chan struct{})}
	s.watcher.add(w)
	if s.watcher.over(w) {
		s.watcher.end(w)
	}
	return w.ended, func() { s.watcher.remove(w) }
}

// EndWatchesOf ends the watches of an owner.
func (s *Sessions) EndWatchesOf(owner any) {
	for _, w := range s.watcher.current() {
		if w.owner == owner {
			s.watcher.end(w)
		}
	}
}

// EndWatches ends all watches, and the goroutine. The session may live on.
func (s *Sessions) EndWatches() {
	w := &s.watcher
	w.mu.Lock()
	w.done = true
	w.mu.Unlock()
	close(w.stop)
	w.all.Wait()
	w.mu.Lock()
	w.setRunning(false)
	w.mu.Unlock()
	for _, watch := range w.current() {
		w.end(watch)
	}
}

func (w *watcher) add(watch *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches[watch] = struct{}{}
	w.start()
	if !w.awake {
		wake.Signal(w.woken)
	}
}

// start starts the goroutine. The caller holds mu.
func (w *watcher) start() {
	if !w.running && !w.done {
		w.setRunning(true)
		w.all.Go(w.run)
	}
}

// setRunning notes whether the goroutine runs. The caller holds mu.
func (w *watcher) setRunning(on bool) {
	w.running = on
	runningWatchers.Lock()
	defer runningWatchers.Unlock()
	if on {
		runningWatchers.watchers[w] = struct{}{}
	} else {
		delete(runningWatchers.watchers, w)
	}
}

// guard has the goroutine look after this store's session from now on, or no more.
func (w *watcher) guard(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own = on
	if on {
		w.start()
	}
}

// remove ends a watch, and reports whether it had not ended before.
func (w *watcher) remove(watch *watch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.watches[watch]
	delete(w.watches, watch)
	if ok && len(w.watches) == 0 {
		w.unused = time.Now()
	}
	return ok
}

// end tells that one of the sessions of a watch has ended.
func (w *watcher) end(watch *watch) {
	if w.remove(watch) {
		close(watch.ended)
	}
}

// over reports whether one of the sessions of a watch has ended. The one that waits
// is told of an error too, and meets it when it looks.
func (w *watcher) over(watch *watch) bool {
	return slices.ContainsFunc(watch.names, func(name string) bool {
		alive, err := w.sessions.Alive(name)
		return !alive || err != nil
	})
}

// current returns the watches that there are.
func (w *watcher) current() []*watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.watches))
}

// run is the goroutine.
func (w *watcher) run() {
	var unsubscribe func()
	defer func() {
		if unsubscribe != nil {
			unsubscribe()
		}
	}()
	every, subscribe := w.sessions.LookEvery, w.sessions.Subscribe
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := every // until the next look: less after a process has closed the database
	for {
		wanted, ok := w.wanted()
		if !ok {
			return
		}
		switch {
		case wanted && unsubscribe == nil && subscribe != nil:
			unsubscribe, _ = subscribe(func() { wake.Signal(w.mayHaveEnded) })
		case !wanted && unsubscribe != nil:
			unsubscribe()
			unsubscribe = nil
		}
		rest := every
		if wanted && unsubscribe == nil {
			rest = pollEvery
		}

		w.sessions.Check()
		for _, watch := range w.current() {
			if w.over(watch) {
				w.end(watch)
			}
		}

		timer.Reset(min(next, rest))
		select {
		case <-w.stop:
			return
		case <-w.woken:
		case <-w.mayHaveEnded:
			next = firstLook
		case <-timer.C:
			next = min(4*next, every)
		}
	}
}

// wanted reports whether there is a watch, or was a moment ago, and false if the
// goroutine is to end.
func (w *watcher) wanted() (wanted, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted = len(w.watches) > 0 || time.Since(w.unused) < idleAfter
	if running := (wanted || w.own) && !w.done; running != w.running {
		w.setRunning(running)
	}
	w.awake = wanted && w.running
	return wanted, w.running
}

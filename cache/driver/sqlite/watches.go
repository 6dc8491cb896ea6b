package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/futex"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

// watches wakes those who wait for a change. Commits of this process tell it
// directly; those of others it notices by itself, as long as anybody
// watches.
type watches struct {
	core   *core
	page   *futex.Page // how others' commits are signalled; nil where it cannot be
	closed chan struct{}

	mu     sync.Mutex
	by     map[*collection]map[chan struct{}]struct{}
	count  int
	stop   chan struct{} // ends the goroutine that looks at other processes' commits
	isDone bool

	followers sync.WaitGroup // that goroutine, and those that are about to end
}

func (w *watches) init(c *core) {
	w.core = c
	w.closed = make(chan struct{})
	w.by = make(map[*collection]map[chan struct{}]struct{})
}

// openPage makes it possible to signal commits to other processes, and to be
// signalled. It writes to the directory.
func (w *watches) openPage() {
	page, err := futex.Open(w.core.path(watchName))
	if err != nil {
		w.core.log.Debug("other processes' commits are polled for", "error", err)
		return
	}
	w.page = page
}

// committed tells other processes that this one has committed.
func (w *watches) committed() {
	if w.page != nil {
		w.page.Signal()
	}
}

// Watch implements [driver.Store].
func (s *Store) Watch(h driver.Collection) (<-chan struct{}, func(), error) {
	if err := s.gate.enter(); err != nil {
		return nil, nil, err
	}
	defer s.gate.leave()
	c, err := s.core.own(h)
	if err != nil {
		return nil, nil, err
	}
	ch := s.core.watches.add(c)
	s.watching.add(ch, c)
	return ch, func() {
		s.watching.forget(ch)
		s.core.watches.remove(c, ch)
	}, nil
}

// handleWatches are the watches of one handle, which end with it.
type handleWatches struct {
	mu sync.Mutex
	by map[chan struct{}]*collection
}

func (h *handleWatches) add(ch chan struct{}, c *collection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == nil {
		h.by = make(map[chan struct{}]*collection)
	}
	h.by[ch] = c
}

func (h *handleWatches) forget(ch chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.by, ch)
}

func (h *handleWatches) end(core *core) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch, c := range h.by {
		if core.watches.remove(c, ch) {
			close(ch)
		}
	}
	h.by = nil
}

func (w *watches) add(c *collection) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := make(chan struct{}, 1)
	if w.isDone {
		close(ch)
		return ch
	}
	if w.by[c] == nil {
		w.by[c] = make(map[chan struct{}]struct{})
	}
	w.by[c][ch] = struct{}{}
	w.count++
	if w.count == 1 {
		stop := make(chan struct{})
		w.stop = stop
		w.followers.Go(func() { w.follow(stop) })
	}
	return ch
}

// remove ends a watch and reports whether it had not ended before.
func (w *watches) remove(c *collection, ch chan struct{}) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.by[c][ch]; !ok {
		return false
	}
	delete(w.by[c], ch)
	if len(w.by[c]) == 0 {
		delete(w.by, c)
	}
	w.count--
	if w.count == 0 {
		close(w.stop)
	}
	return true
}

// notify wakes the watchers of c.
func (w *watches) notify(c *collection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.by[c] {
		signal(ch)
	}
}

func (w *watches) notifyAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, chans := range w.by {
		for ch := range chans {
			signal(ch)
		}
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // one is enough
	}
}

// followEvery is how often commits of programs that do not signal theirs are
// looked for: Python's DiskCache, the sqlite3 shell, and everybody where there
// is no futex. A look takes two or three microseconds.
const followEvery = 10 * time.Millisecond

// follow looks for commits of other connections until stop.
func (w *watches) follow(stop chan struct{}) {
	cn, err := w.core.openConn(lite.ReadOnly, minCacheSize/4)
	for err != nil {
		w.core.log.Warn("changes by other processes are not noticed", "error", err)
		select {
		case <-stop:
			return
		case <-time.After(time.Second):
		}
		cn, err = w.core.openConn(lite.ReadOnly, minCacheSize/4)
	}
	defer cn.Close()
	pause := w.pauser(stop)
	last := int64(-1)
	for {
		ticket := pause.prepare()
		cn.bound(context.Background(), time.Now().Add(time.Second))
		version, err := cn.integer("PRAGMA data_version")
		if err != nil || version != last {
			last = version
			w.notifyAll()
		}
		if !pause.wait(ticket) {
			return
		}
	}
}

// pauser makes follow wait for the next reason to look.
type pauser struct {
	page *futex.Page // nil where there is none
	stop chan struct{}
	tick *time.Ticker
}

func (w *watches) pauser(stop chan struct{}) pauser {
	if w.page != nil {
		return pauser{page: w.page, stop: stop}
	}
	return pauser{stop: stop, tick: time.NewTicker(followEvery)}
}

func (p pauser) prepare() uint32 {
	if p.page == nil {
		return 0
	}
	return p.page.Prepare()
}

// wait returns false when it is time to stop.
func (p pauser) wait(ticket uint32) bool {
	if p.page == nil {
		select {
		case <-p.tick.C:
			return true
		case <-p.stop:
			p.tick.Stop()
			return false
		}
	}
	p.page.Wait(ticket, followEvery)
	select {
	case <-p.stop:
		return false
	default:
		return true
	}
}

// close ends all watches.
func (w *watches) close() {
	w.mu.Lock()
	w.isDone = true
	close(w.closed)
	for _, chans := range w.by {
		for ch := range chans {
			close(ch)
		}
	}
	clear(w.by)
	if w.count > 0 {
		close(w.stop)
		w.count = 0
	}
	w.mu.Unlock()
	if w.page != nil {
		w.page.Signal() // the goroutine may be asleep
	}
	w.followers.Wait()
}

// release unmaps the page, when nobody commits any more.
func (w *watches) release() error {
	if w.page == nil {
		return nil
	}
	return w.page.Close()
}

package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

// watches wakes those who wait for a change. Commits of this process tell it
// directly; those of others it notices by itself, as long as anybody
// watches.
type watches struct {
	core   *core
	closed chan struct{}

	mu     sync.Mutex
	by     map[*collection]map[chan struct{}]struct{}
	count  int
	stop   chan struct{} // ends the goroutine that looks at other processes' commits
	ended  chan struct{} // it has ended
	isDone bool
}

func (w *watches) init(c *core) {
	w.core = c
	w.closed = make(chan struct{})
	w.by = make(map[*collection]map[chan struct{}]struct{})
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
	var once sync.Once
	return ch, func() { once.Do(func() { s.core.watches.remove(c, ch) }) }, nil
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
		w.stop, w.ended = make(chan struct{}), make(chan struct{})
		go w.follow(w.stop, w.ended)
	}
	return ch
}

func (w *watches) remove(c *collection, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.by[c][ch]; !ok {
		return
	}
	delete(w.by[c], ch)
	if len(w.by[c]) == 0 {
		delete(w.by, c)
	}
	w.count--
	if w.count == 0 {
		close(w.stop)
	}
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

// followEvery is how often other processes' commits are looked for.
const followEvery = 5 * time.Millisecond

// follow looks for commits of other connections until stop.
func (w *watches) follow(stop, ended chan struct{}) {
	defer close(ended)
	cn, err := w.core.openConn(lite.ReadOnly, minCacheSize/4)
	if err != nil {
		w.core.log.Warn("changes by other processes are not noticed", "error", err)
		return
	}
	defer cn.Close()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	last := int64(-1)
	for {
		cn.bound(context.Background(), time.Now().Add(time.Second))
		version, err := cn.integer("PRAGMA data_version")
		if err != nil || version != last {
			last = version
			w.notifyAll()
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
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
	running := w.count > 0
	w.count = 0
	ended := w.ended
	if running {
		close(w.stop)
	}
	w.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

package sqlite

import (
	"errors"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/futex"
)

// watches wakes those who wait for a change. Commits of this process tell it
// directly; signals brings those of other processes, and strangers those of
// programs that do not signal. Both are there while anybody watches, and for
// a while longer.
type watches struct {
	core      *core
	signals   *signals       // nil where there are none
	strangers *strangers     // nil until somebody watches
	all       sync.WaitGroup // of strangers, also of those that are about to end

	mu     sync.Mutex
	by     map[*collection]map[chan struct{}]struct{}
	count  int
	isDone bool
	unused *time.Timer // ends strangers
}

// linger is how long what brings changes stays when nobody watches any more:
// whoever waits for something is likely to wait again.
const linger = time.Second

func (w *watches) init(c *core) {
	w.core = c
	w.by = make(map[*collection]map[chan struct{}]struct{})
}

// openPage makes it possible to signal commits to other processes, and to be
// signalled. It writes to the directory. It fails if the file is not to be
// trusted.
func (w *watches) openPage() error {
	page, err := w.page()
	if isHostile(err) {
		return translate(err)
	}
	if err != nil {
		w.core.log.Debug("other processes are not signalled", "error", err)
		return nil
	}
	w.signals = newSignals(page, w.signalled, func() {
		w.core.log.Warn("another program has cut the file of signals short: changes by other processes are noticed late until the store is opened again", "file", watchName)
	})
	return nil
}

func (w *watches) page() (*futex.Page, error) {
	if !futex.Supported {
		return nil, errors.ErrUnsupported
	}
	f, err := w.core.files.Shared(watchName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return futex.Open(f)
}

// topic returns the bit that stands for the collection when commits are
// signalled. Others may share it.
func (c *collection) topic() uint32 { return 1 << (uint64(c.id) % futex.Topics) }

// topicsOf returns the topics of collections.
func topicsOf(cs []*collection) (topics uint32) {
	for _, c := range cs {
		topics |= c.topic()
	}
	return topics
}

// tell tells other processes that this one has committed something.
func (w *watches) tell(topics uint32) {
	if w.signals != nil && topics != 0 {
		w.signals.send(topics)
	}
}

// alert tells other processes that this one is about to commit something.
func (w *watches) alert(topic uint32) {
	if w.signals != nil {
		w.signals.alert(topic)
	}
}

// signalled wakes the watchers of topics that another process has signalled.
func (w *watches) signalled(topics uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, chans := range w.by {
		if c.topic()&topics != 0 {
			signalAll(chans)
		}
	}
}

// Watch implements [driver.Store].
func (s *Store) Watch(h driver.Collection) (<-chan struct{}, func(), error) {
	if err := s.gate.enter(); err != nil {
		return nil, nil, err
	}
	defer s.gate.leave()
	c, err := s.core.own(h)
	if err == nil {
		err = s.core.readable()
	}
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
	if w.unused != nil {
		w.unused.Stop()
		w.unused = nil
	}
	if w.strangers == nil && !w.core.immutable { // or nobody can change it
		w.strangers = newStrangers(w.core)
	}
	if w.signals != nil {
		w.signals.want(c.topic())
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
	if w.signals != nil {
		w.signals.forget(c.topic())
	}
	if w.count == 0 {
		w.unused = time.AfterFunc(linger, w.rest)
	}
	return true
}

// rest ends strangers if nobody watches.
func (w *watches) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 && w.strangers != nil && !w.isDone {
		w.strangers.end()
		w.strangers = nil
	}
}

// notify wakes the watchers of c.
func (w *watches) notify(c *collection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	signalAll(w.by[c])
}

func (w *watches) notifyAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, chans := range w.by {
		signalAll(chans)
	}
}

func signalAll(chans map[chan struct{}]struct{}) {
	for ch := range chans {
		signal(ch)
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // one is enough
	}
}

// close ends all watches.
func (w *watches) close() {
	w.mu.Lock()
	w.isDone = true
	for _, chans := range w.by {
		for ch := range chans {
			close(ch)
		}
	}
	clear(w.by)
	if w.unused != nil {
		w.unused.Stop()
	}
	if w.strangers != nil {
		w.strangers.end()
	}
	w.mu.Unlock()
	// One that has not been used for long may still be looking, with its
	// connection and at the page of signals.
	w.all.Wait()
}

// release unmaps the page, when nobody commits any more.
func (w *watches) release() error {
	if w.signals == nil {
		return nil
	}
	return w.signals.close()
}

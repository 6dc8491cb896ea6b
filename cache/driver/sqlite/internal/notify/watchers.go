package notify

import (
	"log/slog"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/futex"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wake"
)

// Options say how external commits are noticed.
type Options struct {
	Log *slog.Logger

	// Present fails if the database is no longer under its name.
	Present func() error

	// OpenProber opens the connection that external commits are noticed with, when
	// there is a watch. Nil if no other process can change the database.
	OpenProber func() (Prober, error)

	// Subscribe has wrote called once a program has written to the database, until
	// stop. Nil or an error: the file system does not tell.
	Subscribe func(wrote func()) (stop func(), err error)

	// LookEvery is how often external commits are polled for although Subscribe
	// tells of them.
	LookEvery time.Duration
}

// Subject is what changes. Subjects are compared with ==.
type Subject interface {
	// Topic is the bit that stands for the subject when commits are signalled,
	// one of the lowest [Topics]. Others may share it.
	Topic() uint32
}

// Topics is the number of topics.
const Topics = futex.Topics

// Watchers wakes the goroutines that watch subjects. What notices the commits of other
// processes runs while there is a watch, and for a while longer.
type Watchers struct {
	Options
	signals *signals       // nil where there are none
	all     sync.WaitGroup // of external, also of those that are about to end

	mu       sync.Mutex
	by       map[Subject]map[chan struct{}]any // the owner of each watch
	count    int
	closed   bool
	external *external   // nil until there is a watch
	unused   *time.Timer // ends external
}

// idleAfter is how long external and signals run on after the last watch has ended: a
// goroutine that waits for something is likely to wait again.
const idleAfter = time.Second

// NewWatchers returns Watchers without watches.
func NewWatchers(o Options) *Watchers {
	return &Watchers{Options: o, by: make(map[Subject]map[chan struct{}]any)}
}

// CanSignal says whether processes can signal one another on this system.
const CanSignal = futex.Supported

// OpenSignals makes it possible to signal commits to other processes, and to be
// signalled, through a file that all of them open. It is called before there are
// watches or commits. lost is called if another program has cut the file short, so
// that there are no signals any more.
func (w *Watchers) OpenSignals(f *osfs.File, lost func()) error {
	page, err := futex.Open(f)
	if err != nil {
		return err
	}
	w.signals = newSignals(page, w.signalled, lost)
	return nil
}

// Signal tells other processes that this one has committed changes of topics.
func (w *Watchers) Signal(topics uint32) {
	if w.signals != nil && topics != 0 {
		w.signals.send(topics)
	}
}

// Alert tells other processes that this one is about to commit a change of a topic.
func (w *Watchers) Alert(topic uint32) {
	if w.signals != nil {
		w.signals.alert(topic)
	}
}

// signalled wakes the watchers of topics that another process has signalled.
func (w *Watchers) signalled(topics uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, watches := range w.by {
		if s.Topic()&topics != 0 {
			signalAll(watches)
		}
	}
}

// Watch returns a channel to which something is sent after changes of a subject. It
// is closed when the owner's watches end, or all.
func (w *Watchers) Watch(owner any, s Subject) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w.add(owner, s, ch)
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if _, ok := w.by[s][ch]; ok {
			w.remove(s, ch)
		}
	}
}

// Watches returns how many watches have not ended.
func (w *Watchers) Watches() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

func (w *Watchers) add(owner any, s Subject, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		close(ch)
		return
	}
	if w.by[s] == nil {
		w.by[s] = make(map[chan struct{}]any)
	}
	w.by[s][ch] = owner
	w.count++
	if w.unused != nil {
		w.unused.Stop()
		w.unused = nil
	}
	if w.external == nil && w.OpenProber != nil {
		w.external = newExternal(w)
	}
	if w.signals != nil {
		w.signals.subscribe(s.Topic())
	}
}

// remove ends a watch. The caller holds mu.
func (w *Watchers) remove(s Subject, ch chan struct{}) {
	delete(w.by[s], ch)
	if len(w.by[s]) == 0 {
		delete(w.by, s)
	}
	w.count--
	if w.signals != nil {
		w.signals.unsubscribe(s.Topic())
	}
	if w.count == 0 {
		w.unused = time.AfterFunc(idleAfter, w.idle)
	}
}

// EndWatchesOf ends the watches of an owner.
func (w *Watchers) EndWatchesOf(owner any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, watches := range w.by {
		for ch, o := range watches {
			if o == owner {
				w.remove(s, ch)
				close(ch)
			}
		}
	}
}

// idle ends external if there is no watch.
func (w *Watchers) idle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 && w.external != nil && !w.closed {
		w.external.end()
		w.external = nil
	}
}

// Notify wakes the watchers of a subject.
func (w *Watchers) Notify(s Subject) {
	w.mu.Lock()
	defer w.mu.Unlock()
	signalAll(w.by[s])
}

// notifyAll wakes all watchers.
func (w *Watchers) notifyAll() { w.signalled(1<<Topics - 1) }

func signalAll(watches map[chan struct{}]any) {
	for ch := range watches {
		wake.Signal(ch)
	}
}

// EndWatches ends all watches. Commits may still be signalled.
func (w *Watchers) EndWatches() {
	w.mu.Lock()
	w.closed = true
	for _, watches := range w.by {
		for ch := range watches {
			close(ch)
		}
	}
	clear(w.by)
	if w.unused != nil {
		w.unused.Stop()
	}
	if w.external != nil {
		w.external.end()
	}
	w.mu.Unlock()
	// An external that was ended before may still use its prober and the page of
	// signals.
	w.all.Wait()
}

// Close closes what OpenSignals has opened, when this process does not commit any more.
func (w *Watchers) Close() error {
	if w.signals == nil {
		return nil
	}
	return w.signals.close()
}

package notify

import (
	"log/slog"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/futex"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// Options say how external commits are noticed.
type Options struct {
	Log *slog.Logger

	// Present fails if the database is no longer under its name.
	Present func() error

	// OpenProber opens what external commits are noticed with, when somebody
	// watches. Nil if no other process can change the database.
	OpenProber func() (Prober, error)

	// Subscribe has wrote called once a program has written to the database, until
	// stop. Nil or an error: nobody tells.
	Subscribe func(wrote func()) (stop func(), err error)

	// LookEvery is how often external commits are looked for although Subscribe
	// tells.
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

// Changes wakes watchers of subjects. What brings the changes of other processes is
// there while anybody watches, and for a while longer.
type Changes struct {
	Options
	signals *signals       // nil where there are none
	all     sync.WaitGroup // of external, also of those that are about to end

	mu       sync.Mutex
	by       map[Subject]map[chan struct{}]any // the owner of each watch
	count    int
	closed   bool
	external *external   // nil until somebody watches
	unused   *time.Timer // ends external
}

// idleAfter is how long what brings changes stays when nobody watches any more:
// a goroutine that waits for something is likely to wait again.
const idleAfter = time.Second

// NewChanges returns Changes without watches.
func NewChanges(o Options) *Changes {
	return &Changes{Options: o, by: make(map[Subject]map[chan struct{}]any)}
}

// CanSignal says whether processes can signal one another on this system.
const CanSignal = futex.Supported

// OpenSignals makes it possible to signal commits to other processes, and to be
// signalled, through a file that all of them open. It is called before there are
// watches or commits. lost is called if another program has cut the file short, so
// that there are no signals any more.
func (c *Changes) OpenSignals(f *osfs.File, lost func()) error {
	page, err := futex.Open(f)
	if err != nil {
		return err
	}
	c.signals = newSignals(page, c.signalled, lost)
	return nil
}

// Signal tells other processes that this one has committed changes of topics.
func (c *Changes) Signal(topics uint32) {
	if c.signals != nil && topics != 0 {
		c.signals.send(topics)
	}
}

// Alert tells other processes that this one is about to commit a change of a topic.
func (c *Changes) Alert(topic uint32) {
	if c.signals != nil {
		c.signals.alert(topic)
	}
}

// signalled wakes the watchers of topics that another process has signalled.
func (c *Changes) signalled(topics uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, watches := range c.by {
		if s.Topic()&topics != 0 {
			signalAll(watches)
		}
	}
}

// Watch returns a channel to which something is sent after changes of a subject. It
// is closed when the owner's watches end, or all.
func (c *Changes) Watch(owner any, s Subject) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	c.add(owner, s, ch)
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, ok := c.by[s][ch]; ok {
			c.remove(s, ch)
		}
	}
}

// Watches returns how many watches have not ended.
func (c *Changes) Watches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

func (c *Changes) add(owner any, s Subject, ch chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		close(ch)
		return
	}
	if c.by[s] == nil {
		c.by[s] = make(map[chan struct{}]any)
	}
	c.by[s][ch] = owner
	c.count++
	if c.unused != nil {
		c.unused.Stop()
		c.unused = nil
	}
	if c.external == nil && c.OpenProber != nil {
		c.external = newExternal(c)
	}
	if c.signals != nil {
		c.signals.subscribe(s.Topic())
	}
}

// remove ends a watch. The caller holds mu.
func (c *Changes) remove(s Subject, ch chan struct{}) {
	delete(c.by[s], ch)
	if len(c.by[s]) == 0 {
		delete(c.by, s)
	}
	c.count--
	if c.signals != nil {
		c.signals.unsubscribe(s.Topic())
	}
	if c.count == 0 {
		c.unused = time.AfterFunc(idleAfter, c.idle)
	}
}

// EndWatchesOf ends the watches of an owner.
func (c *Changes) EndWatchesOf(owner any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, watches := range c.by {
		for ch, o := range watches {
			if o == owner {
				c.remove(s, ch)
				close(ch)
			}
		}
	}
}

// idle ends external if nobody watches.
func (c *Changes) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == 0 && c.external != nil && !c.closed {
		c.external.end()
		c.external = nil
	}
}

// Notify wakes the watchers of a subject.
func (c *Changes) Notify(s Subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	signalAll(c.by[s])
}

func (c *Changes) notifyAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, watches := range c.by {
		signalAll(watches)
	}
}

func signalAll(watches map[chan struct{}]any) {
	for ch := range watches {
		signal(ch)
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // one is enough
	}
}

// EndWatches ends all watches. Commits may still be signalled.
func (c *Changes) EndWatches() {
	c.mu.Lock()
	c.closed = true
	for _, watches := range c.by {
		for ch := range watches {
			close(ch)
		}
	}
	clear(c.by)
	if c.unused != nil {
		c.unused.Stop()
	}
	if c.external != nil {
		c.external.end()
	}
	c.mu.Unlock()
	// One that has not been used for long may still be looking, with its
	// prober and at the page of signals.
	c.all.Wait()
}

// Close ends the use of the file of OpenSignals, when nobody commits any more.
func (c *Changes) Close() error {
	if c.signals == nil {
		return nil
	}
	return c.signals.close()
}

package notify

import (
	"math/bits"
	"runtime"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/futex"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/mapped"
)

// signals brings the signals of other processes. A goroutine waits for them,
// and blocks a thread, as long as there are subscribers, and a while longer.
type signals struct {
	guard mapped.Guard // of page; when that is lost no process is signalled
	page  *futex.Page
	fn    func(topics uint32) // called with those that were signalled

	mu     sync.Mutex
	users  [futex.Topics]int    // subscribers of each topic
	wanted uint32               // those with users
	mask   uint32               // what the goroutine wakes for
	seen   [futex.Topics]uint32 // how often each topic was signalled
	ended  chan struct{}        // closed when the goroutine has; nil if there is none
	unused *time.Timer          // ends it
	stop   bool                 // it is to end
}

func newSignals(page *futex.Page, fn func(topics uint32), lost func()) *signals {
	s := &signals{page: page, fn: fn}
	s.guard.OnLoss(lost)
	return s
}

// send tells others. This process is not told.
func (s *signals) send(topics uint32) {
	s.mu.Lock()
	for t := topics; t != 0; t &= t - 1 {
		s.seen[bits.TrailingZeros32(t)]++
	}
	own := s.wanted
	s.mu.Unlock()
	if !s.guard.Lost() {
		defer s.guard.Catch(mapped.Enter())
		s.page.Signal(topics, own)
	}
}

// alert has a waiter of another process wake up, as topics are about to be
// signalled.
func (s *signals) alert(topics uint32) {
	s.mu.Lock()
	own := s.wanted
	s.mu.Unlock()
	if !s.guard.Lost() {
		defer s.guard.Catch(mapped.Enter())
		s.page.Alert(topics, own)
	}
}

// sent returns how often other processes or this one have signalled.
func (s *signals) sent() (n uint32) {
	if s.guard.Lost() {
		return 0
	}
	defer s.guard.Catch(mapped.Enter())
	for t := range futex.Topics {
		n += s.page.Count(t)
	}
	return n
}

// subscribe begins to wait for a topic: what is signalled from now on is told.
func (s *signals) subscribe(topic uint32) {
	defer s.guard.Catch(mapped.Enter())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guard.Lost() {
		return
	}
	t := bits.TrailingZeros32(topic)
	s.users[t]++
	if s.users[t] == 1 {
		s.page.Join(t)
		s.seen[t] = s.page.Count(t)
		s.wanted |= topic
		s.page.Want(topic)
	}
	if s.unused != nil {
		s.unused.Stop()
		s.unused = nil
	}
	switch {
	case s.ended == nil:
		s.ended = make(chan struct{})
		go s.run(s.ended)
	case s.mask&topic == 0:
		s.page.Wake(s.mask)
	}
}

// unsubscribe ends a subscribe.
func (s *signals) unsubscribe(topic uint32) {
	defer s.guard.Catch(mapped.Enter())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guard.Lost() {
		return
	}
	t := bits.TrailingZeros32(topic)
	s.users[t]--
	if s.users[t] == 0 {
		s.page.Leave(t)
		s.wanted &^= topic
	}
	if s.wanted == 0 && !s.stop {
		s.unused = time.AfterFunc(idleAfter, s.idle)
	}
}

// idle has the goroutine end if there are no subscribers. A timer that could not
// be stopped any more calls it too, perhaps when the page is unmapped.
func (s *signals) idle() {
	defer s.guard.Catch(mapped.Enter())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == 0 && !s.stop && !s.guard.Lost() {
		s.page.Wake(s.mask)
		s.unused, s.mask = nil, 0
	}
}

func (s *signals) run(ended chan struct{}) {
	defer close(ended)
	defer s.guard.Catch(mapped.Enter())
	for {
		ticket := s.page.Ticket()
		topics, mask, ok := s.prepare()
		switch {
		case !ok:
			return
		case topics != 0:
			s.fn(topics)
			// The goroutine that fn woke runs here and now: the wait would take the
			// processor from it for a while.
			runtime.Gosched()
		default:
			if s.page.Wait(ticket, mask) && runtime.NumCPU() > 1 {
				s.expect(ticket)
			}
		}
	}
}

// alertFor is how long an alert keeps a waiter awake: about as long as two
// commits take.
const alertFor = 150 * time.Microsecond

// expect waits for what an alert has announced.
func (s *signals) expect(ticket uint32) {
	for began := time.Now(); s.page.Ticket() == ticket && time.Since(began) < alertFor; {
		runtime.Gosched()
	}
}

// prepare returns the topics that were signalled, or else the mask to wait
// with, or false if it is time to end.
func (s *signals) prepare() (topics, mask uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page.Want(s.wanted)
	useless := uint32(0)
	for t := s.wanted | s.mask; t != 0; t &= t - 1 {
		i := bits.TrailingZeros32(t)
		if n := s.page.Count(i); n != s.seen[i] {
			s.seen[i] = n
			if s.users[i] > 0 {
				topics |= 1 << i
			} else {
				useless |= 1 << i
			}
		}
	}
	// A topic without subscribers stays in the mask until its first useless wake-up: to
	// add it again would need a wake-up too.
	s.mask = s.mask&^useless | s.wanted
	if s.stop || s.mask == 0 { // the kernel does not wait for no topic
		s.ended = nil
		return 0, 0, false
	}
	return topics, s.mask, true
}

// close ends the goroutine and unmaps the page. There are no subscribers any
// more.
func (s *signals) close() error {
	if ended := s.end(); ended != nil {
		<-ended
	}
	return s.page.Close()
}

// end has the goroutine end, and returns what is closed when it has.
func (s *signals) end() (ended chan struct{}) {
	defer s.guard.Catch(mapped.Enter())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = true
	if s.unused != nil {
		s.unused.Stop()
	}
	ended = s.ended
	if s.guard.Lost() {
		return ended
	}
	for t := s.wanted; t != 0; t &= t - 1 {
		s.page.Leave(bits.TrailingZeros32(t))
	}
	if ended != nil {
		s.page.Wake(s.mask)
	}
	return ended
}

package session

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

func (w *watcher) isRunning() bool {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// kernel has the locks of sessions, and tells subscribers.
type kernel struct {
	mu          sync.Mutex
	live        map[string]bool
	err         error
	gone        error // what Present says
	subscribers map[int]func()
	subscribed  int          // how often
	looks       atomic.Int64 // how often it was asked for a session
}

func (k *kernel) begin(name string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.live == nil {
		k.live = make(map[string]bool)
	}
	k.live[name] = true
	return true, k.err
}

func (k *kernel) end(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.live, name)
	return nil
}

func (k *kernel) stillSeen(name string) bool { return true }

func (k *kernel) alive(name string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looks.Add(1)
	return k.live[name], k.err
}

func (k *kernel) sweepable(string) bool { return true }

func (k *kernel) present() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gone
}

func (k *kernel) subscribe(told func()) (stop func(), err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.subscribers == nil {
		k.subscribers = make(map[int]func())
	}
	n := k.subscribed
	k.subscribed++
	k.subscribers[n] = told
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.subscribers, n)
	}, nil
}

func (k *kernel) listeners() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.subscribers)
}

// tell tells the subscribers that the database was closed.
func (k *kernel) tell() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, told := range k.subscribers {
		told()
	}
}

// die ends a session, as its process does, and returns when.
func (k *kernel) die(name string) time.Time {
	synctest.Wait() // for what subscribes
	k.tell()        // a moment before the lock is gone
	time.Sleep(firstLook / 2)
	k.end(name)
	return time.Now()
}

const (
	lookEvery = time.Second
	otherName = "0123456789abcdef01234567"
)

// newStore returns the sessions of a store. told says whether somebody tells of
// ends.
func (k *kernel) newStore(t *testing.T, told bool) *Sessions {
	o := Options{Log: slog.New(slog.DiscardHandler), Present: k.present, LookEvery: lookEvery}
	if told {
		o.Subscribe = k.subscribe
	}
	s := newSessions(o, k)
	t.Cleanup(s.EndWatches)
	return s
}

func inBubble(t *testing.T, fn func(t *testing.T, k *kernel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(t, &kernel{}) })
}

func closed(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Who watches is told of an end soon after it: by a subscription, by looks where
// there is none, and by rare looks if nobody tells.
func TestWatch(t *testing.T) {
	for name, test := range map[string]struct {
		told   bool
		missed bool // the end was not told
		within time.Duration
	}{
		"told":   {told: true, within: firstLook},
		"polled": {within: pollEvery},
		"missed": {told: true, missed: true, within: lookEvery},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, k *kernel) {
				s := k.newStore(t, test.told)
				k.begin(otherName)
				var all []<-chan struct{}
				for range 3 {
					ended, _ := s.Watch(s, otherName)
					all = append(all, ended)
					time.Sleep(time.Minute)
				}
				k.tell() // somebody else has closed the database
				time.Sleep(time.Minute)
				for _, ended := range all {
					if closed(ended) {
						t.Fatal("told of the end of a session that lives")
					}
				}
				k.looks.Store(0)
				time.Sleep(10 * lookEvery)
				if n := k.looks.Load(); test.told && n > 3*12 {
					t.Errorf("%d looks in %v", n, 10*lookEvery)
				}
				if test.missed {
					k.end(otherName)
				} else {
					k.die(otherName)
				}
				began := time.Now()
				for _, ended := range all {
					<-ended
				}
				if took := time.Since(began); took > test.within {
					t.Errorf("told after %v", took)
				}
				if ended, _ := s.Watch(s, otherName); !closed(ended) {
					t.Error("not told at once that a session has ended before")
				}
			})
		})
	}
}

// One of several sessions ends a watch, and so does an error, the end of its
// owner's watches, and that of all; nothing ends one that was stopped.
func TestWatchEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, k *kernel) {
		s := k.newStore(t, true)
		const third = "ffffffffffffffffffffffff"
		k.begin(otherName)
		k.begin(third)
		one, _ := s.Watch(1, otherName, third)
		stopped, stop := s.Watch(1, otherName)
		stop()
		k.die(third)
		time.Sleep(firstLook)
		if !closed(one) {
			t.Error("not told of one of several")
		}
		k.begin(third)
		first, _ := s.Watch(1, third)
		second, _ := s.Watch(2, third)
		s.EndWatchesOf(1)
		if !closed(first) || closed(second) {
			t.Error("not the owner's watches alone have ended")
		}
		k.mu.Lock()
		k.err = errors.New("no answer")
		k.mu.Unlock()
		time.Sleep(lookEvery)
		if !closed(second) {
			t.Error("not told of an error")
		}
		k.mu.Lock()
		k.err = nil
		k.mu.Unlock()
		last, _ := s.Watch(2, third)
		s.EndWatches()
		if !closed(last) || closed(stopped) {
			t.Error("the end of all watches ends a stopped one, or not all")
		}
		if w, _ := s.Watch(2, third); closed(w) {
			t.Error("a later watch of a session that lives has ended")
		}
		s.watcher.init(s) // for the second EndWatches
	})
}

// The watcher subscribes while somebody watches, and a while longer.
func TestSubscription(t *testing.T) {
	inBubble(t, func(t *testing.T, k *kernel) {
		s := k.newStore(t, true)
		k.begin(otherName)
		for range 3 {
			_, stop := s.Watch(s, otherName)
			synctest.Wait()
			stop()
			time.Sleep(idleAfter / 2)
			k.tell()
			synctest.Wait()
		}
		if k.subscribed != 1 {
			t.Errorf("subscribed %d times", k.subscribed)
		}
		time.Sleep(idleAfter + lookEvery)
		if k.listeners() != 0 || s.watcher.isRunning() {
			t.Error("subscribed, or running, although nobody watches")
		}
		if _, _, err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		_, stop := s.Watch(s, otherName)
		stop()
		time.Sleep(idleAfter + 2*lookEvery)
		if k.listeners() != 0 || !s.watcher.isRunning() {
			t.Error("subscribed for the own session, or not looking after it")
		}
	})
}

// A session is lost when the database is, and other stores of the process are told
// at once.
func TestLost(t *testing.T) {
	inBubble(t, func(t *testing.T, k *kernel) {
		s, other := k.newStore(t, true), k.newStore(t, true)
		name, lost, err := s.Begin()
		if again, _, _ := s.Begin(); err != nil || again != name || !isName(name) {
			t.Errorf("a second session %q beside %q: %v", again, name, err)
		}
		for _, s := range []*Sessions{s, other} {
			if alive, err := s.Alive(name); !alive || err != nil {
				t.Error("not alive:", err)
			}
		}
		ended, _ := other.Watch(other, name)
		time.Sleep(time.Minute)
		if closed(lost) || closed(ended) {
			t.Error("lost without a reason")
		}
		k.mu.Lock()
		k.gone = driver.ErrNotStore
		k.mu.Unlock()
		<-lost
		if began := time.Now(); !closed(ended) || time.Since(began) != 0 {
			t.Error("another store was not told at once")
		}
		if _, _, err := s.Begin(); !errors.Is(err, driver.ErrNotStore) {
			t.Error("another session:", err)
		}
		k.mu.Lock()
		k.gone = nil
		k.mu.Unlock()
		second, _, err := s.Begin()
		if second == name || err != nil {
			t.Errorf("the next session is %q: %v", second, err)
		}
		s.Lose()
		s.Lose() // there is none
		if alive, _ := other.Alive(second); alive {
			t.Error("alive, and lost")
		}
		s.closed = true
		if _, _, err := s.Begin(); !errors.Is(err, driver.ErrClosed) {
			t.Error("a session of a closed store:", err)
		}
	})
}

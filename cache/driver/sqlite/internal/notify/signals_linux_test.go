package notify

import (
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/futex"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wake"
)

// openPage opens a page that is a file of its own in a directory.
func openPage(t *testing.T, path string) *futex.Page {
	t.Helper()
	dir, err := osfs.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	f, err := dir.Shared(filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page, err := futex.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func signalsOn(t *testing.T, path string, fn func(topics uint32)) *signals {
	t.Helper()
	page := openPage(t, path)
	s := newSignals(page, fn, nil)
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Those who pass a turn on and wait for it, while topics come and go beside
// them, miss none: there is no net below.
func TestSignals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	const players, rounds = 4, 4000
	var turn atomic.Int64
	var all sync.WaitGroup
	for me := range int64(players) {
		woken := make(chan struct{}, 1)
		s := signalsOn(t, path, func(uint32) { wake.Signal(woken) })
		all.Go(func() {
			for i := 0; ; i++ {
				topic := uint32(1) << (i % 3) // each player wants all three
				for _, topic := range []uint32{1, 2, 4} {
					s.subscribe(topic)
				}
				for range 10 {
					n := turn.Load()
					if n < rounds && n%players != me {
						<-woken
						continue
					}
					if n < rounds {
						if n%2 == 0 {
							s.alert(topic)
						}
						turn.Add(1)
					}
					s.send(topic)
					if n >= rounds {
						return
					}
				}
				for _, topic := range []uint32{1, 2, 4} {
					s.unsubscribe(topic)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("a signal was lost at %d", turn.Load())
	}
}

// An alert tells nobody anything, and the signal that follows is told.
func TestAlerts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	told := make(chan uint32, 10)
	s := signalsOn(t, path, func(topics uint32) { told <- topics })
	other := signalsOn(t, path, func(uint32) {})
	s.subscribe(2)
	s.subscribe(4)
	for range 1000 {
		other.alert(4)
		other.alert(2)
		other.send(2)
		if got := <-told; got != 2 {
			t.Fatalf("told %b", got)
		}
	}
	if len(told) > 0 {
		t.Errorf("told %b as well", <-told)
	}
}

// Nobody is told of topics that are not wanted, and of what it sends itself.
func TestSignalsAreForOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	told := make(chan uint32, 10)
	s := signalsOn(t, path, func(topics uint32) { told <- topics })
	other := signalsOn(t, path, func(uint32) {})
	s.subscribe(2)
	s.send(2)
	other.send(4)
	other.send(2)
	if got := <-told; got != 2 {
		t.Errorf("told %b", got)
	}
	s.unsubscribe(2)
	s.subscribe(8)
	other.send(2)
	other.send(8)
	if got := <-told; got != 8 {
		t.Errorf("told %b", got)
	}
	if len(told) > 0 {
		t.Errorf("told %b as well", <-told)
	}
}

// A signal that wakes the goroutine for others, when nobody here wants it any
// more, ends it: with no topic left to wait for it would not sleep.
func TestSignalsUnwanted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	s := signalsOn(t, path, func(uint32) {})
	other := signalsOn(t, path, func(uint32) {})
	third := signalsOn(t, path, func(uint32) {})
	third.subscribe(2)
	s.subscribe(2)
	for waits := false; !waits; runtime.Gosched() {
		s.mu.Lock()
		waits = s.mask == 2
		s.mu.Unlock()
	}
	s.unsubscribe(2)
	s.mu.Lock()
	ended := s.ended
	s.unused.Stop() // so that it is not this that ends it
	s.mu.Unlock()
	other.send(2)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the goroutine goes on without a topic")
	}
}

// The timer of a wait that has just ended may fire when all is closed.
func TestSignalsIdleAfterClose(t *testing.T) {
	page := openPage(t, filepath.Join(t.TempDir(), "page"))
	s := newSignals(page, func(uint32) {}, nil)
	s.subscribe(1)
	s.unsubscribe(1)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s.idle()
}

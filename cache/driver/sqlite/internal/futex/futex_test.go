//go:build linux

package futex

import (
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

func open(t *testing.T, path string) *Page {
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
	p, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestNoLostWakeUp passes turns of several topics to and fro between mappings
// of a file. The whole stands still when a wake-up is lost.
func TestNoLostWakeUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	const pairs, rounds = 3, 10_000
	var all sync.WaitGroup
	for topic := range pairs {
		var turn atomic.Int64
		mask := uint32(1) << topic
		for me := range int64(2) {
			p := open(t, path)
			all.Go(func() {
				for i := 0; ; i++ {
					p.Join(topic)
					ticket := p.Ticket()
					p.Want(mask)
					n := turn.Load()
					own := mask
					if i%3 == 0 && (n >= rounds || n%2 == me) {
						p.Leave(topic)
						own = 0
					}
					switch {
					case n >= rounds:
						p.Signal(mask, own)
						return
					case n%2 == me:
						turn.Add(1)
						p.Signal(mask, own)
					default:
						runtime.Gosched() // time for others to signal
						p.Wait(ticket, mask)
					}
					if own != 0 {
						p.Leave(topic)
					}
				}
			})
		}
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("a wake-up was lost")
	}
}

// Who waits for a topic sleeps through others, also if somebody wants those.
func TestTopics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	p, other := open(t, path), open(t, path)
	woken := make(chan uint32)
	for _, topic := range []int{3, 4} {
		p.Join(topic)
		before := p.Count(topic)
		go func() {
			for p.Count(topic) == before {
				ticket := p.Ticket()
				p.Want(1 << topic)
				if p.Count(topic) == before {
					p.Wait(ticket, 1<<topic)
				}
			}
			woken <- uint32(topic)
		}()
	}
	other.Signal(1<<5, 0)
	for _, topic := range []uint32{4, 3} {
		other.Signal(1<<topic, 0)
		if got := <-woken; got != topic {
			t.Errorf("topic %d was signalled, %d woken", topic, got)
		}
	}
	if p.Count(3) != 1 || p.Count(4) != 1 || p.Count(5) != 1 {
		t.Error("signals are not counted once each")
	}
}

func TestWaitEnds(t *testing.T) {
	p := open(t, filepath.Join(t.TempDir(), "page"))
	ticket := p.Ticket()
	p.Join(0)
	p.Want(1)
	p.Signal(1, 0)
	p.Wait(ticket, 1) // came too late to sleep
	ticket = p.Ticket()
	p.Wake(2) // nobody wants it
	p.Wait(ticket, 1)
}

// An alert ends the sleep of one waiter, who can tell it from a signal and has
// still to be signalled.
func TestAlert(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	p, other := open(t, path), open(t, path)
	other.Alert(1, 0) // nobody wants it
	alerts := make(chan bool)
	p.Join(0)
	for range 2 {
		go func() {
			for {
				ticket := p.Ticket()
				p.Want(1)
				if p.Count(0) > 0 {
					alerts <- false
					return
				}
				if p.Wait(ticket, 1) {
					alerts <- true
				}
			}
		}()
	}
	for range 3 {
		for alerted := false; !alerted; { // the waiters may not sleep yet
			other.Alert(1, 0)
			select {
			case alerted = <-alerts:
				if !alerted {
					t.Fatal("signalled by an alert")
				}
			case <-time.After(time.Millisecond):
			}
		}
	}
	other.Signal(1, 0)
	for ended := 0; ended < 2; {
		if !<-alerts {
			ended++
		}
	}
}

// Who is the only one to wait for a topic is not woken by what it signals.
func TestOwnSignals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	p, other := open(t, path), open(t, path)
	p.Join(0)
	p.Want(1)
	ticket := p.Ticket()
	p.Signal(1, 1)
	if p.Ticket() != ticket || p.Count(0) != 1 {
		t.Error("woken by itself")
	}
	other.Join(0)
	p.Signal(1, 1)
	if p.Ticket() == ticket {
		t.Error("another one is not woken")
	}
	other.Leave(0)
	ticket = p.Ticket()
	p.Want(1)
	p.Signal(1, 1)
	if p.Ticket() != ticket {
		t.Error("woken for one that has left")
	}
	other.Signal(1, 0)
	if p.Ticket() == ticket {
		t.Error("not woken by another")
	}
}

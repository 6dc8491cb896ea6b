//go:build linux

package futex

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestNoLostWakeUp passes a turn to and fro between two mappings of a file.
// A wake-up that is lost costs a timeout, which is far longer than the test
// may take.
func TestNoLostWakeUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	var turn atomic.Int64
	const rounds = 20_000
	play := func(me int64) {
		p, err := Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer p.Close()
		for {
			ticket := p.Prepare()
			n := turn.Load()
			switch {
			case n >= rounds:
				p.Signal()
				return
			case n%2 == me:
				turn.Add(1)
				p.Signal()
			default:
				start := time.Now()
				p.Wait(ticket, time.Minute)
				if time.Since(start) > 50*time.Second {
					t.Error("a wake-up was lost")
					turn.Store(rounds)
				}
			}
		}
	}
	done := make(chan struct{})
	go func() { play(0); close(done) }()
	play(1)
	<-done
}

func TestWaitEnds(t *testing.T) {
	p, err := Open(filepath.Join(t.TempDir(), "page"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Wait(p.Prepare(), time.Millisecond)
	ticket := p.Prepare()
	p.Signal()
	p.Wait(ticket, time.Hour) // came too late to sleep
}

func TestOpenFails(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "no", "such", "folder")); err == nil {
		t.Error("a file in a folder that does not exist was opened")
	}
}

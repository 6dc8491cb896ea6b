//go:build unix

package lite

import (
	"sync/atomic"
	"time"

	"modernc.org/libc"
)

// janitor releases the sticky locks of connections that are no longer used,
// all of the process, so that none can be forgotten: in between one and two
// rounds after the last use. Rounds happen only while there are sticky locks.
//
// Whoever lets a lock stick looks whether a round is due, which costs a load
// from memory, and sees to it that one is. A round first says that none is
// due and then looks for locks: one that it does not see sticks after that,
// and its connection finds no round due.
var janitor struct {
	due   atomic.Bool
	timer *time.Timer
}

func init() {
	janitor.timer = time.AfterFunc(time.Hour, round)
	janitor.timer.Stop()
}

// aged is added to the slot of a sticky lock that a round has seen. A use
// takes it off again.
const aged = 1 << 8

// roundEvery is the time between two rounds.
func roundEvery() time.Duration { return max(2*stickyTime(), time.Millisecond) }

// watchSticky has a round happen. It is called after each lock that sticks.
func watchSticky() {
	if !janitor.due.Load() && janitor.due.CompareAndSwap(false, true) {
		janitor.timer.Reset(roundEvery())
	}
}

func round() {
	janitor.due.Store(false)
	var tls *libc.TLS
	left := false
	shim.mu.Lock()
	for _, ids := range shim.sticky {
		for _, id := range ids {
			f := fileAt(id)
			s := atomic.LoadUint32(&f.sticky)
			switch {
			case s == 0:
			case s&aged == 0:
				atomic.CompareAndSwapUint32(&f.sticky, s, s|aged)
				left = true
			default:
				if tls == nil {
					tls = libc.NewTLS()
				}
				steal(tls, id)
			}
		}
	}
	shim.mu.Unlock()
	if tls != nil {
		tls.Close()
	}
	if left {
		watchSticky()
	}
}

//go:build unix

package vfs

import (
	"sync/atomic"
	"time"

	"modernc.org/libc"
)

// reaper releases the deferred locks of connections that are no longer used,
// all of the process, so that none can be forgotten: in between one and two
// rounds after the last use. Rounds happen only while there are deferred locks.
//
// A connection that defers an unlock looks whether a round is due, which costs a load
// from memory, and sees to it that one is. A round first says that none is
// due and then looks for locks: one that it does not see was deferred after that,
// and its connection finds no round due.
var reaper struct {
	due   atomic.Bool
	timer *time.Timer
}

func init() {
	reaper.timer = time.AfterFunc(time.Hour, reap)
	reaper.timer.Stop()
}

// reapMark is added to the slot of a deferred lock that a round has seen. A use
// takes it off again.
const reapMark = 1 << 8

// reapEvery is the time between two rounds.
func reapEvery() time.Duration { return max(2*deferral(), time.Millisecond) }

// scheduleReap has a round happen. A connection calls it after each unlock that it defers.
func scheduleReap() {
	if !reaper.due.Load() && reaper.due.CompareAndSwap(false, true) {
		reaper.timer.Reset(reapEvery())
	}
}

// reap is a round: it releases the locks that the last round has marked, and marks the others.
func reap() {
	reaper.due.Store(false)
	var tls *libc.TLS
	left := false
	shim.mu.Lock()
	for _, ids := range shim.deferring {
		for _, id := range ids {
			f := fileAt(id)
			s := atomic.LoadUint32(&f.deferred)
			switch {
			case s == 0:
			case s&reapMark == 0:
				atomic.CompareAndSwapUint32(&f.deferred, s, s|reapMark)
				left = true
			default:
				if tls == nil {
					tls = libc.NewTLS()
				}
				revoke(tls, id)
			}
		}
	}
	shim.mu.Unlock()
	if tls != nil {
		tls.Close()
	}
	if left {
		scheduleReap()
	}
}

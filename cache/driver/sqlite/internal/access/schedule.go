package access

import (
	"sync/atomic"
	"time"
)

// writeAfter is how long what was gathered waits to be written.
const writeAfter = time.Second

// Schedule is the timer by which an engine writes what it gathers in memory, such as
// [Reads]: a second after the first of it, or at once. One goroutine receives from its
// channels, and calls Begin before it writes.
type Schedule struct {
	armed atomic.Bool // it is due within writeAfter
	timer *time.Timer
	now   chan struct{}
}

// NewSchedule returns an idle schedule.
func NewSchedule() *Schedule {
	s := &Schedule{timer: time.NewTimer(writeAfter), now: make(chan struct{}, 1)}
	s.timer.Stop()
	return s
}

// Soon asks for a write within writeAfter.
func (s *Schedule) Soon() {
	if !s.armed.Load() && s.armed.CompareAndSwap(false, true) {
		s.timer.Reset(writeAfter)
	}
}

// Now asks for a write at once.
func (s *Schedule) Now() {
	s.Soon()
	select {
	case s.now <- struct{}{}:
	default: // one is enough
	}
}

// Due receives when Soon's time has come, Urgent after Now.
func (s *Schedule) Due() <-chan time.Time   { return s.timer.C }
func (s *Schedule) Urgent() <-chan struct{} { return s.now }

// Begin says that writing begins: what comes from now on is due anew.
func (s *Schedule) Begin() { s.armed.Store(false) }

// Stop ends the schedule.
func (s *Schedule) Stop() { s.timer.Stop() }

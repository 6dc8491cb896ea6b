package drivertest

import (
	"fmt"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// maxSignal is the length of the longest message.
const maxSignal = 1024

var signalTests = tests{
	{"IsHeard", func(e *env) {
		second := e.open(Options{}).(driver.Signaler)
		name := e.session(e.s) + ".1"
		heard := make(chan string, 10)
		stop, err := e.s.(driver.Signaler).Listen(name, func(message []byte, own bool) {
			heard <- fmt.Sprint(len(message), own)
			clear(message)
		})
		e.ok(err)
		for _, n := range []int{1, 30, maxSignal} {
			for _, s := range []driver.Signaler{second, e.s.(driver.Signaler)} {
				e.ok(s.Signal(name, make([]byte, n)))
				if got, want := e.hear(heard), fmt.Sprint(n, true); got != want {
					e.Errorf("heard %s, want %s", got, want)
				}
			}
		}
		if second.Signal(name, make([]byte, maxSignal+1)) == nil {
			e.Error("a message that is too long is sent")
		}
		stop()
		if second.Signal(name, []byte("x")) == nil {
			e.Error("a message to nobody is sent")
		}
		if len(heard) > 0 {
			e.Errorf("heard %s after the end", <-heard)
		}
	}},

	{"NobodyListens", func(e *env) {
		if err := e.s.(driver.Signaler).Signal("nobody.1", []byte("x")); err == nil {
			e.Error("a message to nobody is sent")
		}
	}},

	{"DoesNotWait", func(e *env) {
		s := e.s.(driver.Signaler)
		name := e.session(e.s) + ".2"
		release := make(chan struct{})
		stop, err := s.Listen(name, func([]byte, bool) { <-release })
		e.ok(err)
		for range 10_000 { // however many there is room for
			_ = s.Signal(name, []byte("x"))
		}
		close(release)
		stop()
	}},

	{"AfterClose", func(e *env) {
		s := e.open(Options{}).(driver.Signaler)
		e.ok(s.Close())
		e.wantErr(s.Signal("somebody.1", nil), driver.ErrClosed)
		_, err := s.Listen("somebody.1", func([]byte, bool) {})
		e.wantErr(err, driver.ErrClosed)
	}},
}

// hear returns the next message.
func (e *env) hear(heard <-chan string) string {
	e.Helper()
	select {
	case got := <-heard:
		return got
	case <-time.After(patience):
		e.Fatal("nothing is heard")
		return ""
	}
}

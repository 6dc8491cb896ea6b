package drivertest

import (
	"context"
	"errors"

	"github.com/go-diskcache/diskcache/cache/driver"
)

func (e *env) wantAlive(s driver.Store, session string, want bool) {
	e.Helper()
	got, err := s.Alive(e.ctx, session)
	e.ok(err)
	if got != want {
		e.Errorf("Alive is %v, want %v", got, want)
	}
}

// Handles of one directory in one process may share a session, which then
// ends with the last of them.
var sessionTests = tests{
	{"Alive", func(e *env) {
		own := e.s.Session()
		if own == "" || own != e.s.Session() {
			e.Errorf("Session is %q, then %q", own, e.s.Session())
		}
		e.wantAlive(e.s, own, true)
		for _, session := range []string{"", "never was", "../../up"} {
			if alive, _ := e.s.Alive(e.ctx, session); alive { // an error is as good
				e.Errorf("session %q is alive", session)
			}
		}
		second := e.open(Options{})
		e.wantAlive(second, own, true)
		e.wantAlive(e.s, second.Session(), true)
		ended := second.Session()
		e.ok(second.Close())
		e.wantAlive(e.s, own, true)
		e.wantAlive(e.s, ended, ended == own)
	}},

	{"EndsWithClose", func(e *env) {
		var old []string
		for range 3 {
			old = append(old, e.s.Session())
			e.reopen()
			for _, session := range old {
				if session == e.s.Session() {
					e.Error("a session's name is used again")
				}
				e.wantAlive(e.s, session, false)
				e.ok(e.s.AwaitEnd(e.ctx, session))
			}
		}
	}},

	{"AwaitEnd", func(e *env) {
		waiter := e.open(Options{ReadOnly: true})
		if waiter.Session() == e.s.Session() {
			e.Skip("all handles share a session")
		}
		session := e.s.Session()
		wait := e.background(func() error { return waiter.AwaitEnd(e.ctx, session) })
		ctx, cancel := context.WithCancelCause(e.ctx)
		impatient := e.background(func() error { return waiter.AwaitEnd(ctx, session) })
		cancel(errCause)
		e.wantErr(impatient(), errCause)
		e.wantAlive(waiter, session, true)
		e.ok(e.s.Close())
		e.ok(wait())
		e.wantAlive(waiter, session, false)
	}},

	{"AwaitEndOfOwn", func(e *env) {
		// A store that is closed tells its waiters.
		wait := e.background(func() error { return e.s.AwaitEnd(e.ctx, e.s.Session()) })
		ctx, cancel := context.WithCancelCause(e.ctx)
		impatient := e.background(func() error { return e.s.AwaitEnd(ctx, e.s.Session()) })
		cancel(errCause)
		e.wantErr(impatient(), errCause)
		e.ok(e.s.Close())
		if err := wait(); err != nil && !errors.Is(err, driver.ErrClosed) {
			e.Errorf("AwaitEnd: %v", err)
		}
	}},
}

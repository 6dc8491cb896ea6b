package drivertest

import (
	"github.com/go-diskcache/diskcache/cache/driver"
)

func (e *env) wantAlive(s driver.Store, session string, want bool) {
	e.Helper()
	got, err := s.Alive(e.ctx, session)
	e.ok(err)
	if got != want {
		e.Errorf("Alive is %v, want %v", got, want)
	}
	ask := func(tx driver.Tx) (err error) {
		got, err = tx.Alive(e.ctx, session)
		return err
	}
	e.ok(s.View(e.ctx, ask))
	if got != want {
		e.Errorf("Alive is %v in a View, want %v", got, want)
	}
	if !s.ReadOnly() {
		e.ok(s.Update(e.ctx, driver.Shared, ask))
		if got != want {
			e.Errorf("Alive is %v in an Update, want %v", got, want)
		}
	}
}

// session returns the name of a store's session, which must not be lost.
func (e *env) session(s driver.Store) string {
	e.Helper()
	name, lost, err := s.Session(e.ctx)
	e.ok(err)
	if name == "" {
		e.Error("a session has no name")
	}
	if isClosed(lost) {
		e.Error("a session is lost that was just returned")
	}
	return name
}

// watchSession watches until the test ends.
func (e *env) watchSession(s driver.Store, sessions ...string) (ended <-chan struct{}) {
	e.Helper()
	ended, stop, err := s.WatchSession(sessions...)
	e.ok(err)
	e.Cleanup(stop)
	return ended
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// neverWere are names of no session.
var neverWere = []string{"", "never was", "../../up"}

// Handles of one directory in one process may share a session, which then
// ends with the last of them. A read-only handle has none and shares none.
var sessionTests = tests{
	{"Alive", func(e *env) {
		own := e.session(e.s)
		if again := e.session(e.s); again != own {
			e.Errorf("Session is %q, then %q", own, again)
		}
		e.wantAlive(e.s, own, true)
		for _, session := range neverWere {
			if alive, _ := e.s.Alive(e.ctx, session); alive { // an error is as good
				e.Errorf("session %q is alive", session)
			}
		}
		second := e.open(Options{})
		e.wantAlive(second, own, true)
		other := e.session(second)
		e.wantAlive(e.s, other, true)
		reader := e.open(Options{ReadOnly: true})
		e.wantAlive(reader, own, true)
		e.wantAlive(reader, other, true)
		e.ok(second.Close())
		e.wantAlive(e.s, own, true)
		e.wantAlive(e.s, other, other == own)
		e.wantAlive(reader, other, other == own)
		e.ok(e.s.Close())
		e.wantAlive(reader, own, false)
		e.wantAlive(reader, other, false)
	}},

	{"ReadOnlyHasNone", func(e *env) {
		_, _, err := e.open(Options{ReadOnly: true}).Session(e.ctx)
		e.wantErr(err, driver.ErrReadOnly)
	}},

	{"EndsWithClose", func(e *env) {
		var old []string
		for range 3 {
			_, lost, err := e.s.Session(e.ctx)
			e.ok(err)
			old = append(old, e.session(e.s))
			e.reopen()
			if isClosed(lost) {
				e.Error("Close has lost the session")
			}
			for _, session := range old {
				if session == e.session(e.s) {
					e.Error("a session's name is used again")
				}
				e.wantAlive(e.s, session, false)
				e.await(e.watchSession(e.s, session))
			}
		}
	}},

	{"Watch", func(e *env) {
		waiter := e.open(Options{ReadOnly: true})
		session := e.session(e.s)
		ended := e.watchSession(waiter, session)
		stopped, stop, err := waiter.WatchSession(session)
		e.ok(err)
		if isClosed(ended) || isClosed(stopped) {
			e.Error("told of the end of a session that lives")
		}
		stop()
		stop()
		e.wantAlive(waiter, session, true)
		e.ok(e.s.Close())
		e.await(ended)
		e.wantAlive(waiter, session, false)
		e.await(e.watchSession(waiter, session)) // it has ended before
	}},

	{"WatchSeveral", func(e *env) {
		waiter := e.open(Options{ReadOnly: true})
		second := e.open(Options{})
		own, other := e.session(e.s), e.session(second)
		both := e.watchSession(waiter, own, other)
		none := e.watchSession(waiter)
		for _, session := range neverWere {
			e.await(e.watchSession(waiter, own, session))
		}
		if own != other {
			e.ok(second.Close())
			e.await(both)
			e.await(e.watchSession(waiter, own, other))
			if isClosed(e.watchSession(waiter, own)) {
				e.Error("told of the end of a session that lives")
			}
		}
		if isClosed(none) {
			e.Error("told of the end of no session")
		}
	}},

	{"WatchManyTimes", func(e *env) {
		// Each watch is told, whoever else watches, and of whichever session.
		const stores = 20
		waiter := e.open(Options{ReadOnly: true})
		var all []<-chan struct{}
		for range stores {
			session := e.session(e.open(Options{}))
			for range 3 {
				all = append(all, e.watchSession(waiter, session))
				_, stop, err := waiter.WatchSession(session)
				e.ok(err)
				stop()
			}
		}
		for _, s := range e.opened {
			if s != waiter {
				e.ok(s.Close())
			}
		}
		for _, ended := range all {
			e.await(ended)
		}
	}},

	{"CloseEndsWatches", func(e *env) {
		// Also that of the own session.
		session := e.session(e.s)
		own := e.watchSession(e.s, session)
		second := e.open(Options{ReadOnly: true})
		others := e.watchSession(second, session)
		if isClosed(own) {
			e.Error("told of the end of a session that lives")
		}
		e.ok(second.Close())
		e.await(others)
		e.ok(e.s.Close())
		e.await(own)
	}},
}

// lossTests are for engines whose sessions can be lost.
var lossTests = tests{
	{"Lost", func(e *env) {
		waiter := e.open(Options{ReadOnly: true})
		session, lost, err := e.s.Session(e.ctx)
		e.ok(err)
		ended := e.watchSession(waiter, session)
		e.h.LoseSession(e.s)
		e.await(ended)
		if !isClosed(lost) {
			e.Error("others are told first")
		}
		e.wantAlive(waiter, session, false)
		e.wantAlive(e.s, session, false)
		next := e.session(e.s)
		if next == session {
			e.Error("the name of a lost session is used again")
		}
		e.wantAlive(waiter, next, true)
		e.wantAlive(waiter, session, false)
		e.put(pair("k", 1)) // still usable
		e.wantValue("k", 1)
		e.ok(e.s.Close())
		e.wantAlive(waiter, next, false)
	}},

	{"LostAgain", func(e *env) {
		waiter := e.open(Options{ReadOnly: true})
		for range 3 {
			session := e.session(e.s)
			e.h.LoseSession(e.s)
			e.h.LoseSession(e.s) // there is none by now
			e.wantAlive(waiter, session, false)
		}
	}},
}

// A session that cannot be begun is an error, and is tried again by the next
// call.
var refusalTests = tests{
	{"Refused", func(e *env) {
		allow := e.h.RefuseSession(e.s)
		for range 2 {
			if name, _, err := e.s.Session(e.ctx); err == nil {
				e.Errorf("Session returns %q, which others cannot see", name)
			}
		}
		e.put(pair("k", 1)) // still usable
		e.wantValue("k", 1)
		allow()
		e.wantAlive(e.open(Options{ReadOnly: true}), e.session(e.s), true)
	}},
}

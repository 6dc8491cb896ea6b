package drivertest

import (
	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// watch watches the collection until the test ends.
func (e *env) watch(s driver.Store, c driver.Collection) <-chan struct{} {
	e.Helper()
	changed, stop, err := s.Watch(c)
	e.ok(err)
	e.Cleanup(stop)
	return changed
}

var watchTests = tests{
	{"AnyChange", func(e *env) {
		second := e.open(Options{})
		watches := []<-chan struct{}{e.watch(e.s, e.c), e.watch(e.s, e.c), e.watch(second, e.collection(second, "test"))}
		large := e.large(driver.Put{Key: val("f"), Now: now}, codec.Blob, []byte("x"))
		for _, change := range []func(tx driver.Tx) error{
			func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, pair("new", 1))) },
			func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, until("k", now+5))) },
			func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, large)) },
			func(tx driver.Tx) error { _, err := tx.Touch(e.ctx, e.c, val("k"), now+9, now); return err },
			func(tx driver.Tx) error { _, err := tx.Delete(e.ctx, e.c, val("k"), now); return err },
			func(tx driver.Tx) error { _, err := tx.Remove(e.ctx, e.c, driver.Filter{}, 9); return err },
			func(tx driver.Tx) error { _, err := tx.Cull(e.ctx, e.c, now, 9, null); return err },
		} {
			e.put(until("k", now+5), until("expired", now-5))
			for _, w := range watches { // signals of before
				drain(w)
			}
			e.ok(e.s.Update(e.ctx, driver.Shared, change))
			for _, w := range watches {
				e.await(w)
			}
		}
	}},

	{"HoldsASignal", func(e *env) {
		changed := e.watch(e.s, e.c)
		for i := range 10 { // nobody listens, and nobody is kept waiting
			e.put(pair("k", i))
		}
		e.await(changed)
		if cap(changed) != 1 {
			e.Errorf("the channel holds %d signals", cap(changed))
		}
	}},

	{"NothingIsMissed", func(e *env) {
		// Watch, look, wait: the loop that everybody who waits for a row
		// uses. Each of two counts what the other has counted, so that a lost
		// signal stops both.
		second := e.open(Options{})
		stores := []driver.Store{e.s, second}
		const rounds = 200
		var waits []func() error
		for i, s := range stores {
			c := e.collection(s, "test")
			changed := e.watch(s, c)
			waits = append(waits, e.background(func() error {
				for {
					done := false
					err := s.Update(e.ctx, driver.Shared, func(tx driver.Tx) error {
						r, _, err := tx.Get(e.ctx, c, val("turn"), quiet)
						if err != nil {
							return err
						}
						n := r.Value.Integer()
						done = n >= rounds
						if done || n%2 != int64(i) {
							return nil
						}
						done = n+1 >= rounds
						return errOf(tx.Put(e.ctx, c, pair("turn", n+1)))
					})
					if err != nil || done {
						return err
					}
					<-changed
				}
			}))
		}
		for _, wait := range waits {
			e.ok(wait())
		}
		e.wantValue("turn", rounds)
	}},

	{"Stop", func(e *env) {
		changed, stop, err := e.s.Watch(e.c)
		e.ok(err)
		stop()
		stop()
		drain(changed)
		e.put(pair("k", 1))
		select {
		case <-changed:
			e.Error("a signal after stop")
		default:
		}
	}},

	{"Drop", func(e *env) {
		changed := e.watch(e.s, e.c)
		e.ok(e.s.Drop(e.ctx, "test"))
		e.await(changed)
	}},

	{"Close", func(e *env) {
		changed, stop, err := e.s.Watch(e.c)
		e.ok(err)
		e.ok(e.s.Close())
		e.await(changed) // so that whoever waits finds out
		stop()
	}},
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

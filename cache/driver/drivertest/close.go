package drivertest

import (
	"errors"

	"github.com/go-diskcache/diskcache/cache/driver"
)

var closeTests = tests{
	{"EverythingIsClosed", func(e *env) {
		e.ok(e.s.Close())
		e.ok(e.s.Close())
		for name, call := range e.calls(e.s, e.c) {
			if err := call(e.ctx); !errors.Is(err, driver.ErrClosed) {
				e.Errorf("%s: %v", name, err)
			}
		}
		for name, err := range e.useCollection(e.s, e.c) {
			if !errors.Is(err, driver.ErrClosed) {
				e.Errorf("%s: %v", name, err)
			}
		}
		_, _, err := e.s.WatchSession("none")
		e.wantErr(err, driver.ErrClosed)
	}},

	{"WaitsForRunningTransactions", func(e *env) {
		second := e.open(Options{}) // keeps the directory in use
		release := e.hold(e.s, e.ctx, func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, pair("k", 1))) })
		reading, read := make(chan struct{}), make(chan struct{})
		viewed := e.background(func() error {
			return e.s.View(e.ctx, func(tx driver.Tx) error {
				close(reading)
				<-read
				_, err := tx.Count(e.ctx, e.c)
				return err
			})
		})
		e.await(reading)
		closed := make(chan struct{})
		wait := e.background(func() error {
			defer close(closed)
			return e.s.Close()
		})
		// Close has begun once calls are refused.
		for {
			if _, err := e.s.Names(e.ctx); err != nil {
				e.wantErr(err, driver.ErrClosed)
				break
			}
		}
		stillOpen := func() {
			select {
			case <-closed:
				e.Error("Close did not wait")
			default:
			}
		}
		stillOpen()
		e.ok(release())
		stillOpen()
		close(read)
		e.ok(viewed())
		e.ok(wait())
		e.s, e.c = second, e.collection(second, "test")
		e.wantValue("k", 1)
	}},

	{"UnderLoad", func(e *env) {
		// Each call succeeds or fails with ErrClosed, and what succeeded is
		// there.
		const writers = 8
		last := make([]int, writers)
		started := make(chan struct{}, writers)
		var waits []func() error
		for i := range writers {
			waits = append(waits, e.background(func() error {
				for n := 1; ; n++ {
					err := e.s.Update(e.ctx, driver.Mode(i%2), func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, e.c, pair(i, n))) })
					if err != nil {
						return err
					}
					last[i] = n
					if n == 1 {
						started <- struct{}{}
					}
				}
			}))
		}
		for range writers {
			<-started
		}
		e.ok(e.s.Close())
		for _, wait := range waits {
			e.wantErr(wait(), driver.ErrClosed)
		}
		e.reopen()
		for i, n := range last {
			e.wantValue(i, n)
		}
	}},

	{"OneOfTwoHandles", func(e *env) {
		e.put(pair("k", 1))
		second := e.open(Options{})
		c := e.collection(second, "test")
		e.ok(e.s.Close())
		e.s, e.c = second, c
		e.wantValue("k", 1)
		e.put(pair("k", 2))
		e.reopen()
		e.wantValue("k", 2)
	}},
}

package drivertest

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// shortTimeout is one that a test waits for.
const shortTimeout = 50 * time.Millisecond

// errCause is what contexts of tests end with.
var errCause = errors.New("the test has had enough")

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errCause)
	return ctx
}

// writes are the calls that wait for other writers.
func (e *env) writes(s driver.Store, c driver.Collection) map[string]func(context.Context) error {
	put := func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, c, pair("unwanted", 1))) }
	return map[string]func(context.Context) error{
		"Alone":  func(ctx context.Context) error { return s.Update(ctx, driver.Alone, put) },
		"Shared": func(ctx context.Context) error { return s.Update(ctx, driver.Shared, put) },
		"Open": func(ctx context.Context) error {
			_, err := s.Open(ctx, "unwanted", driver.Spec{Settings: driver.DefaultSettings()})
			return err
		},
		"Drop": func(ctx context.Context) error { return s.Drop(ctx, "test") },
		"Configure": func(ctx context.Context) error {
			_, err := s.Configure(ctx, c, func(s *driver.Settings) { s.CullLimit = 99 })
			return err
		},
		"Stats with reset": func(ctx context.Context) error { _, err := s.Stats(ctx, c, true); return err },
	}
}

// calls are all that take a context.
func (e *env) calls(s driver.Store, c driver.Collection) map[string]func(context.Context) error {
	all := e.writes(s, c)
	for name, call := range map[string]func(context.Context) error{
		"View":    func(ctx context.Context) error { return s.View(ctx, func(driver.Tx) error { return nil }) },
		"Get":     func(ctx context.Context) error { _, _, err := s.Get(ctx, c, val("k"), quiet); return err },
		"Names":   func(ctx context.Context) error { _, err := s.Names(ctx); return err },
		"Stats":   func(ctx context.Context) error { _, err := s.Stats(ctx, c, false); return err },
		"Session": func(ctx context.Context) error { _, _, err := s.Session(ctx); return err },
		"Alive":   func(ctx context.Context) error { _, err := s.Alive(ctx, "none"); return err },
	} {
		all[name] = call
	}
	if s, ok := s.(driver.Filer); ok {
		all["Create"] = func(ctx context.Context) error { _, err := s.Create(ctx, codec.Blob); return err }
		all["OpenFile"] = func(ctx context.Context) error {
			_, err := s.OpenFile(ctx, c, driver.Row{Key: val("k"), File: "nowhere.val", FileKind: codec.Blob})
			return err
		}
	}
	if s, ok := s.(driver.Measurer); ok {
		all["Volume"] = func(ctx context.Context) error { _, err := s.Volume(ctx); return err }
	}
	if s, ok := s.(driver.Checker); ok {
		all["Check"] = func(ctx context.Context) error { return s.Check(ctx, false, func(driver.Problem) {}) }
	}
	if s, ok := s.(driver.Directory); ok {
		all["Backup"] = func(ctx context.Context) error { return s.Backup(ctx, e.TempDir()) }
	}
	if s, ok := s.(driver.Compacter); ok {
		all["Compact"] = func(ctx context.Context) error { return s.Compact(ctx) }
	}
	return all
}

// wantNothingWritten checks that none of the writes took place.
func (e *env) wantNothingWritten() {
	e.Helper()
	e.wantGone("unwanted")
	e.wantValue("k", 1)
	if got := e.c.Settings().CullLimit; got == 99 {
		e.Error("Configure took place")
	}
	names, err := e.s.Names(e.ctx)
	e.ok(err)
	for _, n := range names {
		if n == "unwanted" {
			e.Error("Open took place")
		}
	}
	e.wantStats(false, 0, 1)
	e.put(pair("afterwards", 1)) // still usable
}

func waiting(e *env) {
	e.enableStats(true)
	e.put(pair("k", 1))
	e.ok(e.look(e.s, e.c, "absent"))
}

var waitTests = tests{
	{"ContextHasEnded", func(e *env) {
		waiting(e)
		for name, call := range e.calls(e.s, e.c) {
			if err := call(ended()); !errors.Is(err, errCause) {
				e.Errorf("%s: %v", name, err)
			}
		}
		e.wantNothingWritten()
	}},

	{"ContextEndsWhileWaiting", func(e *env) {
		waiting(e)
		second := e.open(Options{})
		c := e.collection(second, "test")
		for _, s := range []driver.Store{e.s, second} {
			own := e.c
			if s == second {
				own = c
			}
			release := e.hold(e.s, e.ctx, nil)
			for name, call := range e.writes(s, own) {
				ctx, cancel := context.WithCancelCause(e.ctx)
				wait := e.background(func() error { return call(ctx) })
				time.AfterFunc(5*time.Millisecond, func() { cancel(errCause) })
				if err := wait(); !errors.Is(err, errCause) {
					e.Errorf("%s: %v", name, err)
				}
				cancel(nil)
			}
			e.ok(release())
		}
		e.wantNothingWritten()
	}},

	{"DeadlineIsACause", func(e *env) {
		waiting(e)
		release := e.hold(e.s, e.ctx, nil)
		for name, call := range e.writes(e.s, e.c) {
			ctx, cancel := context.WithTimeout(e.ctx, 5*time.Millisecond)
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
				e.Errorf("%s: %v", name, err)
			}
			cancel()
		}
		e.ok(release())
		e.wantNothingWritten()
	}},

	{"ContextEndsInside", func(e *env) {
		// The call fails and has changed nothing, or it has succeeded.
		waiting(e)
		for _, mode := range []driver.Mode{driver.Alone, driver.Shared, driver.Own} {
			ctx, cancel := context.WithCancelCause(e.ctx)
			err := e.s.Update(ctx, mode, func(tx driver.Tx) error {
				err := errOf(tx.Put(ctx, e.c, pair("inside", 1)))
				cancel(errCause)
				return err
			})
			_, found := e.find("inside", now)
			if err != nil {
				e.wantErr(err, errCause)
			}
			if found != (err == nil) {
				e.Errorf("error %v, but found is %v", err, found)
			}
			e.delete("inside", now)
		}
		e.wantNothingWritten()
	}},

	{"ManyWaitersSomeGiveUp", func(e *env) {
		release := e.hold(e.s, e.ctx, nil)
		const waiters = 30
		var waits []func() error
		ctx, cancel := context.WithCancelCause(e.ctx)
		for i := range waiters {
			own := e.ctx
			if i%3 == 0 {
				own = ctx
			}
			waits = append(waits, e.background(func() error {
				return e.s.Update(own, driver.Mode(i%2), func(tx driver.Tx) error { return errOf(tx.Put(own, e.c, pair(i, i))) })
			}))
		}
		cancel(errCause)
		for i, wait := range waits {
			if i%3 == 0 {
				e.wantErr(wait(), errCause)
			}
		}
		e.ok(release())
		for i, wait := range waits {
			if i%3 != 0 {
				e.ok(wait())
			}
			if _, ok := e.find(i, now); ok != (i%3 != 0) {
				e.Errorf("waiter %d: found %v", i, ok)
			}
		}
	}},

	{"Timeout", func(e *env) {
		waiting(e)
		s := e.open(Options{Timeout: shortTimeout})
		c := e.collection(s, "test")
		release := e.hold(e.s, e.ctx, nil)
		for name, call := range e.writes(s, c) {
			if err := call(e.ctx); !errors.Is(err, driver.ErrTimeout) {
				e.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := s.Get(e.ctx, c, val("k"), quiet); err != nil {
			e.Errorf("Get waits for a writer: %v", err)
		}
		e.ok(release())
		e.wantNothingWritten()
		e.ok(s.Update(e.ctx, driver.Alone, func(tx driver.Tx) error { return errOf(tx.Put(e.ctx, c, pair("k", 2))) }))
	}},

	{"AbandonedTransactionIsRolledBack", func(e *env) {
		ctx, cancel := context.WithCancelCause(e.ctx)
		release := e.hold(e.s, ctx, func(tx driver.Tx) error { return errOf(tx.Put(ctx, e.c, pair("k", 1))) })
		cancel(errCause)
		if err := release(); err != nil {
			e.wantErr(err, errCause)
			e.wantGone("k")
		}
		e.put(pair("afterwards", 1))
	}},
}

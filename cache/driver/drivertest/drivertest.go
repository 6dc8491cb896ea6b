// Package drivertest tests that an engine keeps the contract of package
// driver: [Run] sentence by sentence, [Random] by doing the same random
// operations on several stores and comparing every result.
package drivertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Harness says how to open the stores of an engine.
type Harness struct {
	// Open opens the store in dir, an existing directory of its own for each
	// test, and creates it if there is none yet. It is called several times
	// for one directory, also while it is open, and after everything was
	// closed; each result is closed by the suite.
	Open func(t testing.TB, dir string, o Options) (driver.Store, error)

	// LoseSession has the session of an open store be lost, if it has one. Nil
	// if no session is ever lost.
	LoseSession func(s driver.Store)

	// RefuseSession keeps a store that has no session from beginning one, until
	// allow is called. Nil if nothing ever does.
	RefuseSession func(s driver.Store) (allow func())
}

// Options are what the suite needs to choose when it opens a store.
type Options struct {
	Timeout  time.Duration // of waits for other writers
	ReadOnly bool
}

// patience is how long the suite waits for what has to happen.
const patience = 30 * time.Second

// now is the instant at which most tests take place.
const now = driver.Instant(1_750_000_000)

// Run tests the engine behind h, with those optional interfaces that its Stores
// have. It leaves a store behind after each test
// that Check finds nothing wrong with, and no goroutines.
func Run(t *testing.T, h Harness) {
	topics := []topic{
		{"Put", putTests},
		{"Keys", keyTests},
		{"Expiry", expiryTests},
		{"Delete", deleteTests},
		{"Scan", scanTests},
		{"Pages", pageTests},
		{"Remove", removeTests},
		{"Batch", batchTests},
		{"Cull", cullTests},
		{"Accesses", accessTests},
		{"Collections", collectionTests},
		{"Settings", settingsTests},
		{"Stats", statsTests},
		{"Update", updateTests},
		{"Shared", sharedTests},
		{"View", viewTests},
		{"Wait", waitTests},
		{"Close", closeTests},
		{"ReadOnly", readOnlyTests},
		{"Watch", watchTests},
		{"Sessions", sessionTests},
		{"Fence", fenceTests},
	}
	s, err := h.Open(t, t.TempDir(), Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.(driver.Filer); ok {
		topics = append(topics, topic{"Files", fileTests})
	}
	if st, ok := s.(driver.Signaler); ok && !errors.Is(st.Signal("nobody", nil), errors.ErrUnsupported) {
		topics = append(topics, topic{"Signals", signalTests})
	}
	if _, ok := s.(driver.Checker); ok {
		topics = append(topics, topic{"Check", checkTests})
	}
	if _, ok := s.(driver.Metered); ok {
		topics = append(topics, topic{"Metrics", metricsTests})
	}
	if _, ok := s.(driver.Measurer); ok {
		topics = append(topics, topic{"Volume", volumeTests})
	}
	if _, ok := s.(driver.Compacter); ok {
		topics = append(topics, topic{"Compact", compactTests})
	}
	if _, ok := s.(driver.Directory); ok {
		topics = append(topics, topic{"Backup", backupTests})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if h.LoseSession != nil {
		topics = append(topics, topic{"LostSessions", lossTests})
	}
	if h.RefuseSession != nil {
		topics = append(topics, topic{"RefusedSessions", refusalTests})
	}
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) {
			for _, test := range topic.tests {
				t.Run(test.name, func(t *testing.T) { test.run(newEnv(t, h)) })
			}
		})
	}
}

type topic struct {
	name  string
	tests tests
}

type tests []struct {
	name string
	run  func(*env)
}

// env is what a test works in: a directory with an opened store and an opened
// collection that never loses anything by itself.
type env struct {
	*testing.T
	ctx context.Context
	h   Harness
	dir string
	s   driver.Store
	c   driver.Collection

	opened []driver.Store
}

func newEnv(t *testing.T, h Harness) *env {
	e := &env{T: t, h: h, ctx: t.Context(), dir: t.TempDir()}
	noLeak(t)
	t.Cleanup(e.finish)
	e.s = e.open(Options{})
	e.c = e.collection(e.s, "test")
	return e
}

// open opens the test's directory once more.
func (e *env) open(o Options) driver.Store {
	e.Helper()
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	s, err := e.h.Open(e, e.dir, o)
	if err != nil {
		e.Fatalf("open %+v: %v", o, err)
	}
	e.opened = append(e.opened, s)
	return s
}

// collection opens a persistent collection.
func (e *env) collection(s driver.Store, name string) driver.Collection {
	e.Helper()
	return e.collectionWith(s, name, driver.PersistentSettings())
}

func (e *env) collectionWith(s driver.Store, name string, settings driver.Settings) driver.Collection {
	e.Helper()
	c, err := s.Open(e.ctx, name, driver.Spec{KeyCodec: "key", ValueCodec: "value", Settings: settings})
	if err != nil {
		e.Fatalf("open collection: %v", err)
	}
	return c
}

// reopen closes all stores of the test and opens one again.
func (e *env) reopen() {
	e.Helper()
	e.closeAll()
	e.s = e.open(Options{})
	e.c = e.collection(e.s, "test")
}

func (e *env) closeAll() {
	e.Helper()
	for _, s := range e.opened {
		if err := s.Close(); err != nil {
			e.Errorf("close: %v", err)
		}
	}
	e.opened = nil
}

// finish closes everything and checks what was left behind.
func (e *env) finish() {
	e.ctx = context.Background() // the test's own has ended
	e.closeAll()
	s, err := e.h.Open(e, e.dir, Options{Timeout: patience})
	if err != nil {
		e.Errorf("open after the test: %v", err)
		return
	}
	defer s.Close()
	checkStore(e, s)
}

// checkStore fails the test if Check, where there is one, finds a problem.
func checkStore(t testing.TB, s driver.Store) {
	t.Helper()
	c, ok := s.(driver.Checker)
	if !ok {
		return
	}
	err := c.Check(context.Background(), false, func(p driver.Problem) { t.Errorf("Check found %+v", p) })
	if err != nil {
		t.Errorf("Check: %v", err)
	}
}

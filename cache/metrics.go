package cache

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// Metrics returns a snapshot of what the store has done in this process since it was
// opened: Gets that the near cache has answered, commits and how many writes shared
// one, waits for the write lock, evictions, checkpoints, watches, and hits and misses
// of the collections with Options.Statistics. Counts never go down, as systems that
// collect them want it. It waits for nobody, so a page of metrics may call it each
// time that it is asked for, and from any goroutine. After Close all is 0, and so is
// what this kind of store does not count.
//
// Handles that this process has on one directory share their counts. For the counts of
// all processes see [Cache.Stats], for sizes [Store.Volume].
func (s *Store) Metrics() (m driver.Metrics) {
	if e, ok := s.engine.(driver.Metered); ok {
		m = e.Metrics()
	}
	return m
}

// Observation is what StoreOptions.Observe is told of: an operation that has ended.
type Observation struct {
	Kind OperationKind

	// Collection is Cache.Name of the collection, "" for the default one, and for the
	// transactions of Store.Update and Store.View.
	Collection string

	Began time.Time     // by the clock of the computer
	Took  time.Duration // waits for other writers included
	Found bool          // of a GetOperation: there was an entry
	Err   error         // nil if it succeeded; without keys and values, but for a transaction's function that has failed with others
}

// OperationKind says what an operation asks of the store.
type OperationKind string

// The operations that StoreOptions.Observe is told of. Deques, indexes, locks and memos
// consist of them.
const (
	GetOperation    OperationKind = "get"    // of one entry, by Get, GetEntry, Contains or OpenValue
	ViewOperation   OperationKind = "view"   // any other read, a page of an iteration, or a View
	UpdateOperation OperationKind = "update" // any write, or an Update
)

var errPanicked = errors.New("the operation panicked")

// view is the engine's View, for an operation on a collection, "" for the store.
func (s *Store) view(ctx context.Context, collection string, fn func(driver.Tx) error) error {
	if s.observe == nil {
		return s.engine.View(ctx, fn)
	}
	return s.observed(ctx, ViewOperation, collection, func() error { return s.engine.View(ctx, fn) })
}

// update is the engine's Update, likewise.
func (s *Store) update(ctx context.Context, collection string, mode driver.Mode, fn func(driver.Tx) error, touches []driver.Collection) error {
	if s.observe == nil {
		return s.engine.Update(ctx, mode, fn, touches...)
	}
	return s.observed(ctx, UpdateOperation, collection, func() error { return s.engine.Update(ctx, mode, fn, touches...) })
}

// observed runs fn, an operation, and tells Observe, also if it panics.
func (s *Store) observed(ctx context.Context, kind OperationKind, collection string, fn func() error) (err error) {
	o := Observation{Kind: kind, Collection: collection, Began: time.Now(), Err: errPanicked}
	defer func() {
		o.Took = time.Since(o.Began)
		s.observe(ctx, o)
	}()
	o.Err = fn()
	return o.Err
}

// observedGet is get outside of a transaction, where somebody observes.
func (h *handle) observedGet(ctx context.Context, key codec.Value, l driver.Lookup) (driver.Row, bool, error) {
	o := Observation{Kind: GetOperation, Collection: h.dc.Name(), Began: time.Now()}
	r, ok, err := h.st.engine.Get(ctx, h.dc, key, l)
	o.Took, o.Found, o.Err = time.Since(o.Began), ok, err
	h.st.observe(ctx, o)
	return r, ok, err
}

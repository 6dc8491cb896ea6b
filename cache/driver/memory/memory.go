// Package memory is an engine that keeps everything in memory: for unit tests
// of programs that use a store, and as the reference that other engines are
// compared with. It is meant to be clear before it is fast, and it keeps the
// whole contract of package driver: transactions that roll back, snapshots
// that do not hold up writers, values outside the rows, watches and sessions.
//
// # Several stores on the same data
//
// [New] makes a store of its own. Where several programs on one directory are
// to be imitated, or a program that is started again, open a [Data] as often
// as needed:
//
//	var data memory.Data
//	a, b := data.Open(nil), data.Open(nil)
//
// # How it works
//
// All collections are one immutable state made of persistent trees. A
// transaction changes a state of its own that shares the trees, and commits
// by publishing it: rolling back is forgetting it, and a snapshot is holding
// on to an old one. There is one writer at a time; readers wait for nobody.
//
// # Volume
//
// For eviction, a row takes the bytes of its key, its value and its tag
// (8 for a number) and 64 more. The volume of a collection is the sum.
package memory

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Options configure a [Store]. The zero Options, and nil, mean the defaults.
type Options struct {
	// Timeout limits how long a call waits for other writers before it fails
	// with [driver.ErrTimeout]. If negative, only its context limits it.
	// Defaults to a minute.
	Timeout time.Duration

	// ReadOnly refuses everything that writes. What a read-only store reads
	// is not counted.
	ReadOnly bool

	// RunTwice runs the function of every Shared transaction twice and rolls
	// the first run back, as an engine is free to do. It finds functions that
	// have effects of their own. It is meant for tests.
	RunTwice bool

	// Declared has a Shared or Own transaction fail that uses a collection of
	// which Update was not told. So a caller is tested whose hints other engines need.
	Declared bool

	sparse bool // leaves out IDs and fences, as a server's sequences do
}

const defaultTimeout = time.Minute

// New returns a new, empty store.
func New(o *Options) *Store { return new(Data).Open(o) }

// Data is what stores keep. It can be opened many times, at once or one after
// the other, and lives as long as something refers to it. The zero Data is
// empty and ready to use. It must not be copied after its first use.
type Data struct {
	// writer is held, by an element in it, by the one transaction that may
	// publish a state. It is taken before mu.
	writer chan struct{}
	state  atomic.Pointer[state]

	sequence atomic.Int64 // the last ID or fence of stores that are sparse

	mu       sync.Mutex
	marks    marks
	files    map[string]*file
	nextFile int64
	watchers map[*watcher]struct{}
	sessions map[string]bool // those that live
	ends     map[*endWatch]struct{}
}

// Open returns a store of d, with a session of its own.
func (d *Data) Open(o *Options) *Store {
	if o == nil {
		o = &Options{}
	}
	s := &Store{
		data:    d,
		options: *o,
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
	}
	if s.options.Timeout == 0 {
		s.options.Timeout = defaultTimeout
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writer == nil {
		d.writer = make(chan struct{}, 1)
		d.state.Store(&state{})
		d.files = make(map[string]*file)
		d.watchers = make(map[*watcher]struct{})
		d.sessions = make(map[string]bool)
		d.ends = make(map[*endWatch]struct{})
	}
	return s
}

// lock waits for the other writers.
func (d *Data) lock(ctx context.Context, timeout time.Duration, closing <-chan struct{}) error {
	select {
	case d.writer <- struct{}{}:
		return nil
	default:
	}
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case d.writer <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-expired:
		return fmt.Errorf("%w in this process: what is written inside of a transaction's function must go through the transaction", driver.ErrTimeout)
	case <-closing:
		return driver.ErrClosed
	}
}

func (d *Data) unlock() { <-d.writer }

// tryAbsorb absorbs what reads have left behind unless there is a writer,
// which does it itself.
func (d *Data) tryAbsorb() {
	select {
	case d.writer <- struct{}{}:
		d.absorb(nil)
		d.unlock()
	default:
	}
}

// absorb writes the marks that reads have left behind into the state and, if
// work is not nil, also into that. The caller is the writer.
func (d *Data) absorb(work *state) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.marks.empty() {
		return
	}
	st := d.state.Load().clone()
	d.marks.apply(st)
	d.state.Store(st)
	if work != nil {
		d.marks.apply(work)
	}
	d.marks = marks{}
}

// commit publishes what x did. The caller is the writer.
func (d *Data) commit(x *tx) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range x.taken {
		f.committed = true
	}
	for _, name := range x.unreferenced {
		delete(d.files, name)
	}
	before := d.state.Load()
	d.state.Store(x.state)
	for w := range d.watchers {
		if x.state.byID(w.collection).versionOf() != before.byID(w.collection).versionOf() {
			w.signal()
		}
	}
}

// Package group has goroutines that write share commits.
//
// A [Group] has a place for one leader and a queue. A caller that finds no leader
// becomes it: it begins a transaction, runs its own request and those that queued
// up meanwhile, its followers, commits once for all, lets them return, and hands the
// lead to the first that came too late. No goroutine of the group's own is needed,
// and a lone writer passes through without a switch.
//
// The package owns the queue and the waits in it. It knows neither SQL nor what a
// request does: the leader's code is its user's. Lock order: the lead, which is
// held like a lock, comes before all others of the engine; Group.mu is held for no
// longer than it takes to change the queue, and no other is taken meanwhile.
package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// MaxSize bounds how many requests share a commit, and so how long the first of
// them waits for the last.
const MaxSize = 128

// Request is an operation that waits for its turn.
type Request struct {
	Ctx      context.Context
	Deadline time.Time // of the wait; zero: none
	Run      func(driver.Tx) error
	Mode     driver.Mode // only Shared requests share commits
	Err      error       // what became of it, set by the leader

	panicked any          // what Run panicked with
	verdict  chan verdict // has room for one
}

type verdict int

const (
	ranVerdict  verdict = iota // the request has run and Err is set
	leadVerdict                // take the lead
)

// Group is a queue of requests and its leader.
type Group struct {
	log       *slog.Logger
	ungrouped bool
	before    time.Time // what alone counts from: earlier than any request

	// alone is when the request began that runs and is not shared, or 0. It may be a
	// function of the user's, in which a write that knows nothing of it waits for its
	// end.
	alone  atomic.Int64
	warned atomic.Int64 // the alone that the Logger was told of

	mu        sync.Mutex // guards what follows
	hasLeader bool
	queue     []*Request

	batch []*Request // the leader's: its request and those of its followers
}

// New returns a group, in which a leader has no followers if it is ungrouped.
func New(log *slog.Logger, ungrouped bool) *Group {
	return &Group{log: log, ungrouped: ungrouped, before: time.Now().Add(-1)}
}

// Join returns when r has run, with its error, or when the caller is to lead: it
// runs r then, and calls HandOver. Otherwise the error says why the wait ended. A
// request that no other caller would run always leads.
func (g *Group) Join(r *Request) (leads bool, err error) {
	g.mu.Lock()
	if !g.hasLeader {
		g.hasLeader = true
		g.mu.Unlock()
		return true, nil
	}
	r.verdict = make(chan verdict, 1)
	g.queue = append(g.queue, r)
	g.mu.Unlock()
	return g.wait(r)
}

// warnAfter is how long a request waits for one that is not shared before the
// Logger is told.
const warnAfter = time.Second

// writeInsideAdvice explains such a wait: the writer may be called by the function that it
// waits for.
const writeInsideAdvice = "what is written inside of its function must go through the transaction"

// wait waits for the verdict on r. A wait that is given up leaves the queue;
// if r is running already its result counts.
func (g *Group) wait(r *Request) (leads bool, err error) {
	came := time.Now()
	first := warnAfter
	if !r.Deadline.IsZero() {
		first = min(first, r.Deadline.Sub(came))
	}
	t := time.NewTimer(first)
	defer t.Stop()
	var gaveUp error
	for gaveUp == nil {
		select {
		case v := <-r.verdict:
			return v == leadVerdict, r.Err
		case <-r.Ctx.Done():
			gaveUp = context.Cause(r.Ctx)
		case <-t.C:
			g.warn()
			left := warnAfter
			if !r.Deadline.IsZero() {
				left = min(left, time.Until(r.Deadline))
			}
			if left > 0 {
				t.Reset(left)
				break
			}
			gaveUp = fmt.Errorf("%w in this process", driver.ErrTimeout)
			if ran := g.running(); ran >= time.Since(came) {
				gaveUp = fmt.Errorf("%w, in which a transaction has been running for %v: %s", gaveUp, ran.Round(time.Millisecond), writeInsideAdvice)
			}
		}
	}
	if g.withdraw(r) {
		return false, gaveUp
	}
	if <-r.verdict == leadVerdict {
		g.HandOver()
		return false, gaveUp
	}
	return false, r.Err
}

// withdraw takes r out of the queue, if it is there.
func (g *Group) withdraw(r *Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, r)
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
	return i >= 0
}

// running returns for how long a request that is not shared has been running, or
// 0.
func (g *Group) running() time.Duration {
	began := g.alone.Load()
	if began == 0 {
		return 0
	}
	return time.Since(g.before) - time.Duration(began)
}

// warn tells the Logger, once for each request that is not shared, that another one
// waits for it, and it perhaps for that one.
func (g *Group) warn() {
	began, ran := g.alone.Load(), g.running()
	if ran >= warnAfter && g.warned.Swap(began) != began {
		g.log.Warn("a write waits for a transaction of this process: "+writeInsideAdvice, "running", ran.Round(time.Millisecond))
	}
}

// Idle reports whether nobody leads.
func (g *Group) Idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.hasLeader
}

// Waiting returns how many requests are in the queue, for tests.
func (g *Group) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}

// HandOver gives the lead to the first in the queue.
func (g *Group) HandOver() {
	g.mu.Lock()
	if len(g.queue) == 0 {
		g.hasLeader = false
		g.mu.Unlock()
		return
	}
	next := g.queue[0]
	g.queue = append(g.queue[:0], g.queue[1:]...)
	g.mu.Unlock()
	next.verdict <- leadVerdict
}

// Gather returns r, the leader's, and the requests at the head of the queue that may
// share its commit, and so are followers now.
func (g *Group) Gather(r *Request) []*Request {
	g.batch = append(g.batch[:0], r)
	if g.ungrouped {
		return g.batch
	}
	g.mu.Lock()
	n := 0
	for n < len(g.queue) && n < MaxSize-1 && g.queue[n].Mode == driver.Shared {
		n++
	}
	g.batch = append(g.batch, g.queue[:n]...)
	g.queue = append(g.queue[:0], g.queue[n:]...)
	g.mu.Unlock()
	return g.batch
}

// Release lets the followers of r return.
func (g *Group) Release(r *Request) {
	for _, q := range g.batch {
		if q != r {
			q.verdict <- ranVerdict
		}
	}
	clear(g.batch)
}

// BeginAlone says that the leader's request, which is not shared, runs from now on,
// until EndAlone.
func (g *Group) BeginAlone() { g.alone.Store(int64(time.Since(g.before))) }

// EndAlone ends a BeginAlone.
func (g *Group) EndAlone() { g.alone.Store(0) }

// errPanicked is the Err of a request that has panicked.
var errPanicked = errors.New("the operation panicked")

// Call runs a request that shares a transaction. A panic, which breaks the
// contract but may come out of a user's codec, is kept for Repanic.
func (r *Request) Call(t driver.Tx) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked, r.Err = p, errPanicked
		}
	}()
	r.Err = r.Run(t)
}

// HasPanicked reports whether Call has kept a panic.
func (r *Request) HasPanicked() bool { return r.panicked != nil }

// Repanic panics as the request did, if it did, on the goroutine of its caller.
func (r *Request) Repanic() {
	if r.panicked != nil {
		panic(r.panicked)
	}
}

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/turnstile"
)

// maxGroup bounds how many operations share a commit, and so how long the
// first of them waits for the last.
const maxGroup = 128

// writer is the one connection of the process that writes, and the queue in
// front of it.
//
// Callers take turns. Whoever finds nobody writing becomes the leader: it
// begins a transaction (see enter), runs its own operation and those of the
// callers that queued up meanwhile, commits once for all, tells them, and
// hands its place to the first that came too late. No goroutine of its own is
// needed, and a lone writer passes through without a switch.
//
// Lock order: turn (the place of the leader), then the directory's lock (see
// package turnstile), then durable.one, then SQLite's. A writer that
// takes durable.slow has given up the turn.
type writer struct {
	core  *core
	turns *turnstile.Turnstile // between processes
	conn  *conn

	// alone is when the operation began that runs and is not shared, counted from
	// started, or 0. It may be a function of the user's, in which a write that
	// knows nothing of it waits for its end.
	alone  atomic.Int64
	warned atomic.Int64 // the alone that the Logger was told of

	mu    sync.Mutex // guards what follows
	busy  bool       // somebody leads
	queue []*request

	// What follows belongs to the leader.
	tx          tx
	batch       []*request
	dataVersion int64   // as SQLite last told: changes when another connection commits
	epoch       uint64  // counts those changes: what was read in an older one may be stale
	schema      int64   // version of the schema that was inspected last
	named       []int64 // collections that have tables of their own, in namedEpoch; nil: not known
	namedEpoch  uint64
	pageSize    int64
	ungrouped   bool
	looked      time.Time // when the database was last seen to be there still
	full        bool      // the disk was, in the transaction that is being given up
	spaceSeen   int64     // frames in the log when the room on the disk was last looked at
	logDue      int64     // frames in the log from which boundLog tries again
	logTried    time.Time // when boundLog last did
}

// request is an operation that waits for its turn.
type request struct {
	ctx      context.Context
	deadline time.Time
	fn       func(driver.Tx) error
	mode     driver.Mode
	err      error
	panicked any          // what fn panicked with
	told     chan verdict // has room for one
}

type verdict int

const (
	finished verdict = iota // the operation has run and err is set
	lead                    // take the turn
)

func openWriter(ctx context.Context, c *core, deadline time.Time) (_ *writer, err error) {
	w := &writer{core: c, ungrouped: c.opts.Ungrouped}
	if w.turns, err = turnstile.Open(c.files, lockName, lineName, turns{w}); err != nil {
		return nil, translate(err)
	}
	defer func() {
		if err != nil {
			w.turns.Close()
			if w.conn != nil {
				w.conn.Close()
			}
		}
	}()
	if w.conn, err = c.openConn(lite.ReadWriteCreate, c.readers.cacheSize()); err != nil {
		return nil, err
	}
	w.conn.bound(ctx, deadline)
	w.tx = tx{core: c, conn: w.conn, write: true}
	if err := w.prepareSchema(ctx, deadline); err != nil {
		return nil, err
	}
	if w.pageSize, err = w.conn.integer("PRAGMA page_size"); err != nil {
		return nil, err
	}
	w.conn.SetWALHook(func(frames int) { c.maintainer.walGrew(frames) })
	return w, nil
}

// update runs fn in a transaction, see [driver.Store].
func (w *writer) update(ctx context.Context, deadline time.Time, mode driver.Mode, fn func(driver.Tx) error) error {
	if w == nil {
		return driver.ErrReadOnly
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r := &request{ctx: ctx, deadline: deadline, fn: fn, mode: mode}
	v, err := w.enqueue(r)
	if v == lead && err == nil {
		err = w.lead(r)
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	return err
}

// enqueue returns when r has run, with its error, or when it is the caller's
// turn to lead. Otherwise the error says why the wait ended.
func (w *writer) enqueue(r *request) (verdict, error) {
	w.mu.Lock()
	if !w.busy {
		w.busy = true
		w.mu.Unlock()
		return lead, nil
	}
	r.told = make(chan verdict, 1)
	w.queue = append(w.queue, r)
	w.mu.Unlock()
	return w.wait(r)
}

// tellAfter is how long an operation waits for a transaction of its own process
// before the Logger is told.
const tellAfter = time.Second

// started is what writer.alone counts from.
var started = time.Now()

// running returns for how long an operation that is not shared has been running, or
// 0.
func (w *writer) running() time.Duration {
	began := w.alone.Load()
	if began == 0 {
		return 0
	}
	return time.Since(started) - time.Duration(began)
}

// unbound explains a wait for a transaction of the same process: the writer may be
// called by that transaction's function.
const unbound = "what is written inside of its function must go through the transaction"

// tellUnbound tells the Logger, once for each transaction, that r waits for one that
// may be waiting for r.
func (w *writer) tellUnbound() {
	began, ran := w.alone.Load(), w.running()
	if ran >= tellAfter && w.warned.Swap(began) != began {
		w.core.log.Warn("a write waits for a transaction of this process: "+unbound, "running", ran.Round(time.Millisecond))
	}
}

// wait waits for the verdict on r. A wait that is given up leaves the queue;
// if r is running already its result counts.
func (w *writer) wait(r *request) (verdict, error) {
	came := time.Now()
	first := tellAfter
	if !r.deadline.IsZero() {
		first = min(first, r.deadline.Sub(came))
	}
	t := time.NewTimer(first)
	defer t.Stop()
	var gaveUp error
	for gaveUp == nil {
		select {
		case v := <-r.told:
			return v, r.err
		case <-r.ctx.Done():
			gaveUp = context.Cause(r.ctx)
		case <-t.C:
			w.tellUnbound()
			left := tellAfter
			if !r.deadline.IsZero() {
				left = min(left, time.Until(r.deadline))
			}
			if left > 0 {
				t.Reset(left)
				break
			}
			gaveUp = fmt.Errorf("%w in this process", driver.ErrTimeout)
			if ran := w.running(); ran >= time.Since(came) {
				gaveUp = fmt.Errorf("%w, in which a transaction has been running for %v: %s", gaveUp, ran.Round(time.Millisecond), unbound)
			}
		}
	}
	w.mu.Lock()
	for i, q := range w.queue {
		if q == r {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			w.mu.Unlock()
			return finished, gaveUp
		}
	}
	w.mu.Unlock()
	v := <-r.told
	if v == lead {
		w.handOver()
		return finished, gaveUp
	}
	return v, r.err
}

// lead runs r and what has queued up. The caller has the turn, and gives it on
// here, also if r panics.
func (w *writer) lead(r *request) error {
	var dead trash
	var told uint32
	defer func() { // when others may write again
		w.core.changes.Signal(told)
		w.core.durable.leave(dead)
	}()
	defer w.handOver()
	defer w.turns.Leave()
	if err := w.enter(r); err != nil {
		return err
	}
	// The group's waits are over. From here on a context interrupts what its
	// own operation does, and nothing else.
	w.conn.boundFor(context.Background(), commitPatience)
	defer func() {
		dead, w.tx.dead = w.tx.dead, trash{}
		told, w.tx.told = w.tx.told, 0
	}()
	if r.mode != driver.Shared {
		err := w.runAlone(r)
		w.watchLog()
		return err
	}
	w.gather(r)
	w.runGroup()
	w.tell(r)
	w.watchLog()
	return r.err
}

// tell lets the members of the group but the leader r return.
func (w *writer) tell(r *request) {
	for _, q := range w.batch {
		if q != r {
			q.told <- finished
		}
	}
	clear(w.batch)
}

// commitPatience bounds the wait of a commit for readers, in the journal modes
// where there is one.
const commitPatience = 10 * time.Second

// idle reports whether nobody has the turn.
func (w *writer) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.busy
}

// handOver gives the turn to the next in the queue.
func (w *writer) handOver() {
	w.mu.Lock()
	if len(w.queue) == 0 {
		w.busy = false
		w.mu.Unlock()
		return
	}
	next := w.queue[0]
	w.queue = append(w.queue[:0], w.queue[1:]...)
	w.mu.Unlock()
	next.told <- lead
}

// gather makes w.batch of r and of the operations at the head of the queue
// that may share its commit.
func (w *writer) gather(r *request) {
	w.batch = append(w.batch[:0], r)
	if w.ungrouped {
		return
	}
	w.mu.Lock()
	n := 0
	for n < len(w.queue) && n < maxGroup-1 && w.queue[n].mode == driver.Shared {
		n++
	}
	w.batch = append(w.batch, w.queue[:n]...)
	w.queue = append(w.queue[:0], w.queue[n:]...)
	w.mu.Unlock()
}

// runGroup runs the batch in the transaction that is open and commits it. If
// that fails, each operation runs once more, in a transaction of its own, so
// that only the one at fault fails.
func (w *writer) runGroup() {
	good := true
	for _, q := range w.batch {
		if q.ctx.Err() != nil {
			q.err = context.Cause(q.ctx)
			continue
		}
		before, noted := w.conn.TotalChanges(), len(w.tx.noted)
		w.conn.ctx = q.ctx
		q.call(&w.tx)
		if q.err == nil {
			continue
		}
		w.full = w.full || errors.Is(q.err, driver.ErrFull)
		if w.tx.failed || w.conn.TotalChanges() != before || len(w.tx.noted) < noted {
			good = false
			break
		}
		w.tx.noted = w.tx.noted[:noted] // it wrote nothing, and has not read either
	}
	if good {
		err := w.commit()
		if err == nil {
			return
		}
		w.full = w.full || errors.Is(err, driver.ErrFull)
	}
	w.rollback()
	w.reclaim()
	for _, q := range w.batch {
		if q.panicked == nil {
			q.err = w.runOne(q)
		}
	}
}

// call runs an operation that shares a transaction. A panic, which breaks the
// contract but may come out of a user's codec, is passed on to the caller of
// Update, on its own goroutine.
func (q *request) call(t *tx) {
	defer func() {
		if p := recover(); p != nil {
			q.panicked, q.err = p, errPanicked
		}
	}()
	q.err = q.fn(t)
}

var errPanicked = errors.New("the operation panicked")

// runOne runs an operation in a transaction of its own.
func (w *writer) runOne(q *request) error {
	if q.ctx.Err() != nil {
		return context.Cause(q.ctx)
	}
	w.turns.Leave()
	if err := w.enter(q); err != nil {
		return err
	}
	w.conn.boundFor(context.Background(), commitPatience)
	w.conn.ctx = q.ctx
	if q.call(&w.tx); q.err != nil {
		w.rollback()
		return q.err
	}
	if err := w.commit(); err != nil {
		w.rollback()
		return err
	}
	return nil
}

// runAlone runs an operation of the user's in the transaction that is open.
func (w *writer) runAlone(r *request) (err error) {
	done := false
	defer func() {
		if !done { // a panic, or runtime.Goexit
			w.rollback()
		}
	}()
	w.conn.ctx = r.ctx
	w.alone.Store(int64(time.Since(started)))
	defer w.alone.Store(0)
	err = r.fn(&w.tx)
	if err == nil && r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		w.rollback()
		w.full = errors.Is(err, driver.ErrFull)
		w.reclaim()
	}
	done = true
	return err
}

// presentEvery is how often a process that writes steadily looks whether the
// database is still there.
const presentEvery = time.Millisecond

// enter begins a transaction for r that may write. Whether it fails or not,
// turns.Leave comes after.
func (w *writer) enter(r *request) error {
	now := time.Now()
	w.turns.Arrive(now, r.mode == driver.Alone)
	if now.Sub(w.looked) >= presentEvery {
		if err := w.core.present(); err != nil {
			w.core.presence.state.Store(isGone)
			return err
		}
		w.looked = now
	}
	if w.core.reserve.spent.Load() {
		w.regainReserve()
	}
	if begun, err := w.turns.Acquire(r.ctx, now, r.deadline); begun || err != nil {
		return turnErr(r.ctx, err)
	}
	w.conn.bound(r.ctx, r.deadline)
	return w.begin()
}

// turnErr gives an error of the turnstile the meaning that the contract has for
// it, unless it is the cause of a context that has ended.
func turnErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return translate(err)
}

// turns is the writer as the turnstile sees it.
type turns struct{ w *writer }

// past is a deadline for a wait that must not happen.
var past = time.Unix(0, 0)

// Barge implements [turnstile.DB].
func (t turns) Barge(ctx context.Context) (begun bool, err error) {
	t.w.conn.bound(ctx, past)
	err = t.w.run("BEGIN IMMEDIATE")
	if err == nil {
		return true, t.w.begun()
	}
	if lite.IsBusy(err) && ctx.Err() == nil {
		return false, nil
	}
	return false, t.w.conn.waitErr(err)
}

// Yield implements [turnstile.DB].
func (t turns) Yield() { t.w.conn.Yield() }

// begin opens a transaction that may write, and finds out whether another
// connection has written since the last one.
func (w *writer) begin() error {
	if err := w.run("BEGIN IMMEDIATE"); err != nil {
		return w.conn.waitErr(err)
	}
	return w.begun()
}

// begun is what begin does in the transaction.
func (w *writer) begun() error {
	w.tx.reset()
	version, err := w.conn.integer("PRAGMA data_version")
	if err != nil {
		w.rollback()
		return err
	}
	if version != w.dataVersion {
		if err := w.watchSchema(); err != nil {
			w.rollback()
			return translate(err)
		}
		w.dataVersion = version
		w.epoch++
	}
	w.tx.epoch = w.epoch
	return nil
}

// commit makes what the transaction did permanent. On error it is still open,
// or SQLite has rolled it back.
func (w *writer) commit() error {
	if w.tx.failed {
		return w.tx.failure
	}
	if w.core.opts.syncing() == syncFirst {
		if err := w.tx.syncPlaced(); err != nil {
			return translate(err)
		}
	}
	w.conn.ctx = context.Background() // nothing interrupts it
	w.core.near.begin(&w.tx)
	if err := w.run("COMMIT"); err != nil {
		return translate(err)
	}
	w.core.near.keepWritten(&w.tx.changes)
	w.tx.committed()
	return nil
}

func (w *writer) rollback() {
	// As long as nobody else can be in a transaction: a check would find files
	// without rows.
	for _, f := range w.tx.placed {
		f.unplace()
	}
	w.conn.ctx = context.Background()
	if !w.conn.AutoCommit() {
		if err := w.run("ROLLBACK"); err != nil {
			w.core.log.Error("rollback failed", "error", err)
		}
	}
	w.tx.rolledBack()
	w.epoch++ // what was read in the transaction never was
}

func (w *writer) run(sql string) error {
	s, err := w.conn.query(sql)
	if err != nil {
		return err
	}
	return s.Run()
}

// exclusively runs fn with the turn but without a transaction, for what SQLite
// does not do inside of one.
func (w *writer) exclusively(ctx context.Context, deadline time.Time, fn func(cn *conn) error) error {
	if w == nil {
		return driver.ErrReadOnly
	}
	// Nobody but the caller runs a request that is alone: there is no other
	// verdict than lead.
	if _, err := w.enqueue(&request{ctx: ctx, deadline: deadline, mode: driver.Alone}); err != nil {
		return err
	}
	defer w.handOver()
	release, err := w.turns.Hold(ctx, deadline)
	if err != nil {
		return turnErr(ctx, err)
	}
	defer release()
	w.conn.bound(ctx, deadline)
	defer w.conn.bound(context.Background(), time.Time{})
	return fn(w.conn)
}

// exclusivelyNow is exclusively unless it would have to wait for another
// process.
func (w *writer) exclusivelyNow(deadline time.Time, fn func() error) (ran bool, err error) {
	if _, err := w.enqueue(&request{ctx: context.Background(), deadline: deadline, mode: driver.Alone}); err != nil {
		return false, err
	}
	defer w.handOver()
	release, err := w.turns.TryHold()
	if release == nil {
		return false, translate(err)
	}
	defer release()
	return true, fn()
}

func (w *writer) close() error {
	return errors.Join(w.turns.Close(), w.conn.Close())
}

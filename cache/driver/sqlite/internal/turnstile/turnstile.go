// Package turnstile has the processes that write to one database take turns.
//
// SQLite's lock cannot be waited for, only tried again and again, and a process
// that tries less often than the others may starve. So processes queue for a lock
// of their own, an flock in the store's directory that the kernel hands on: there
// they sleep, and only the holder tries to get SQLite's. To take that lock too
// costs two more system calls, a tenth of a transaction, for nothing where one
// process alone writes. Therefore a process tries SQLite's lock without it first.
// If that fails there is contention, and for a while from then on the process
// queues first, and holds the lock until it has committed.
//
// To hand the lock on after each transaction takes longer than a transaction: the
// next process has to wake up first, and nobody writes meanwhile. So a process
// that writes steadily holds the lock for a quantum of many transactions, without
// SQLite's between them, and few of its transactions wait long. A process that
// writes only now and then does not queue with the steady ones, and is next when a
// quantum ends, or the one after.
//
// A transaction that is the user's own does not begin a quantum, and ends one. It
// may take a lock or give one back, or take what is to be worked on, and the
// process that waits for that is not to wait for a quantum.
//
// The package owns the two files of the lock, and decides when this process may
// begin a transaction. It knows no SQL and nothing of what is written. Lock order:
// Turnstile.mu and fifoLock.mu are never held together, parked comes after
// fifoLock.mu, and of the files the head of the queue comes before the lock.
package turnstile

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

const (
	// minContended is how long a process queues for its transactions after it has
	// found another one writing. If it finds one again soon after, that doubles,
	// and so on.
	minContended = 10 * time.Millisecond
	maxContended = 640 * time.Millisecond
	// probeEvery is how often a process that writes steadily, and does not queue,
	// looks whether others do.
	probeEvery = time.Millisecond

	// A quantum ends after this time or this many transactions: then less than one
	// transaction in a hundred waits for other processes.
	quantum      = 5 * time.Millisecond
	quantumCount = 200
	// idleAfter is how long the lock is held without a transaction.
	idleAfter = 500 * time.Microsecond
	// Transactions that begin within steadyGap of the one before are steady
	// when there were about steadyCount of them.
	steadyGap   = 100 * time.Microsecond
	steadyCount = 8

	// stalledAfter is how long a process waits for the lock before it tries to
	// barge: the holder seems to be stopped. As long as that lasts it tries after
	// stalledWait.
	stalledAfter = 100 * time.Millisecond
	stalledWait  = 300 * time.Microsecond
)

// DB is the database at which processes take turns.
type DB interface {
	// Barge begins a transaction if no other connection is in one. It does not
	// wait.
	Barge(ctx context.Context) (begun bool, err error)
	// Yield gives up what connections of this process keep between transactions
	// and a checkpoint of another process would wait for.
	Yield()
}

// Turnstile lets one transaction of all processes in at a time. Its user calls
// Arrive, Acquire and Leave for one transaction after the other, and Hold,
// TryHold and Lock between two of them.
type Turnstile struct {
	db   DB
	lock *fifoLock

	// What follows belongs to the caller of Arrive, until it has called Leave.
	contended contention
	probed    time.Time // when it was last looked whether others queue
	steady    int       // how steadily this process writes, up to twice steadyCount
	held      bool      // a transaction holds the lock
	since     time.Time // since when this process holds it
	count     int       // transactions since then
	mustYield bool      // a quantum has ended: others go first

	fruitless time.Duration // spent waiting for the lock since the process last got it
	stalled   bool          // the holder seems to be stopped: it did not help to wait for so long

	mu   sync.Mutex // guards what follows
	kept bool       // this process holds the lock between two transactions
	left time.Time  // when the last transaction ended
	idle *time.Timer
}

// contention is a time in which other processes are likely to write.
type contention struct {
	until time.Time
	span  time.Duration // 0 if this process has never met another one
}

// met extends the time: another process was found to write.
func (c *contention) met(now time.Time) {
	if now.Sub(c.until) > c.span { // it was quiet for as long
		c.span = minContended / 2
	}
	c.span = min(max(2*c.span, minContended), maxContended)
	c.until = now.Add(c.span)
}

func (c *contention) at(now time.Time) bool { return c.span != 0 && now.Before(c.until) }

// Open opens the turnstile of a directory, in which the files of the lock and of
// the head of its queue have these names.
func Open(dir *osfs.Dir, lock, head string, db DB) (*Turnstile, error) {
	l, err := openLock(dir, lock, head)
	if err != nil {
		return nil, err
	}
	return &Turnstile{db: db, lock: l}, nil
}

// Close gives the lock up and closes its files.
func (t *Turnstile) Close() error {
	if t.takeKept() {
		t.lock.unlock()
	}
	return t.lock.close()
}

// Arrive takes notice of a transaction that is to begin now. Alone says that it is
// the user's own. The caller calls Leave later, whatever happens.
func (t *Turnstile) Arrive(now time.Time, alone bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case alone:
		t.steady = 0
	case now.Sub(t.left) < steadyGap:
		t.steady = min(t.steady+1, 2*steadyCount)
	default:
		t.steady /= 2 // not 0: the process may not have had a processor
	}
	if t.steady < steadyCount {
		t.mustYield = false // what was long was no quantum, or it was long ago
	}
	t.held, t.kept = t.kept, false
}

// Acquire waits until the transaction that arrived now may begin, or has begun it
// by barging. A deadline of zero is none.
func (t *Turnstile) Acquire(ctx context.Context, now, deadline time.Time) (begun bool, err error) {
	if t.held {
		return false, nil
	}
	if !t.mustQueue(now) {
		if begun, err := t.db.Barge(ctx); begun || err != nil {
			return begun, err
		}
		t.contended.met(now)
	}
	for patience := t.patience(ctx, deadline); ; patience = min(2*patience, stalledAfter) {
		began := time.Now()
		until, last := began.Add(patience), false
		if !deadline.IsZero() && until.After(deadline) {
			until, last = deadline, true
		}
		err := t.lock.lock(ctx, until, t.policy())
		if err == nil {
			t.held, t.since, t.count = true, time.Now(), 0
			t.mustYield, t.fruitless, t.stalled = false, 0, false
			return false, nil
		}
		if !errors.Is(err, driver.ErrTimeout) {
			return false, err
		}
		t.fruitless += time.Since(began)
		begun, e := t.db.Barge(ctx)
		if begun {
			t.stalled = t.fruitless >= stalledAfter
		}
		if begun || e != nil {
			return begun, e
		}
		if last {
			return false, err
		}
	}
}

// mustQueue reports whether to queue for the lock before a transaction begins.
func (t *Turnstile) mustQueue(now time.Time) bool {
	if t.contended.at(now) {
		return true
	}
	if t.steady < steadyCount || !t.mustYield && now.Sub(t.probed) < probeEvery {
		return false
	}
	t.probed = now
	if t.lock.free() {
		t.mustYield = false
		return false
	}
	t.contended.met(now)
	return true
}

// policy is how this process waits for the lock. Only a process that is going to
// keep the lock queues for it: the others do not wait for the quanta of all those,
// and it would take two wake-ups to hand the lock on to them.
func (t *Turnstile) policy() policy {
	switch {
	case t.mustYield:
		return yield
	case t.steady >= steadyCount:
		return fifo
	}
	return unfair
}

// patience is how long to wait for the lock at first: at most half of the time
// that there is, or the end of a context would come before a try to barge.
func (t *Turnstile) patience(ctx context.Context, deadline time.Time) time.Duration {
	if end, ok := ctx.Deadline(); ok && (deadline.IsZero() || end.Before(deadline)) {
		deadline = end
	}
	patience := stalledAfter
	if t.stalled {
		patience = stalledWait
	}
	if !deadline.IsZero() {
		patience = max(min(patience, time.Until(deadline)/2), 0)
	}
	return patience
}

// Leave ends a transaction, and lets other processes in unless this one is within
// its quantum.
func (t *Turnstile) Leave() {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = now
	if !t.held {
		return
	}
	t.held = false
	t.count++
	t.mustYield = t.count >= quantumCount || now.Sub(t.since) >= quantum
	if t.mustYield {
		t.db.Yield() // others may checkpoint now
	}
	if t.mustYield || t.steady < steadyCount {
		t.lock.unlock()
		return
	}
	t.keep()
}

// keep keeps the lock until the next transaction, or not for long. The caller
// holds mu.
func (t *Turnstile) keep() {
	t.kept = true
	if t.idle == nil {
		t.idle = time.AfterFunc(idleAfter, t.retire)
	} else {
		t.idle.Reset(idleAfter)
	}
}

// retire ends a quantum if there has been no transaction for a while.
func (t *Turnstile) retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.kept:
	case time.Since(t.left) < idleAfter: // there has been one just now
		t.idle.Reset(idleAfter)
	default:
		t.kept = false
		t.lock.unlock()
	}
}

// takeKept has the caller hold the lock if it is kept.
func (t *Turnstile) takeKept() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept
	t.kept = false
	return kept
}

// giveBack keeps the lock again after takeKept.
func (t *Turnstile) giveBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep()
}

// Lock waits for the lock until ctx ends or the deadline, if there is one, has
// passed.
func (t *Turnstile) Lock(ctx context.Context, deadline time.Time) error {
	return t.lock.lock(ctx, deadline, unfair)
}

// Unlock gives up what Lock took.
func (t *Turnstile) Unlock() { t.lock.unlock() }

// Hold keeps other processes from writing until release, for work that is no
// transaction, such as a checkpoint. It is no promise: a process may barge, and a
// program that knows nothing of the lock may write. So after a while Hold returns
// also without the lock, whose holder may be stopped.
func (t *Turnstile) Hold(ctx context.Context, deadline time.Time) (release func(), err error) {
	if t.takeKept() {
		return t.lock.unlock, nil
	}
	until := time.Now().Add(stalledAfter)
	if !deadline.IsZero() && deadline.Before(until) {
		until = deadline
	}
	err = t.Lock(ctx, until)
	switch {
	case err == nil:
		return t.lock.unlock, nil
	case until == deadline || !errors.Is(err, driver.ErrTimeout):
		return nil, err
	}
	return func() {}, nil
}

// TryHold is Hold without a wait: within a quantum of this process, which goes on
// after release if there is time left, or while no process has the lock. Otherwise
// release is nil.
func (t *Turnstile) TryHold() (release func(), err error) {
	if t.takeKept() {
		return t.giveBack, nil
	}
	if ok, err := t.lock.tryLock(); !ok {
		return nil, err
	}
	return t.lock.unlock, nil
}

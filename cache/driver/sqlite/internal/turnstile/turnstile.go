// Package turnstile has the processes that write to one database take turns.
//
// SQLite's lock cannot be waited for, only tried again and again, and a process
// that tries less often than the others may starve. So processes queue for a lock
// of their own, an flock in the store's directory that the kernel hands on: there
// they sleep, and only the holder tries to get SQLite's. To take that lock too
// costs two more system calls, a tenth of a transaction, for nothing where one
// process alone writes. Therefore a process tries SQLite's lock without it first.
// If that fails there is contention, and as long as there is, and for a while
// after, the process takes the lock first, and holds it until it has committed.
//
// To hand the lock on after each transaction takes longer than a transaction: the
// next process has to wake up first, and nobody writes meanwhile. So a process
// that writes steadily holds the lock for a quantum of many transactions, without
// SQLite's between them, and few of its transactions wait long. A process that
// writes only now and then does not queue with the steady ones, and is next when a
// quantum ends, or the one after.
//
// A holder may be stopped between two transactions. A process that gets the lock
// writes the time into its file, so that a process that waits sees whether the lock
// is handed on, be there two processes or a hundred. Only while it is not does a
// waiting process barge, that is, try to get SQLite's lock without this one.
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
	// contendedFor is how long a process takes the lock for its transactions after
	// it has last waited for another process.
	contendedFor = 200 * time.Millisecond

	// A quantum ends after this time or this many transactions: then less than one
	// transaction in a hundred waits for other processes.
	quantum      = 5 * time.Millisecond
	quantumCount = 200
	// idleAfter is how long the lock is held without a transaction.
	idleAfter = 500 * time.Microsecond
	// A process writes steadily after about steadyCount transactions that began
	// within steadyGap of the one before, and as long as it keeps the lock.
	steadyGap   = 100 * time.Microsecond
	steadyCount = 8

	// A process that waits looks at the time in the lock's file after stalledAfter,
	// and barges if it was the same at the look before. As long as that is so, it
	// waits for stalledWait.
	stalledAfter = 50 * time.Millisecond
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
	contended time.Time // other processes are likely to write until then
	steady    int       // how steadily this process writes, up to twice steadyCount
	held      bool      // a transaction holds the lock
	since     time.Time // since when this process holds it
	count     int       // transactions since then
	mustYield bool      // a quantum has ended: others go first
	seen      int64     // the time in the lock's file, when this process last looked
	stalled   bool      // it was the same at the look before

	mu   sync.Mutex // guards what follows
	kept bool       // this process holds the lock between two transactions
	left time.Time  // when the last transaction ended
	idle *time.Timer
}

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
	case t.kept || now.Sub(t.left) < steadyGap:
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
	if !now.Before(t.contended) {
		if begun, err := t.db.Barge(ctx); begun || err != nil {
			return begun, err
		}
		t.contended = now.Add(contendedFor)
	}
	patience := stalledAfter
	if t.stalled {
		patience = stalledWait
	}
	for {
		until, last := lookAt(ctx, deadline, patience)
		waited, err := t.lock.lock(ctx, until, t.position())
		if waited {
			t.contended = time.Now().Add(contendedFor)
		}
		if err == nil {
			t.held, t.since, t.count = true, time.Now(), 0
			return false, nil
		}
		if !errors.Is(err, driver.ErrTimeout) {
			return false, err
		}
		taken := t.lock.taken()
		t.stalled, t.seen = taken == t.seen, taken
		patience = min(2*patience, stalledAfter)
		if !t.stalled {
			patience = stalledAfter
		}
		if t.stalled || last {
			if begun, err := t.db.Barge(ctx); begun || err != nil {
				return begun, err
			}
		}
		if last {
			return false, err
		}
	}
}

// position returns where this process waits for the lock. Only a process that has just had
// a quantum queues for it: the others do not wait for the quanta of all those, and it
// would take two wake-ups to hand the lock on to them.
func (t *Turnstile) position() position {
	if t.mustYield {
		return endOfQueue
	}
	return outsideQueue
}

// lookAt is when a process that waits for the lock looks whether it is handed on, and
// whether that is for the last time. It is within half of the time that there is, or
// the end of a context would come before a try to barge.
func lookAt(ctx context.Context, deadline time.Time, patience time.Duration) (at time.Time, last bool) {
	now, end := time.Now(), deadline
	if e, ok := ctx.Deadline(); ok && (end.IsZero() || e.Before(end)) {
		end = e
	}
	if !end.IsZero() {
		patience = max(min(patience, end.Sub(now)/2), stalledWait)
	}
	at = now.Add(patience)
	if !deadline.IsZero() && !at.Before(deadline) {
		return deadline, true
	}
	return at, false
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
	_, err := t.lock.lock(ctx, deadline, outsideQueue)
	return err
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

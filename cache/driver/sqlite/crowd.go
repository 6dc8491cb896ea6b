package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

const (
	// minCrowded is how long a process that has found another one writing
	// lines up for its transactions. If it finds one again soon after, it is
	// twice as long, and so on.
	minCrowded = 10 * time.Millisecond
	maxCrowded = 640 * time.Millisecond
	// lookEvery is how often a process that writes steadily looks whether the
	// database is still there, and whether others line up, if it does not.
	lookEvery = time.Millisecond

	// A process keeps its place from one transaction to the next for stint, or
	// until it has had stintCount of them: then less than one transaction in a
	// hundred waits for other processes.
	stint      = 5 * time.Millisecond
	stintCount = 200
	// idleAfter is how long it keeps its place without a transaction.
	idleAfter = 500 * time.Microsecond
	// Transactions that begin within steadyGap of the one before are steady
	// when there were about steadyCount of them.
	steadyGap   = 100 * time.Microsecond
	steadyCount = 8

	// late is how long one waits for the directory's lock before one tries to
	// push in: whoever has it seems to be stopped. As long as that lasts it is
	// tried soon.
	late = 100 * time.Millisecond
	soon = 300 * time.Microsecond
)

// crowd is what a writer knows of other processes that write, and of its own
// ways.
//
// SQLite's lock cannot be waited for, only tried again and again, and whoever
// tries less often than the others may starve. So processes line up for the
// directory's lock, which the kernel hands on: there they sleep, and but one
// of them tries to get SQLite's. But to take that lock as well costs two more
// system calls, a tenth of a transaction, for nothing where a process is the
// only one that writes. Therefore SQLite's lock is tried without it first. A
// failure means that others are writing, and for a while from then on the
// process lines up first, and keeps its place until it has committed. Those who
// push in, not having met anybody yet, meet the one in front soon.
//
// To hand the lock on after each transaction takes longer than a transaction:
// the next process has to wake up first, and nobody writes meanwhile. So who
// writes steadily keeps the directory's lock for a stint of many transactions,
// without SQLite's between them, and of its transactions few wait long. Whoever
// writes only now and then does not stand in the line of those, and is next when
// a stint ends, or the one after.
//
// A transaction that is the user's own does not begin a stint, and ends one. It
// may take a lock or give one back, or take what is to be worked on, and who
// waits for that is not to wait for a stint.
type crowd struct {
	until  time.Time     // when the place is crowded no more, as far as one knows
	span   time.Duration // 0 if nobody has ever been met
	looked time.Time     // when it was last looked for others that line up
	steady int           // how steadily this process writes, up to twice steadyCount
	locked bool          // the directory's lock is held by a transaction
	since  time.Time     // since when it is held, or kept
	count  int           // transactions since then
	tired  bool          // a stint has ended: others go first

	vain    time.Duration // how long it was waited for the lock in vain since that last helped
	stalled bool          // the one in front seems to be stopped: it did not help to wait for so long

	mu   sync.Mutex // guards what follows
	kept bool       // the directory's lock is held between two transactions
	last time.Time  // when the last transaction ended
	idle *time.Timer
}

// met is called when others have been found to write.
func (c *crowd) met(now time.Time) {
	if now.Sub(c.until) > c.span { // it was quiet for as long
		c.span = minCrowded / 2
	}
	c.span = min(max(2*c.span, minCrowded), maxCrowded)
	c.until = now.Add(c.span)
}

// came takes notice of a transaction that is to begin, and reports whether the
// directory's lock was kept for it.
func (c *crowd) came(now time.Time, alone bool) (kept bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case alone:
		c.steady = 0
	case now.Sub(c.last) < steadyGap:
		c.steady = min(c.steady+1, 2*steadyCount)
	default:
		c.steady /= 2 // not 0: it may not have had a processor
	}
	if c.steady < steadyCount {
		c.tired = false // what was long was no stint, or it was long ago
	}
	kept, c.kept = c.kept, false
	return kept
}

// past is a deadline for a wait that must not happen.
var past = time.Unix(0, 0)

// enter begins a transaction for r that may write. Whether it fails or not,
// leave comes after.
func (w *writer) enter(r *request) error {
	c := &w.crowd
	now := time.Now()
	c.locked = c.came(now, r.mode == driver.Alone)
	if now.Sub(w.looked) >= lookEvery {
		if err := w.core.present(); err != nil {
			w.core.presence.state.Store(isGone)
			return err
		}
		w.looked = now
	}
	if w.core.reserve.spent.Load() {
		w.regainReserve()
	}
	if c.locked {
		w.conn.bound(r.ctx, r.deadline)
		return w.begin()
	}
	if !w.crowded(now) {
		if begun, err := w.pushIn(r.ctx); begun || err != nil {
			return err
		}
		c.met(now)
	}
	if err := w.lineUp(r.ctx, r.deadline); err != nil || !c.locked {
		return err
	}
	w.conn.bound(r.ctx, r.deadline)
	return w.begin()
}

// lineUp waits for the directory's lock, or begins a transaction without it.
func (w *writer) lineUp(ctx context.Context, deadline time.Time) error {
	c := &w.crowd
	for patience := c.patience(ctx, deadline); ; patience = min(2*patience, late) {
		began := time.Now()
		until, last := began.Add(patience), false
		if !deadline.IsZero() && until.After(deadline) {
			until, last = deadline, true
		}
		err := w.dir.lock(ctx, until, c.place())
		if err == nil {
			c.locked, c.since, c.count = true, time.Now(), 0
			c.tired, c.vain, c.stalled = false, 0, false
			return nil
		}
		if !errors.Is(err, driver.ErrTimeout) {
			return err
		}
		c.vain += time.Since(began)
		begun, e := w.pushIn(ctx)
		if begun {
			c.stalled = c.vain >= late
		}
		if begun || e != nil {
			return e
		}
		if last {
			return err
		}
	}
}

// place is where this process waits. Only who is going to keep the lock lines
// up: the others do not wait for all the stints of those, and it would take two
// wake-ups to hand the lock on to them.
func (c *crowd) place() place {
	switch {
	case c.tired:
		return behind
	case c.steady >= steadyCount:
		return inLine
	}
	return aside
}

// patience is how long to stand in the line at first: at most half of the time
// that there is, or the end of a context would come before a try to push in.
func (c *crowd) patience(ctx context.Context, deadline time.Time) time.Duration {
	if end, ok := ctx.Deadline(); ok && (deadline.IsZero() || end.Before(deadline)) {
		deadline = end
	}
	patience := late
	if c.stalled {
		patience = soon
	}
	if !deadline.IsZero() {
		patience = max(min(patience, time.Until(deadline)/2), 0)
	}
	return patience
}

// crowded reports whether to line up.
func (w *writer) crowded(now time.Time) bool {
	c := &w.crowd
	if c.span != 0 && now.Before(c.until) {
		return true
	}
	if c.steady < steadyCount || !c.tired && now.Sub(c.looked) < lookEvery {
		return false
	}
	c.looked = now
	if w.dir.free() {
		c.tired = false
		return false
	}
	c.met(now)
	return true
}

// pushIn begins a transaction without the directory's lock, if nobody is in
// one.
func (w *writer) pushIn(ctx context.Context) (begun bool, err error) {
	w.conn.bound(ctx, past)
	err = w.run("BEGIN IMMEDIATE")
	if err == nil {
		return true, w.begun()
	}
	if lite.IsBusy(err) && ctx.Err() == nil {
		return false, nil
	}
	return false, w.conn.waitErr(err)
}

// leave lets others in after a transaction, unless this process goes on.
func (w *writer) leave() {
	c := &w.crowd
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = now
	if !c.locked {
		return
	}
	c.locked = false
	c.count++
	c.tired = c.count >= stintCount || now.Sub(c.since) >= stint
	if c.tired {
		w.conn.Yield() // others may checkpoint now
	}
	if c.tired || c.steady < steadyCount {
		w.dir.unlock()
		return
	}
	w.keep()
}

// keep keeps the directory's lock until the next transaction, or not for long.
// The caller holds crowd.mu.
func (w *writer) keep() {
	c := &w.crowd
	c.kept = true
	if c.idle == nil {
		c.idle = time.AfterFunc(idleAfter, w.retire)
	} else {
		c.idle.Reset(idleAfter)
	}
}

// retire ends a stint if there has been no transaction for a while.
func (w *writer) retire() {
	c := &w.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.kept:
	case time.Since(c.last) < idleAfter: // there has been one just now
		c.idle.Reset(idleAfter)
	default:
		c.kept = false
		w.dir.unlock()
	}
}

// takeKept takes the directory's lock over if it is kept.
func (c *crowd) takeKept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept
	c.kept = false
	return kept
}

// giveBack is for who has taken over what was kept.
func (w *writer) giveBack() {
	c := &w.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	w.keep()
}

package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/group"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/turnstile"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wake"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wal"
)

// writer is the one connection of the process that writes, behind a group of
// callers. The lock order is core's.
type writer struct {
	core      *core
	group     *group.Group
	turnstile *turnstile.Turnstile // between processes
	conn      *conn

	// What follows belongs to the leader.
	tx              tx
	dataVersion     int64   // as SQLite last told: changes when another connection commits
	generation      uint64  // counts those changes: what was read in an older one may be stale
	schema          int64   // version of the schema that was inspected last
	named           []int64 // collections that have tables of their own, in namedGeneration; nil: not known
	namedGeneration uint64
	pageSize        int64
	looked          time.Time // when the database was last seen to be there still
	full            bool      // the disk was, in the transaction that is being given up
}

// openWriter opens the connection that writes, and brings the schema up to date.
func openWriter(ctx context.Context, c *core, deadline time.Time) (_ *writer, err error) {
	w := &writer{core: c, group: group.New(c.log, c.opts.Ungrouped)}
	if w.turnstile, err = turnstile.Open(c.files, lockName, queueHeadName, turnstileDB{w}); err != nil {
		return nil, translate(err)
	}
	defer func() {
		if err != nil {
			w.turnstile.Close()
			if w.conn != nil {
				w.conn.Close()
			}
		}
	}()
	if w.conn, err = c.openConn(sqlite3.ReadWriteCreate, c.readers.cacheSize()); err != nil {
		return nil, err
	}
	w.conn.waitUntil(ctx, deadline)
	w.tx = tx{core: c, conn: w.conn, write: true}
	if err := w.prepareSchema(ctx, deadline); err != nil {
		return nil, err
	}
	if w.pageSize, err = w.conn.integer("PRAGMA page_size"); err != nil {
		return nil, err
	}
	c.wal = wal.New(c.opts.MaxWALSize, w.pageSize)
	w.conn.SetWALHook(func(frames int) {
		if c.wal.Grew(int64(frames)) && c.maintainer != nil { // not while the store is being opened
			wake.Signal(c.maintainer.check)
		}
	})
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
	r := &group.Request{Ctx: ctx, Deadline: deadline, Run: fn, Mode: mode}
	leads, err := w.group.Join(r)
	if leads {
		err = w.lead(r)
	}
	r.Repanic()
	return err
}

// lead runs r and the requests of its followers. The caller has the lead, and hands it
// over here, also if r panics.
func (w *writer) lead(r *group.Request) error {
	var dead valuefile.Trash
	var topics uint32
	defer func() { // after the lock is released
		w.core.watchers.Signal(topics)
		w.core.durable.removeAfterCommit(dead)
	}()
	defer w.group.HandOver()
	defer w.turnstile.Leave()
	if err := w.enter(r); err != nil {
		return err
	}
	// The group's waits are over. From here on a context interrupts what its
	// own operation does, and nothing else.
	w.conn.waitFor(context.Background(), commitPatience)
	defer func() {
		dead, w.tx.dead = w.tx.dead, valuefile.Trash{}
		topics, w.tx.toSignal = w.tx.toSignal, 0
	}()
	if r.Mode != driver.Shared {
		err := w.runAlone(r)
		w.watchLog()
		return err
	}
	w.runGroup(w.group.Gather(r))
	w.group.Release(r)
	w.watchLog()
	return r.Err
}

// commitPatience bounds the wait of a commit for readers, in the journal modes
// where there is one.
const commitPatience = 10 * time.Second

// runGroup runs requests in the transaction that is open and commits it. If
// that fails, each of them runs once more, in a transaction of its own, so
// that only the one at fault fails.
func (w *writer) runGroup(batch []*group.Request) {
	good := true
	for _, q := range batch {
		if q.Ctx.Err() != nil {
			q.Err = context.Cause(q.Ctx)
			continue
		}
		before, reads := w.conn.TotalChanges(), len(w.tx.ownReads)
		w.conn.ctx = q.Ctx
		q.Call(&w.tx)
		if q.Err == nil {
			continue
		}
		w.full = w.full || errors.Is(q.Err, driver.ErrFull)
		if w.tx.failed || w.conn.TotalChanges() != before || len(w.tx.ownReads) < reads {
			good = false
			break
		}
		w.tx.ownReads = w.tx.ownReads[:reads] // it wrote nothing, and has not read either
	}
	if good {
		err := w.commit()
		if err == nil {
			w.core.counters.committed(len(batch))
			return
		}
		w.full = w.full || errors.Is(err, driver.ErrFull)
	}
	w.rollback()
	w.reclaim()
	for _, q := range batch {
		if !q.HasPanicked() {
			q.Err = w.runOne(q)
		}
	}
}

// runOne runs an operation in a transaction of its own.
func (w *writer) runOne(q *group.Request) error {
	if q.Ctx.Err() != nil {
		return context.Cause(q.Ctx)
	}
	w.turnstile.Leave()
	if err := w.enter(q); err != nil {
		return err
	}
	w.conn.waitFor(context.Background(), commitPatience)
	w.conn.ctx = q.Ctx
	if q.Call(&w.tx); q.Err != nil {
		w.rollback()
		return q.Err
	}
	if err := w.commit(); err != nil {
		w.rollback()
		return err
	}
	w.core.counters.committed(1)
	return nil
}

// runAlone runs an operation of the user's in the transaction that is open.
func (w *writer) runAlone(r *group.Request) (err error) {
	done := false
	defer func() {
		if !done { // a panic, or runtime.Goexit
			w.rollback()
		}
	}()
	w.conn.ctx = r.Ctx
	w.group.BeginAlone()
	defer w.group.EndAlone()
	err = r.Run(&w.tx)
	if err == nil && r.Ctx.Err() != nil {
		err = context.Cause(r.Ctx)
	}
	if err == nil {
		if err = w.commit(); err == nil {
			w.core.counters.committed(1)
		}
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
// turnstile.Leave comes after.
func (w *writer) enter(r *group.Request) error {
	now := time.Now()
	w.turnstile.Arrive(now, r.Mode == driver.Alone)
	if now.Sub(w.looked) >= presentEvery {
		if err := w.core.present(); err != nil {
			w.core.presence.state.Store(presenceGone)
			return err
		}
		w.looked = now
	}
	if w.core.reserve.IsSpent() {
		w.regainReserve()
	}
	begun, err := w.turnstile.Acquire(r.Ctx, now, r.Deadline)
	if err != nil {
		return turnErr(r.Ctx, err)
	}
	if !begun {
		w.conn.waitUntil(r.Ctx, r.Deadline)
		if err := w.begin(); err != nil {
			return err
		}
	}
	w.core.counters.waited(time.Since(now))
	return nil
}

// turnErr gives an error of the turnstile the meaning that the contract has for
// it, unless it is the cause of a context that has ended.
func turnErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return translate(err)
}

// turnstileDB is the writer as the turnstile sees it.
type turnstileDB struct{ w *writer }

// noWait is a deadline for a wait that must not happen.
var noWait = time.Unix(0, 0)

// Barge implements [turnstile.DB].
func (t turnstileDB) Barge(ctx context.Context) (begun bool, err error) {
	t.w.conn.waitUntil(ctx, noWait)
	err = t.w.conn.run("BEGIN IMMEDIATE")
	if err == nil {
		return true, t.w.begun()
	}
	if sqlite3.IsBusy(err) && ctx.Err() == nil {
		return false, nil
	}
	return false, t.w.conn.waitErr(err)
}

// Yield implements [turnstile.DB].
func (t turnstileDB) Yield() { t.w.conn.Yield() }

// begin opens a transaction that may write.
func (w *writer) begin() error {
	if err := w.conn.run("BEGIN IMMEDIATE"); err != nil {
		return w.conn.waitErr(err)
	}
	return w.begun()
}

// begun is called when a transaction has begun. It finds out whether another connection has
// written since the last one.
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
		w.generation++
	}
	w.tx.generation = w.generation
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
	if err := w.conn.run("COMMIT"); err != nil {
		return translate(err)
	}
	w.core.near.keepWritten(&w.tx.nearWrites)
	w.tx.committed()
	return nil
}

// rollback undoes the transaction that is open, if there is one, and forgets what was read in it.
func (w *writer) rollback() {
	// While this process has the write lock: a check that got it would find files
	// without rows.
	for _, f := range w.tx.placed {
		f.Unplace()
	}
	w.conn.ctx = context.Background()
	if !w.conn.AutoCommit() {
		if err := w.conn.run("ROLLBACK"); err != nil {
			w.core.log.Error("rollback failed", "error", err)
		}
	}
	w.tx.rolledBack()
	w.generation++ // what was read in the transaction never was
}

// exclusively runs fn with the lead but without a transaction, for what SQLite
// does not do inside of one.
func (w *writer) exclusively(ctx context.Context, deadline time.Time, fn func(cn *conn) error) error {
	if w == nil {
		return driver.ErrReadOnly
	}
	if _, err := w.group.Join(&group.Request{Ctx: ctx, Deadline: deadline, Mode: driver.Alone}); err != nil {
		return err
	}
	defer w.group.HandOver()
	release, err := w.turnstile.Hold(ctx, deadline)
	if err != nil {
		return turnErr(ctx, err)
	}
	defer release()
	w.conn.waitUntil(ctx, deadline)
	defer w.conn.waitUntil(context.Background(), time.Time{})
	return fn(w.conn)
}

// exclusivelyNow is exclusively unless it would have to wait for another
// process.
func (w *writer) exclusivelyNow(deadline time.Time, fn func() error) (ran bool, err error) {
	if _, err := w.group.Join(&group.Request{Ctx: context.Background(), Deadline: deadline, Mode: driver.Alone}); err != nil {
		return false, err
	}
	defer w.group.HandOver()
	release, err := w.turnstile.TryHold()
	if release == nil {
		return false, translate(err)
	}
	defer release()
	return true, fn()
}

// close closes the lock and the connection.
func (w *writer) close() error {
	return errors.Join(w.turnstile.Close(), w.conn.Close())
}

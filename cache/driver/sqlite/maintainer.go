package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/access"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wal"
)

// maintainer does what no caller should wait for: it writes gathered reads,
// checkpoints the WAL, and removes what crashes left behind. It sleeps until
// it has something to do.
type maintainer struct {
	core *core

	writes *access.Schedule
	check  chan struct{} // the WAL has grown
	trash  chan struct{} // the database has a list of files to remove
	swept  chan struct{} // closed when the sweep of opening is over
	ended  chan struct{}

	ctx  context.Context // ends when close begins
	stop context.CancelFunc

	mu     sync.Mutex
	gone   []int64    // rows of Trash whose files are removed
	listed []unsynced // rows of Unsynced whose files are synced

	conn *conn // for checkpoints; nil until needed
}

func newMaintainer(c *core) *maintainer {
	m := &maintainer{
		core:   c,
		writes: access.NewSchedule(),
		check:  make(chan struct{}, 1),
		trash:  make(chan struct{}, 1),
		swept:  make(chan struct{}),
		ended:  make(chan struct{}),
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// remind has the maintainer write what is gathered within a second, or at once.
func (m *maintainer) remind(now bool) {
	if now {
		m.writes.Now()
	} else {
		m.writes.Soon()
	}
}

// synced has rows of Unsynced deleted, within a second: their files are on the disk.
func (m *maintainer) synced(done []unsynced) {
	if m == nil || len(done) == 0 {
		return
	}
	m.mu.Lock()
	m.listed = append(m.listed, done...)
	m.mu.Unlock()
	m.remind(false)
}

// run is the goroutine.
func (m *maintainer) run() {
	defer close(m.ended)
	m.core.reserve.Fill()
	m.sweep()
	close(m.swept)
	defer m.writes.Stop()
	for {
		select {
		case <-m.writes.Due():
			m.flushNow()
		case <-m.writes.Urgent():
			m.flushNow()
		case <-m.check:
			if err := m.checkpoint(); err != nil {
				m.core.log.Warn("checkpoint failed", "error", err)
			}
		case <-m.trash:
			if err := m.sweepTrash(m.ctx); err != nil {
				m.core.log.Warn("files stay in the trash", "error", err)
			}
		case <-m.ctx.Done():
			return
		}
	}
}

// flushNow writes what is gathered, and tries again within a second if that fails.
func (m *maintainer) flushNow() {
	m.writes.Begin()
	m.core.durable.hardenIfDue()
	if err := m.flushAll(context.Background(), time.Now().Add(defaultTimeout)); err != nil {
		m.core.log.Warn("reads are not counted yet", "error", err)
		m.remind(false)
	}
}

// flushAll writes what has been gathered about all collections.
func (m *maintainer) flushAll(ctx context.Context, deadline time.Time) error {
	m.mu.Lock()
	gone, listed := m.gone, m.listed
	m.gone, m.listed = nil, nil
	m.mu.Unlock()
	dirty := len(gone) > 0 || len(listed) > 0
	colls := m.core.opened()
	for _, c := range colls {
		dirty = dirty || !c.dropped.Load() && !c.reads.Empty()
	}
	if !dirty {
		return nil
	}
	var dropped *collection
	err := m.core.writer.update(ctx, deadline, driver.Shared, func(dt driver.Tx) error {
		t := dt.(*tx)
		dropped = nil
		for _, c := range colls {
			if c.dropped.Load() || c.reads.Empty() {
				continue
			}
			if _, err := t.admit(ctx, c, true); err != nil {
				if errors.Is(err, errDropped) {
					dropped = c
				}
				return err
			}
			if err := t.flushReads(c); err != nil {
				return t.fail(err)
			}
		}
		if err := t.unlist(listed); err != nil {
			return err
		}
		return t.emptied(gone)
	})
	if err != nil {
		m.mu.Lock()
		m.gone = append(m.gone, gone...)
		m.listed = append(m.listed, listed...)
		m.mu.Unlock()
	}
	if dropped != nil {
		// Another process has dropped the collection. What was gathered about the other
		// collections is still to be written.
		dropped.dropped.Store(true)
		return m.flushAll(ctx, deadline)
	}
	return err
}

// slides reports whether there are slid expiries to write and no caller of this process
// is writing.
func (m *maintainer) slides() bool {
	for _, c := range m.core.opened() {
		if c.reads.Slides() {
			return m.core.writer.group.Idle()
		}
	}
	return false
}

// close writes what is gathered and ends the goroutine. Nothing is written to
// the store any more, so the WAL is emptied too.
func (m *maintainer) close() error {
	m.stop()
	<-m.ended
	patience := m.core.opts.Timeout
	if patience < 0 {
		patience = defaultTimeout
	}
	var err error
	if m.core.present() == nil {
		// Before flushAll, which writes what is synced by that. Also if the log is
		// empty: another program may have copied it.
		err = m.core.durable.harden(context.Background(), nil)
	}
	err = errors.Join(err, m.flushAll(context.Background(), time.Now().Add(patience)))
	if m.conn != nil {
		err = errors.Join(err, m.conn.Close())
	}
	// The log is made small for the processes that stay. If none does, the writer's
	// connection removes it.
	cn := m.core.writer.conn
	cn.waitUntil(context.Background(), time.Now().Add(wal.RestartPatience))
	var e error
	if m.core.hasBytes(databaseName + "-wal") {
		_, _, e = m.core.durable.checkpoint(cn, sqlite3.Truncate)
		if sqlite3.IsFull(e) && m.core.reserve.Spend() {
			_, _, e = m.core.durable.checkpoint(cn, sqlite3.Truncate)
		}
	}
	if sqlite3.IsBusy(e) && m.core.opts.syncing() == syncLater { // some of it is only in the log
		err = errors.Join(err, m.core.durable.syncLog())
	}
	if e == nil || sqlite3.IsBusy(e) { // by a reader that may be gone in a moment
		err = errors.Join(err, cn.SetCheckpointOnClose(true))
	}
	if e != nil && !sqlite3.IsBusy(e) && !sqlite3.IsFull(e) {
		err = errors.Join(err, translate(e))
	}
	return err
}

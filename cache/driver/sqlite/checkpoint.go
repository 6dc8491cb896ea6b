package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wal"
)

// checkpoint copies the WAL to the database. Most of it is done while readers
// and writers work.
func (m *maintainer) checkpoint() error {
	if m.conn == nil {
		cn, err := m.core.openConn(sqlite3.ReadWrite, minCacheSize/4)
		if err != nil {
			return err
		}
		m.conn = cn
	}
	committed, copied := m.logged()
	if !m.core.wal.Begin(committed, copied) {
		return nil
	}
	began := time.Now()
	_, done, err := m.core.durable.checkpoint(m.conn, sqlite3.Passive)
	if err != nil && !sqlite3.IsBusy(err) {
		return translate(err)
	}
	frames, _ := m.logged()
	if !m.core.wal.Copied(frames) {
		return nil
	}
	// Where a reader or another process's checkpoint is in the way, it would
	// be in the way again. The writer tries it all the same once that is urgent.
	if err != nil || int64(done) < committed {
		return nil
	}
	// Writers are kept out while the value files are synced that came meanwhile:
	// not many, if syncing them all did not take long.
	for range 3 {
		took := time.Since(began)
		if took < wal.RestartPatience {
			break
		}
		began = time.Now()
		if err := m.core.durable.harden(context.Background(), nil); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(time.Second)
	// To wait for another process would keep this one's writers waiting too, and
	// meanwhile the WAL grows by what is to be copied then.
	ran, err := m.core.writer.exclusivelyNow(deadline, m.restart)
	if !ran && err == nil {
		m.core.wal.Busy(frames)
	}
	return err
}

// restart copies the rest of the WAL, and has it begin anew.
func (m *maintainer) restart() error {
	if frames, _ := m.logged(); !m.core.wal.IsLong(frames) {
		return nil // another process has done it
	}
	m.conn.boundFor(context.Background(), wal.RestartPatience)
	_, _, err := m.core.durable.checkpoint(m.conn, sqlite3.Restart)
	if err != nil && !sqlite3.IsBusy(err) {
		return translate(err)
	}
	return nil
}

// logged returns the number of frames in the WAL, and how many of them are in
// the database too.
func (m *maintainer) logged() (frames, copied int64) {
	if ix := m.conn.WALIndexHeader(); ix != nil {
		return int64(ix.Frames()), int64(ix.Copied())
	}
	return m.core.wal.Frames(), 0
}

// What follows is the writer's part: for the user's bound, and for a disk that is full.

// reclaim has the log begin anew, when the disk is full. Its file keeps its
// size, which is room to write at least what deletes something. No transaction
// may be open.
func (w *writer) reclaim() {
	if !w.full {
		return
	}
	w.full = false
	w.giveUpReserve()
	w.restartLog()
}

func (w *writer) restartLog() {
	w.conn.bound(context.Background(), time.Now().Add(wal.RestartPatience))
	_, _, err := w.core.durable.checkpoint(w.conn, sqlite3.Restart)
	if sqlite3.IsFull(err) && w.giveUpReserve() {
		_, _, err = w.core.durable.checkpoint(w.conn, sqlite3.Restart)
	}
	if err != nil {
		w.core.log.Warn("the disk is full, and the log could not be copied to the database", "error", translate(err))
	}
	w.conn.bound(context.Background(), time.Now().Add(commitPatience))
}

// watchLog keeps the log from getting too large, for the user and for the disk.
func (w *writer) watchLog() {
	w.boundLog()
	w.watchSpace()
}

// boundLog has the log begin anew once it is as large as it may get. Writers wait
// meanwhile.
func (w *writer) boundLog() {
	patience, urgent := w.core.wal.Urgent(time.Now())
	if !urgent {
		return
	}
	w.conn.boundFor(context.Background(), patience)
	_, _, err := w.core.durable.checkpoint(w.conn, sqlite3.Restart)
	// If SQLite has called the busy handler for no reader, another process is copying.
	if sqlite3.IsBusy(err) && w.conn.deadline.IsZero() {
		for end := time.Now().Add(patience); sqlite3.IsBusy(err) && w.conn.deadline.IsZero() && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
			_, _, err = w.conn.Checkpoint(sqlite3.Restart)
		}
		w.core.durable.hardenOrSay() // see durable.checkpoint
	}
	w.conn.boundFor(context.Background(), commitPatience)
	if err != nil && !sqlite3.IsBusy(err) {
		w.core.log.Warn("checkpoint failed", "error", translate(err))
	}
	w.core.wal.Tried(time.Now())
}

// watchSpace keeps the log from taking the last room on the disk.
func (w *writer) watchSpace() {
	if !w.core.wal.Look() {
		return
	}
	w.core.reserve.Look()
	free, _, err := w.core.files.Space()
	if err == nil && w.core.wal.IsTight(free) {
		w.restartLog()
	}
}

// regainReserve tries to have the reserve back before a transaction begins.
func (w *writer) regainReserve() {
	r := w.core.reserve
	if r.Fill() {
		w.core.log.Info("there is room on the disk again")
		return
	}
	// What was deleted gives its room back when the log is copied.
	w.restartLog()
	r.Fill()
}

// giveUpReserve makes room on a full disk.
func (w *writer) giveUpReserve() (gaveUp bool) {
	gaveUp = w.core.reserve.Spend()
	if gaveUp {
		w.core.log.Warn("the disk is full: what makes the store larger is refused until there is room again")
	}
	return gaveUp
}

// mayGrow fails if the store has given its reserve up and a row would make it
// larger. Pages that the database has free may be used.
func (t *tx) mayGrow(p *driver.Put) error {
	if !t.core.reserve.IsSpent() {
		return nil
	}
	if p.File == nil {
		free, err := t.conn.integer("PRAGMA freelist_count")
		if err != nil {
			return err
		}
		const spare = 16 // for indexes
		if free-spare > int64(p.Value.Len())/t.core.writer.pageSize {
			return nil
		}
	}
	return fmt.Errorf("%w: the store keeps the room that is left for deleting", driver.ErrFull)
}

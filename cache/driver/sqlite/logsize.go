package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wal"
)

// The writer's part in keeping the log small: for the user's bound, and for a disk
// that is full. The maintainer does the rest in the background.

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
	_, _, err := w.core.durable.checkpoint(w.conn, lite.Restart)
	if lite.IsFull(err) && w.giveUpReserve() {
		_, _, err = w.core.durable.checkpoint(w.conn, lite.Restart)
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
	_, _, err := w.core.durable.checkpoint(w.conn, lite.Restart)
	// If SQLite has called the busy handler for no reader, another process is copying.
	if lite.IsBusy(err) && w.conn.deadline.IsZero() {
		for end := time.Now().Add(patience); lite.IsBusy(err) && w.conn.deadline.IsZero() && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
			_, _, err = w.conn.Checkpoint(lite.Restart)
		}
		w.core.durable.hardenOrSay() // see durable.checkpoint
	}
	w.conn.boundFor(context.Background(), commitPatience)
	if err != nil && !lite.IsBusy(err) {
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

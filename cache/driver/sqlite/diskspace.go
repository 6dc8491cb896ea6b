package sqlite

import (
	"fmt"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// The reserve is a file whose room the store gives up when the disk is full (package wal has
// it). The writer spends it, so that entries can still be deleted, and has it back before
// transactions that may grow the store again.

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

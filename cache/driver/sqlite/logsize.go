package sqlite

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
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
	w.conn.bound(context.Background(), time.Now().Add(restartPatience))
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
// meanwhile. If a reader is in the way, it is tried again when the log is an eighth
// larger: with readers that come one after the other there is always one in the
// way of a copy, and hardly ever one that stays.
func (w *writer) boundLog() {
	m := w.core.maintainer
	frames := m.frames.Load()
	if frames < m.limits.urgent {
		w.logDue = 0
		return
	}
	if frames < w.logDue {
		return
	}
	patience := min(max(restartPatience, time.Since(w.logTried)/urgentShare), urgentPatience)
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
	w.logTried, w.logDue = time.Now(), frames+frames/8
}

// spaceEvery is the number of frames after which the room on the disk is
// looked at.
const spaceEvery = 64

// watchSpace keeps the log from taking the last room on the disk: it could not
// be copied into the database then, and nothing could be deleted any more.
func (w *writer) watchSpace() {
	frames := w.core.maintainer.frames.Load()
	if frames < w.spaceSeen {
		w.spaceSeen = 0
	}
	if frames-w.spaceSeen < spaceEvery {
		return
	}
	w.spaceSeen = frames
	w.core.reserve.look()
	free, _, err := w.core.files.Space()
	if err == nil && free < 2*frames*w.pageSize {
		w.restartLog()
	}
}

package sqlite

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wal"
)

// The writer bounds the size of the log: writer.lead calls watchLog after each transaction.
// The maintainer's checkpoints (checkpoint.go) keep the log shorter than that, unless readers
// or other processes are in their way.

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
	err := w.core.durable.restartLog(w.conn, patience)
	w.conn.waitFor(context.Background(), commitPatience)
	if err != nil && !sqlite3.IsBusy(err) {
		w.core.log.Warn("checkpoint failed", "error", translate(err))
	}
	w.core.wal.Tried(time.Now())
}

// restartLog copies the log to the database on a disk that is full, and has the log begin anew.
func (w *writer) restartLog() {
	w.conn.waitUntil(context.Background(), time.Now().Add(wal.RestartPatience))
	_, _, err := w.core.durable.checkpoint(w.conn, sqlite3.Restart)
	if sqlite3.IsFull(err) && w.giveUpReserve() {
		_, _, err = w.core.durable.checkpoint(w.conn, sqlite3.Restart)
	}
	if err != nil {
		w.core.log.Warn("the disk is full, and the log could not be copied to the database", "error", translate(err))
	}
	w.conn.waitUntil(context.Background(), time.Now().Add(commitPatience))
}

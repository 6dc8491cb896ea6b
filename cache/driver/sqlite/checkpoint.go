package sqlite

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wal"
)

// The maintainer copies the log to the database, on a connection of its own, whenever the WAL hook
// says that the log has grown. When to is decided by package wal, what has to be on the disk
// before by durable.

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
	// A reader or a checkpoint of another process has kept this one from copying all: it
	// would keep a restart from it too. The writer restarts the log once that is urgent.
	if err != nil || int64(done) < committed {
		return nil
	}
	// A restart keeps writers out, and first syncs the value files that they have written
	// since the last sync. Sync again until a sync is short: then few are left.
	for range 3 {
		if time.Since(began) < wal.RestartPatience {
			break
		}
		began = time.Now()
		if err := m.core.durable.harden(context.Background(), nil); err != nil {
			return err
		}
	}
	// A wait for another process would keep this one's writers waiting too, and meanwhile
	// the WAL would grow by what is to be copied then.
	ran, err := m.core.writer.exclusivelyNow(time.Now().Add(time.Second), m.restart)
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
	m.conn.waitFor(context.Background(), wal.RestartPatience)
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

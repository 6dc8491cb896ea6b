package sqlite

import (
	"context"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wal"
)

// Compact implements [driver.Compacter]. It rewrites the database, for which it
// needs as much free space again, and keeps other writers waiting.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := s.core.writer.exclusively(ctx, s.deadline(), func(cn *conn) error {
		// VACUUM writes pages as they are in the database, which CutLog could not
		// tell from those that a checkpoint has copied there.
		if err := s.core.durable.harden(ctx, nil); err != nil {
			return err
		}
		if err := cn.Exec("VACUUM"); err != nil {
			w := s.core.writer
			w.full = sqlite3.IsFull(err)
			w.reclaim()
			return cn.waitErr(err)
		}
		// Not for long: a reader may itself be waiting for the lock that is held
		// here, as Backup's does.
		cn.waitUntil(ctx, time.Now().Add(wal.RestartPatience))
		if _, _, err := s.core.durable.checkpoint(cn, sqlite3.Truncate); err != nil && !sqlite3.IsBusy(err) {
			return translate(err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// VACUUM is a commit that the near table does not know. The next transaction, even an
	// empty one, makes all copies from before it invalid.
	return s.core.writer.update(ctx, s.deadline(), driver.Alone, func(driver.Tx) error { return nil })
}

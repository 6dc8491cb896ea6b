package sqlite

import (
	"context"
	"math"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
	"github.com/go-diskcache/diskcache/codec"
)

// Table Trash lists value files that no row refers to any more. A transaction puts a file
// there (discard); durable removes it once the commit is on the disk; the maintainer then
// strikes the row off. What a process that died has left there is swept.

// emptied has rows of Trash deleted, within a second: their files are removed.
func (m *maintainer) emptied(ids []int64) {
	if m == nil || len(ids) == 0 {
		return
	}
	m.mu.Lock()
	m.gone = append(m.gone, ids...)
	m.mu.Unlock()
	m.remind(false)
}

// emptied deletes rows of Trash.
func (t *tx) emptied(ids []int64) error {
	for _, id := range ids {
		if err := t.conn.run("DELETE FROM Trash WHERE id = ?1", codec.IntegerValue(id)); err != nil {
			return t.fail(err)
		}
	}
	return nil
}

// discard has a value file removed after the commit.
func (t *tx) discard(rel string) error {
	if err := t.conn.run("INSERT INTO Trash (path) VALUES (?1)", codec.TextValue(rel)); err != nil {
		return err
	}
	t.trash.Discard(rel, t.conn.LastInsertRowID())
	return nil
}

// sweepTrash removes the files that Trash lists, also those of other processes.
func (m *maintainer) sweepTrash(ctx context.Context) error {
	last := int64(math.MinInt64)
	for {
		found, err := m.listTrash(last)
		if err != nil || found.IsEmpty() {
			return err
		}
		last = found.Last()
		m.core.log.Info("emptying the trash", "files", found.Old())
		// The process that took the rows away may have died before that was on the disk.
		if err := m.core.durable.remove(ctx, found); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil // the rest is found when the store is opened again
		}
	}
}

// listTrash reads some rows of Trash after one. A row may be that of another
// process, which is just removing the file: to do it twice does no harm, since
// names are not used again.
func (m *maintainer) listTrash(after int64) (found valuefile.Trash, err error) {
	cn, err := m.core.readers.take(context.Background(), defaultTimeout)
	if err != nil {
		return found, err
	}
	defer m.core.readers.put(cn)
	err = cn.each("SELECT id, path FROM Trash WHERE id > ?1 ORDER BY id LIMIT 1000", func(s *sqlite3.Stmt) {
		found.Discard(s.ColumnText(1), s.ColumnInt(0))
	}, codec.IntegerValue(after))
	return found, err
}

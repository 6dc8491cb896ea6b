package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
)

// A sweep removes what processes that died have left: the folders of their sessions, and value
// files without rows. The maintainer does it once, when it begins.

// sweepPatience is how long Close waits for the sweep: where processes only open a
// store and close it again, one of them has to do it.
const sweepPatience = time.Second

// sweep removes what sessions that have ended left behind, and the files in
// the trash. It is done when a store is opened, in the background.
func (m *maintainer) sweep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(m.ctx, func() { time.AfterFunc(sweepPatience, cancel) })()
	err := errors.Join(m.sweepTemp(ctx), m.sweepTrash(ctx))
	if err != nil && ctx.Err() == nil { // else the rest is found when the store is opened again
		m.core.log.Warn("sweep failed", "error", err)
	}
}

// sweepTemp removes the folders of sessions that have ended, and for each
// temporary file the value file that it was to become, if no row came to
// refer to it.
func (m *maintainer) sweepTemp(ctx context.Context) error {
	ss := m.core.sessions
	names, err := ss.Ended()
	if err != nil {
		return translate(err)
	}
	// A process may also have died before it had made a folder of its own, or after it
	// had removed that.
	defer m.core.files.Remove(sessionsName) // stays if there are sessions
	if len(names) == 0 {
		return nil
	}
	m.core.log.Info("removing what sessions left that have ended", "sessions", len(names))
	placed := make(map[string]bool)
	var errs []error
	for _, name := range names {
		errs = append(errs, m.core.values.Placed(ss.Folder(name), placed))
	}
	errs = append(errs, m.dropUsed(ctx, placed))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for rel := range placed {
		errs = append(errs, m.core.values.Remove(rel))
	}
	for _, name := range names {
		errs = append(errs, ss.Remove(name))
	}
	return errors.Join(errs...)
}

// dropUsed takes those files out of the set to which a row of any collection refers. It
// looks at each collection once, however many files there are.
func (m *maintainer) dropUsed(ctx context.Context, files map[string]bool) error {
	if len(files) == 0 {
		return nil
	}
	return m.core.view(ctx, defaultTimeout, func(dt driver.Tx) error {
		cn := dt.(*tx).conn
		if err := cn.dropListed(files); err != nil || len(files) == 0 {
			return err
		}
		ids, err := cn.owners()
		if err != nil {
			return translate(err)
		}
		for _, id := range ids {
			if err := cn.eachFile(id, func(rel string) { delete(files, rel) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachFile calls fn with the value files that rows refer to in the tables with a number.
func (cn *conn) eachFile(id int64, fn func(rel string)) error {
	return cn.each("SELECT filename FROM "+table.Of(id).Rows+" WHERE filename IS NOT NULL", func(s *sqlite3.Stmt) { fn(s.ColumnText(0)) })
}

package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"path"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
)

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

func (m *maintainer) sweepTrash(ctx context.Context) error {
	last := int64(math.MinInt64)
	for {
		found, err := m.listTrash(last)
		if err != nil || len(found.ids) == 0 {
			return err
		}
		last = found.ids[len(found.ids)-1]
		m.core.log.Info("emptying the trash", "files", len(found.ids))
		// The process that took the rows away may have died before that was on the disk.
		if err := m.core.durable.remove(ctx, found); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil // the rest is found when the store is opened again
		}
	}
}

// listTrash reads some lines of Trash after one. A line may be that of another
// process, which is just removing the file: to do it twice does no harm, since
// names are not used again.
func (m *maintainer) listTrash(after int64) (found trash, err error) {
	cn, err := m.core.readers.take(context.Background(), defaultTimeout)
	if err != nil {
		return found, err
	}
	defer m.core.readers.put(cn)
	s, err := cn.query("SELECT id, path FROM Trash WHERE id > ?1 ORDER BY id LIMIT 1000")
	if err != nil {
		return found, err
	}
	defer s.Reset()
	s.BindInt(1, after)
	for {
		row, err := s.Step()
		if err != nil || !row {
			return found, translate(err)
		}
		found.ids = append(found.ids, s.ColumnInt(0))
		found.paths = append(found.paths, s.ColumnText(1))
	}
}

// sweepTemp removes the folders of sessions that have ended, and for each
// temporary file the value file that it was to become, if no row came to
// refer to it.
func (m *maintainer) sweepTemp(ctx context.Context) error {
	ss := m.core.sessions
	names, err := ss.Ended()
	if err != nil || len(names) == 0 {
		return translate(err)
	}
	m.core.log.Info("removing what sessions left that have ended", "sessions", len(names))
	placed := make(map[string]bool)
	var errs []error
	for _, name := range names {
		errs = append(errs, m.addPlaced(name, placed))
	}
	errs = append(errs, m.dropUsed(ctx, placed))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for rel := range placed {
		errs = append(errs, m.core.removeValue(rel))
	}
	for _, name := range names {
		errs = append(errs, ss.Remove(name))
	}
	m.core.files.Remove(sessionsName) // stays if there are sessions
	return errors.Join(errs...)
}

// addPlaced adds the value files that the temporary files of a session have
// become. Of most there is none, but perhaps folders that were made for it: the
// process died while it wrote them.
func (m *maintainer) addPlaced(session string, placed map[string]bool) error {
	files, err := m.core.files.ReadDir(m.core.sessions.Folder(session))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process sweeps too
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		for _, rel := range finalNames(f.Name()) {
			_, err := m.core.files.Lstat(rel)
			switch {
			case err == nil:
				placed[rel] = true
			case !isMissing(err):
				return err
			default:
				m.core.removeFolders(path.Dir(rel))
			}
		}
	}
	return nil
}

// finalNames returns the names that the value in a temporary file may have got
// in the store.
func finalNames(temp string) []string {
	name, ok := strings.CutSuffix(temp, ".val")
	if !ok || !isHex(name, 32) {
		return nil
	}
	base := basePath(name)
	return []string{base, path.Join(valuesName, base)}
}

// dropUsed takes those files out to which a row of any collection refers. It
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

// eachFile calls fn with the value files that rows of c refer to.
func (cn *conn) eachFile(id int64, fn func(rel string)) error {
	s, err := cn.query("SELECT filename FROM " + tablesOf(id).rows + " WHERE filename IS NOT NULL")
	if err != nil {
		return translate(err)
	}
	defer s.Reset()
	for {
		row, err := s.Step()
		if err != nil || !row {
			return cn.waitErr(err)
		}
		fn(s.ColumnText(0))
	}
}

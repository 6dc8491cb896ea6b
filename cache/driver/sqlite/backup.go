package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
)

// A backup is a copy of a store's snapshot in another directory. Store.Backup links the value
// files under the write lock, and then copies them and the database while others write.

// fenceLeap is what a backup's fence counter is ahead, so that a store that
// was restored from it gives out no number twice.
const fenceLeap = 1 << 40

// Backup implements [driver.Directory]. Writers wait while the value files are
// linked, which takes some microseconds for each, and not while they and the
// database are copied.
func (s *Store) Backup(ctx context.Context, dir string) (err error) {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if abs, err := filepath.Abs(dir); err != nil {
		return err
	} else if rel, err := filepath.Rel(s.Dir(), abs); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("the backup's directory is inside of the store, give one outside: %w", driver.ErrInvalid)
	}
	if err := checkLength(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	existed := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return translate(err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("the backup's directory %s is not empty: %w", dir, fs.ErrExist)
	}
	if _, err := osfs.Make(dir); err != nil {
		return translate(err)
	}
	to, err := osfs.Open(dir)
	if err != nil {
		return translate(err)
	}
	defer to.Close()
	b := &backup{store: s, ctx: ctx, dir: dir, to: to}
	defer b.cleanUp()
	defer func() {
		if err != nil {
			b.undo(existed)
		}
	}()
	if s.ReadOnly() {
		return s.core.view(ctx, s.timeout, func(t driver.Tx) error { return b.copy(t.(*tx)) })
	}
	return b.run()
}

// backup is a backup that is being made.
type backup struct {
	store *Store
	ctx   context.Context
	dir   string
	to    *osfs.Dir // dir
	links string    // folder of links to the value files of the snapshot, by number
	files []string
}

// run takes a snapshot and links to its files under the write lock, so
// that both are of one moment, and then copies them.
func (b *backup) run() error {
	s := b.store
	return s.core.view(b.ctx, s.timeout, func(driver.Tx) error {
		// This first snapshot is not copied. While it is open no value file is removed. The
		// one that is copied is begun under the write lock.
		var cn *conn
		err := s.core.writer.update(b.ctx, s.deadline(), driver.Alone, func(driver.Tx) (err error) {
			if cn, err = s.core.readers.take(b.ctx, s.timeout); err != nil {
				return err
			}
			if err := cn.beginSnapshot(); err != nil {
				return err
			}
			return b.link(&tx{core: s.core, conn: cn})
		})
		if cn == nil {
			return err
		}
		defer func() {
			if !cn.AutoCommit() {
				cn.end("ROLLBACK")
			}
			s.core.readers.put(cn)
		}()
		if err != nil {
			return err
		}
		return b.copy(&tx{core: s.core, conn: cn})
	})
}

// list finds the value files of the snapshot.
func (b *backup) list(t *tx) error {
	ids, err := t.conn.owners()
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, id := range ids {
		err := t.conn.eachFile(id, func(f string) {
			if isValueName(f) && !seen[f] { // of two rows with one file, one is damaged
				seen[f] = true
				b.files = append(b.files, f)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// link keeps the value files of the snapshot from vanishing.
func (b *backup) link(t *tx) error {
	if err := b.list(t); err != nil {
		return err
	}
	if len(b.files) == 0 {
		return nil
	}
	var id [8]byte
	rand.Read(id[:])
	var links string
	dir := b.store.core.files
	err := b.store.core.sessions.InFolder(func(folder string) error {
		links = path.Join(folder, linksPrefix+hex.EncodeToString(id[:]))
		return dir.Mkdir(links)
	})
	if err != nil {
		return translate(err)
	}
	b.links = links
	for i, f := range b.files {
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		info, err := dir.Lstat(f)
		if err == nil && !info.IsRegular() {
			continue // as below
		}
		to := path.Join(links, strconv.Itoa(i))
		if err = dir.Link(f, to); osfs.IsMissing(err) {
			continue // damaged already: Check tells
		}
		if err != nil {
			err = dir.CopyTo(f, dir, to)
		}
		if err != nil {
			return translate(err)
		}
	}
	return nil
}

// linksPrefix is what the names of folders of links begin with.
const linksPrefix = "backup-"

// isLinksName reports whether a folder of a session may be one of links.
func isLinksName(name string) bool {
	id, ok := strings.CutPrefix(name, linksPrefix)
	return ok && len(id) == 16 && strings.Trim(id, "0123456789abcdef") == ""
}

// removeLinks removes a folder of links, unless there is something else in it.
func removeLinks(dir *osfs.Dir, links string) (gone bool, err error) {
	entries, err := dir.ReadDir(links)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	gone, errs := true, []error{err}
	for _, e := range entries {
		if _, err := strconv.ParseUint(e.Name(), 10, 63); err != nil || e.IsDir() {
			gone = false
			continue
		}
		errs = append(errs, dir.RemoveIfThere(path.Join(links, e.Name())))
	}
	if err := errors.Join(errs...); err != nil || !gone {
		return false, err
	}
	return true, dir.RemoveIfThere(links)
}

// copy writes the snapshot of t and its value files.
func (b *backup) copy(t *tx) error {
	f, err := b.to.CreateFirst(databaseName)
	if err != nil {
		return translate(err)
	}
	info, err := f.Info()
	if err := errors.Join(err, f.Close()); err != nil {
		return translate(err)
	}
	b.to.Follow(info)
	if b.links == "" {
		if err := b.list(t); err != nil {
			return err
		}
	}
	for i, f := range b.files {
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		from := f
		if b.links != "" {
			from = path.Join(b.links, strconv.Itoa(i))
		}
		if err := b.to.MkdirAll(path.Dir(f)); err != nil {
			return translate(err)
		}
		if err := b.store.core.files.CopyTo(from, b.to, f); err != nil && !osfs.IsMissing(err) {
			return translate(err)
		}
	}
	// The database comes last, so that a copy that looks whole is whole.
	for name, err := range valuefile.Sync(b.to, b.files, nil) {
		return fmt.Errorf("%s: %w", name, translate(err))
	}
	dst, err := sqlite3.Open(filepath.Join(b.to.Path(), databaseName), sqlite3.ReadWrite|sqlite3.NoFollow)
	if err != nil {
		return translate(err)
	}
	err = t.conn.Backup(dst, 1<<12, func(int, int) error { return b.ctx.Err() })
	if err == nil {
		err = readyCopy(dst)
	}
	if err = errors.Join(err, dst.Close()); err == nil {
		err = osfs.SyncAbove(b.to.Path())
	}
	return translate(err)
}

// readyCopy readies a copied database for a life of its own.
func readyCopy(dst *sqlite3.Conn) error {
	for table, sql := range map[string]string{
		"Meta":     fmt.Sprintf("UPDATE Meta SET value = value + %d WHERE key = 'fence'", int64(fenceLeap)),
		"Trash":    "DELETE FROM Trash",
		"Unsynced": "DELETE FROM Unsynced",
	} {
		s, err := dst.Prepare("SELECT 1 FROM sqlite_master WHERE name = '" + table + "'")
		if err != nil {
			return err
		}
		row, err := s.Step()
		s.Finalize()
		if err == nil && row {
			err = dst.Exec(sql)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// undo removes what a backup that failed has written, so that it can be begun
// anew.
func (b *backup) undo(existed bool) {
	for _, f := range b.files {
		b.to.Remove(f)
		valuefile.RemoveFolders(b.to, path.Dir(f))
	}
	b.to.Remove(databaseName)
	for _, name := range ownFiles {
		b.to.Remove(name)
	}
	if !existed {
		os.Remove(b.dir)
	}
}

// cleanUp removes the links, whether the backup has been made or not.
func (b *backup) cleanUp() {
	if b.links == "" {
		return
	}
	if _, err := removeLinks(b.store.core.files, b.links); err != nil {
		b.store.core.log.Warn("links to value files stay until the next sweep", "path", b.links, "error", err)
	}
}

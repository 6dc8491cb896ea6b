package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/near"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
	"github.com/go-diskcache/diskcache/codec"
)

// What lies in the directory beside the database. Every name contains
// "cache.db", because DiskCache's check removes files that it does not know
// unless their path does.
const (
	lockName     = "cache.db-lock"         // held by the process whose turn it is to write
	lineName     = "cache.db-line"         // held by the process that is next
	sessionsName = "cache.db-sessions"     // a folder a session
	watchName    = "cache.db-watch"        // a page of memory that signals commits
	nearName     = "cache.db-" + near.Name // versions of rows, for near caches
	reserveName  = "cache.db-reserve"      // room to give up when the disk is full
	valuesName   = "cache.db-values"       // value files of named collections
)

// path returns the full path of a name relative to the store.
func (c *core) path(rel string) string {
	return filepath.Join(c.files.Path(), filepath.FromSlash(rel))
}

// isOwnName reports whether a name in the store's directory is one of the
// store's own. Some file systems take upper and lower case for the same.
func isOwnName(name string) bool { return strings.Contains(strings.ToLower(name), databaseName) }

// isHostile reports whether err says that something was put in the place of a
// file of the store's.
func isHostile(err error) bool {
	return errors.Is(err, osfs.ErrNotRegular) || errors.Is(err, osfs.ErrOwner)
}

// file is a value file on its way into the store, as its writer sees it.
type file struct {
	*valuefile.File
	core *core
	kind codec.Kind
}

// openValues prepares for value files.
func (c *core) openValues() {
	c.values = valuefile.New(valuefile.Options{
		Dir: c.files, Folder: valuesName, Log: c.log, SyncFirst: c.opts.syncing() == syncFirst,
		Present: c.present, IsName: isValueName,
		InSession: func(fn func(folder string) error) error { return c.sessions.InFolder(fn) },
		MakeRoom:  c.durable.makeRoom,
		Emptied:   func(ids []int64) { c.maintainer.emptied(ids) },
	})
}

// Create implements [driver.Filer].
func (s *Store) Create(ctx context.Context, kind codec.Kind) (driver.File, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if s.ReadOnly() {
		return nil, driver.ErrReadOnly
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if kind != codec.Text && kind != codec.Blob {
		return nil, fmt.Errorf("a value of kind %v cannot be kept in a file", kind)
	}
	if err := s.core.present(); err != nil {
		return nil, err
	}
	f, err := s.core.values.Create()
	if err != nil {
		return nil, translate(err)
	}
	return &file{f, s.core, kind}, nil
}

// Write implements io.Writer.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, translate(err)
}

// Finish implements [driver.File].
func (f *file) Finish() error { return translate(f.File.Finish()) }

// place gives the file the name that a row of c refers to.
func (f *file) place(t *tx, c *collection) error {
	if err := f.Place(c.id != 0); err != nil {
		return translate(err)
	}
	t.placed = append(t.placed, f)
	return nil
}

// maxName bounds the bytes of the name of a value file. DiskCache's have 38.
const maxName = 1000

// isValueName reports whether a row may refer to a file: one in the store that
// is not part of the store's own.
func isValueName(rel string) bool {
	return len(rel) <= maxName && rel != "." && path.Clean(rel) == rel && strings.IndexByte(rel, 0) < 0 &&
		filepath.IsLocal(filepath.FromSlash(rel)) && !isOwnName(strings.TrimPrefix(rel, valuesName+"/"))
}

// discard has a value file removed after the commit.
func (t *tx) discard(rel string) error {
	s, err := t.conn.query("INSERT INTO Trash (path) VALUES (?1)")
	if err != nil {
		return err
	}
	s.BindText(1, rel)
	if err := s.Run(); err != nil {
		return err
	}
	t.trash.Discard(rel, t.conn.LastInsertRowID())
	return nil
}

// OpenFile implements [driver.Filer].
func (s *Store) OpenFile(ctx context.Context, h driver.Collection, r driver.Row) (driver.Content, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := s.core.own(h); err != nil {
		return nil, err
	}
	if !isValueName(r.File) {
		return nil, fmt.Errorf("%w: row refers to no file of the store", driver.ErrCorrupt)
	}
	f, err := s.core.files.Read(r.File)
	if errors.Is(err, osfs.ErrNotRegular) {
		return nil, fmt.Errorf("%w: a value file is no file: mend the store with Check: %w", driver.ErrCorrupt, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if gone := s.core.findOut(); gone != nil { // all is, not this file alone
			return nil, gone
		}
	}
	if err != nil {
		return nil, translate(err)
	}
	info, err := f.Info()
	if err != nil {
		return nil, translate(errors.Join(err, f.Close()))
	}
	if info.Size() != r.Size {
		f.Close()
		return nil, fmt.Errorf("%w: value file has %d bytes and should have %d: delete the entry, or mend the store with Check", driver.ErrCorrupt, info.Size(), r.Size)
	}
	return &content{File: f, size: info.Size()}, nil
}

// content is an opened value file. The embedded file makes that
// http.ServeContent can hand it to the kernel.
type content struct {
	*osfs.File
	size int64
}

func (c *content) Size() int64 { return c.size }

func (c *content) Close() error { return translate(c.File.Close()) }

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
	"github.com/go-diskcache/diskcache/codec"
)

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

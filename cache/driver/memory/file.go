package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// file is a value outside the rows. Its fields are guarded by data.mu once it
// is finished; until then one goroutine writes it.
type file struct {
	data    *Data
	name    string
	kind    codec.Kind
	content []byte

	finished, committed bool
}

// Create implements [driver.Filer].
func (s *Store) Create(ctx context.Context, kind codec.Kind) (driver.File, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if s.options.ReadOnly {
		return nil, driver.ErrReadOnly
	}
	if kind != codec.Text && kind != codec.Blob {
		return nil, errBadKind
	}
	d := s.data
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nextFile++
	f := &file{data: d, kind: kind, name: fmt.Sprintf("value-%d", d.nextFile)}
	d.files[f.name] = f
	return f, nil
}

func (f *file) Write(b []byte) (int, error) {
	if f.finished {
		return 0, os.ErrClosed
	}
	f.content = append(f.content, b...)
	return len(b), nil
}

func (f *file) Finish() error {
	f.data.mu.Lock()
	defer f.data.mu.Unlock()
	if f.data.files[f.name] != f {
		return os.ErrClosed
	}
	if !f.finished {
		f.finished = true
	}
	return nil
}

func (f *file) Size() int64 { return int64(len(f.content)) }

func (f *file) Discard() {
	f.data.mu.Lock()
	defer f.data.mu.Unlock()
	if !f.committed {
		f.finished = true
		delete(f.data.files, f.name)
	}
}

// ready reports whether f can be put into a store of d.
func (f *file) ready(d *Data) bool {
	if f.data != d {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return f.finished && !f.committed && d.files[f.name] == f
}

// OpenFile implements [driver.Filer].
func (s *Store) OpenFile(ctx context.Context, c driver.Collection, r driver.Row) (driver.Content, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if _, err := s.own(c); err != nil {
		return nil, err
	}
	if r.File == "" {
		return nil, errors.New("memory: the value of the row is not in a file")
	}
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	f := s.data.files[r.File]
	if f == nil || !f.finished {
		return nil, fs.ErrNotExist
	}
	return &content{reader: io.NewSectionReader(bytes.NewReader(f.content), 0, f.Size())}, nil
}

// content is an opened file. It holds on to the bytes, which do not change.
type content struct {
	reader *io.SectionReader
	closed atomic.Bool
}

func (c *content) Read(b []byte) (int, error) {
	if c.closed.Load() {
		return 0, os.ErrClosed
	}
	return c.reader.Read(b)
}

func (c *content) ReadAt(b []byte, off int64) (int, error) {
	if c.closed.Load() {
		return 0, os.ErrClosed
	}
	return c.reader.ReadAt(b, off)
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	if c.closed.Load() {
		return 0, os.ErrClosed
	}
	return c.reader.Seek(offset, whence)
}

func (c *content) Close() error {
	if c.closed.Swap(true) {
		return os.ErrClosed
	}
	return nil
}

func (c *content) Size() int64  { return c.reader.Size() }
func (c *content) Name() string { return "" }

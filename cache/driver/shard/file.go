package shard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// CreateFor implements [driver.KeyedFiler]: the file is made where the key
// is.
func (s *Store) CreateFor(ctx context.Context, h driver.Collection, key codec.Value, kind codec.Kind) (driver.File, error) {
	c, err := s.own(h)
	if err != nil {
		return nil, err
	}
	if key.IsNull() && len(c.parts) > 1 {
		return s.Create(ctx, kind)
	}
	return c.members[c.of(key)].create(ctx, kind)
}

func (m *member) create(ctx context.Context, kind codec.Kind) (driver.File, error) {
	st, err := driver.As[driver.Filer](m.store)
	if err != nil {
		return nil, err
	}
	return st.Create(ctx, kind)
}

// file is a value whose key is not known before it is put. It is written to a
// temporary file, and copied by Put.
type file struct {
	store    *Store
	kind     codec.Kind
	temp     *os.File // nil once it is gone
	size     int64
	finished bool
	err      error
	copies   map[*member]driver.File
}

// Create implements [driver.Filer]. CreateFor saves Put a copy.
func (s *Store) Create(ctx context.Context, kind codec.Kind) (driver.File, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	if s.ReadOnly() {
		return nil, driver.ErrReadOnly
	}
	if kind != codec.Text && kind != codec.Blob {
		return nil, fmt.Errorf("a value of kind %v cannot be kept in a file", kind)
	}
	temp, err := os.CreateTemp(s.Dir(), databaseName+"-new-*")
	if err != nil {
		return nil, err
	}
	// Where that is possible it has no name from now on, and so leaves
	// nothing behind.
	_ = os.Remove(temp.Name())
	return &file{store: s, kind: kind, temp: temp, copies: make(map[*member]driver.File)}, nil
}

// Write implements [io.Writer].
func (f *file) Write(b []byte) (int, error) {
	switch {
	case f.err != nil:
		return 0, f.err
	case f.finished || f.temp == nil:
		return 0, os.ErrClosed
	}
	n, err := f.temp.Write(b)
	f.size += int64(n)
	f.err = err
	return n, err
}

// Finish implements [driver.File].
func (f *file) Finish() error {
	if f.temp == nil {
		return os.ErrClosed
	}
	f.finished = f.err == nil
	return f.err
}

// Size implements [driver.File].
func (f *file) Size() int64 { return f.size }

// Discard implements [driver.File].
func (f *file) Discard() {
	for _, c := range f.copies {
		c.Discard()
	}
	if f.temp != nil {
		f.temp.Close()
		_ = os.Remove(f.temp.Name())
		f.temp = nil
	}
}

// in returns the file as one of a member.
func (f *file) in(ctx context.Context, s *Store, m *member) (driver.File, error) {
	switch {
	case f.store != s:
		return nil, errors.New("file belongs to another store")
	case f.temp == nil:
		return nil, errors.New("file was discarded")
	case !f.finished:
		return nil, errors.New("file is put before Finish")
	case f.copies[m] != nil:
		return f.copies[m], nil
	}
	to, err := m.create(ctx, f.kind)
	if err != nil {
		return nil, err
	}
	f.copies[m] = to // which has it discarded
	if _, err := io.Copy(to, io.NewSectionReader(f.temp, 0, f.size)); err != nil {
		delete(f.copies, m)
		to.Discard()
		return nil, err
	}
	return to, to.Finish()
}

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// fileError says that one file could not be hashed. Others can.
type fileError struct{ err error }

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

var errChanged = errors.New("changed while it was looked at")

var buffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// hashFile reads a file that is still the one that id names before and after. While
// it reads, reading has the bytes so far added to it.
func hashFile(ctx context.Context, id fileID, reading *atomic.Int64) (s sum, err error) {
	f, err := os.Open(id.path)
	if err != nil {
		return s, &fileError{err}
	}
	defer f.Close()
	if err := unchanged(f, id); err != nil {
		return s, err
	}
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	h := sha256.New()
	var have int64
	defer func() { reading.Add(-have) }()
	for left := id.size; left >= 0; { // a file that grows is not read for ever
		if err := ctx.Err(); err != nil {
			return s, err
		}
		n, err := f.Read(buf[:])
		h.Write(buf[:n])
		left -= int64(n)
		have += int64(n)
		reading.Add(int64(n))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return s, &fileError{err}
		}
	}
	h.Sum(s[:0])
	return s, unchanged(f, id)
}

func unchanged(f *os.File, id fileID) error {
	info, err := f.Stat()
	if err == nil && (info.Size() != id.size || !info.ModTime().Equal(id.modTime)) {
		err = &os.PathError{Op: "hash", Path: id.path, Err: errChanged}
	}
	if err != nil {
		return &fileError{err}
	}
	return nil
}

package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// File is an opened value, for reading. It stays readable after its key is
// overwritten, deleted or evicted, until Close. One goroutine at a time may use
// it, but for ReadAt.
//
// [http.ServeContent] sends it without copying it through the process, where the
// system can. Its time is Info.Stored; as a header's times are whole seconds, in
// which a value may change, give it [File.ETag], too.
type File struct {
	Info

	content driver.Content
	raw     syscall.Conn // nil if content has no descriptor
}

var (
	_ io.ReadSeekCloser = (*File)(nil)
	_ io.ReaderAt       = (*File)(nil)
	_ syscall.Conn      = (*File)(nil)
	_ driver.Content    = (*inlineContent)(nil)
)

// OpenValue opens the value of k as it is stored, without decoding it or
// reading all of it into memory, and reports whether there is one. Values
// that are too small for a file of their own are opened as well. Numbers
// cannot be opened: ErrInvalid.
func (c *Cache[K, V]) OpenValue(ctx context.Context, k K) (*File, bool, error) {
	f, err := c.openValue(ctx, k)
	return f, f != nil, c.fail(ctx, "OpenValue", err)
}

func (c *Cache[K, V]) openValue(ctx context.Context, k K) (*File, error) {
	key, err := c.key(k)
	if err != nil {
		return nil, err
	}
	l := c.reading()
	row, ok, err := c.get(ctx, key, l)
	if err != nil || !ok {
		return nil, err
	}
	if row.ForeignValue {
		return nil, c.skipped(ctx, foreign("value"))
	}
	var content driver.Content
	if row.File != "" {
		content, err = c.open(ctx, key, l, &row)
		if err != nil || row.ID == 0 {
			return nil, err
		}
	}
	if content == nil {
		if content, err = inline(&row); err != nil {
			return nil, err
		}
	}
	f := &File{content: content, Info: infoOf(&row)}
	f.Size = content.Size()
	f.raw, _ = content.(syscall.Conn)
	return f, nil
}

// inline makes the value of a row look like a file.
func inline(r *driver.Row) (driver.Content, error) {
	c := &inlineContent{size: int64(r.Value.Len())}
	switch r.Value.Kind() {
	case codec.Text:
		c.reader = strings.NewReader(r.Value.Text())
	case codec.Blob:
		c.reader = bytes.NewReader(r.Value.Blob())
	default:
		return nil, invalid("the value is a number, which has no content to open")
	}
	return c, nil
}

type reader interface {
	io.ReadSeeker
	io.ReaderAt
}

// inlineContent is the content of a value that is kept in its row.
type inlineContent struct {
	reader
	size int64
}

// Close makes later calls fail, as they do for a file.
func (c *inlineContent) Close() error {
	if c.reader == (closedReader{}) {
		return fs.ErrClosed
	}
	c.reader = closedReader{}
	return nil
}

func (c *inlineContent) Size() int64  { return c.size }
func (c *inlineContent) Name() string { return "" }

// closedReader is what is left of an inlineContent.
type closedReader struct{}

func (closedReader) Read([]byte) (int, error)          { return 0, fs.ErrClosed }
func (closedReader) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrClosed }
func (closedReader) Seek(int64, int) (int64, error)    { return 0, fs.ErrClosed }

// Read reads the next bytes.
func (f *File) Read(p []byte) (int, error) { return f.content.Read(p) }

// ReadAt reads at an offset, and may be called by several goroutines at once.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.content.ReadAt(p, off) }

// Seek sets the offset of the next Read.
func (f *File) Seek(offset int64, whence int) (int64, error) { return f.content.Seek(offset, whence) }

// Close releases the file. Other methods, and Close, then fail.
func (f *File) Close() error { return f.content.Close() }

// Name returns the full path of the file, such as X-Accel-Redirect and
// X-Sendfile want it, or "" if the value is not in a file. The path is no
// longer valid once the key is overwritten or removed.
func (f *File) Name() string { return f.content.Name() }

// ETag returns a value for the HTTP header of that name, with its quotes, which changes
// whenever the value does and is the same in all processes. It is made of the random name
// of the value's file, or of the content of a value that has none. If that cannot be read,
// as reading will tell, it is "".
func (f *File) ETag() string {
	h := sha256.New()
	if name := f.Name(); name != "" {
		io.WriteString(h, filepath.Base(name))
	} else if n, err := io.Copy(h, io.NewSectionReader(f.content, 0, f.Size)); err != nil || n != f.Size {
		return ""
	}
	return fmt.Sprintf(`"%x"`, h.Sum(nil)[:16])
}

// SyscallConn gives access to the file's descriptor. Package net asks for it
// to send a file without copying. It fails with errors.ErrUnsupported if the
// value is not in a file.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	if f.raw == nil {
		return nil, errors.ErrUnsupported
	}
	return f.raw.SyscallConn()
}

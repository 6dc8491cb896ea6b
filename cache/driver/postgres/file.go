package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// chunkSize is the size of the pieces that values outside of their rows are kept in.
const chunkSize = 256 << 10

// fileTimeout bounds each statement that writes or reads a piece of a value.
const fileTimeout = time.Minute

// file is a value on its way into the store. It is pinned until it is discarded, so that
// nobody takes it for one whose writer is gone.
type file struct {
	store *Store
	id    int64
	kind  codec.Kind

	buffer []byte
	chunks int
	size   int64

	finished, discarded bool
	committed           atomic.Bool
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
	f := &file{store: s, kind: kind}
	err := s.conns.with(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT nextval('value_id')`).Scan(&f.id)
	})
	if err != nil {
		return nil, err
	}
	if err := s.pins.add(ctx, s, f.id); err != nil {
		return nil, err
	}
	err = s.conns.with(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, `INSERT INTO value (id, size, linked, dead) VALUES ($1, 0, false, false) ON CONFLICT DO NOTHING`, f.id)
		return err
	})
	if err != nil {
		s.pins.remove(s, f.id)
		s.unswept.Store(true) // it may have been inserted
		return nil, err
	}
	return f, nil
}

// exec runs a statement that may be run twice, and returns how many rows it has changed.
func (f *file) exec(sql string, args ...any) (n int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), fileTimeout)
	defer cancel()
	err = f.store.conns.with(ctx, func(c *pgx.Conn) error {
		tag, err := c.Exec(ctx, sql, args...)
		n = tag.RowsAffected()
		return err
	})
	return n, err
}

func (f *file) Write(b []byte) (n int, err error) {
	if f.finished || f.discarded {
		return 0, os.ErrClosed
	}
	n = len(b)
	for len(b) > 0 {
		more := min(len(b), chunkSize-len(f.buffer))
		f.buffer, b = append(f.buffer, b[:more]...), b[more:]
		if len(f.buffer) == chunkSize {
			if err := f.flush(); err != nil {
				return n - len(b), err
			}
		}
	}
	f.size += int64(n)
	return n, nil
}

// errGone means that a value was removed before it was finished.
var errGone = fmt.Errorf("postgres: the connection that pins values was lost, and a sweep has removed the value: write it again: %w", fs.ErrNotExist)

// flush writes what is buffered as a chunk, if the value is still there: nobody would
// ever remove it otherwise.
func (f *file) flush() error {
	n, err := f.exec(`INSERT INTO chunk (value, n, content)
		SELECT id, $2, $3 FROM (SELECT id FROM value WHERE id = $1 AND NOT dead FOR KEY SHARE) v
		ON CONFLICT (value, n) DO UPDATE SET content = excluded.content`, f.id, f.chunks, f.buffer)
	if err == nil && n == 0 {
		err = errGone
	}
	if err == nil {
		f.chunks++
		f.buffer = f.buffer[:0]
	}
	return err
}

func (f *file) Finish() error {
	if f.discarded {
		return os.ErrClosed
	}
	if f.finished {
		return nil
	}
	if len(f.buffer) > 0 {
		if err := f.flush(); err != nil {
			return err
		}
	}
	n, err := f.exec(`UPDATE value SET size = $2 WHERE id = $1 AND NOT dead`, f.id, f.size)
	if err == nil && n == 0 {
		err = errGone
	}
	if err != nil {
		return err
	}
	f.finished, f.buffer = true, nil
	return nil
}

func (f *file) Size() int64 { return f.size }

func (f *file) Discard() {
	if f.discarded {
		return
	}
	f.discarded = true
	if !f.committed.Load() {
		// What cannot be removed now is swept when it is pinned no more. The chunks go
		// with a statement of their own, which sees those that were written meanwhile.
		_, err := f.exec(`DELETE FROM value WHERE id = $1 AND NOT linked`, f.id)
		if err == nil {
			_, err = f.exec(`DELETE FROM chunk WHERE value = $1 AND NOT EXISTS (SELECT FROM value WHERE id = $1)`, f.id)
		}
		if err != nil {
			f.store.unswept.Store(true)
		}
	}
	f.store.pins.remove(f.store, f.id)
}

// link has a value be one of a row of the transaction.
func (x *tx) link(ctx context.Context, given driver.File) (*file, error) {
	f, ok := given.(*file)
	if !ok || f.store != x.store || !f.finished || f.discarded || f.committed.Load() || slices.Contains(x.taken, f) {
		return nil, errNoFile
	}
	tag, err := x.conn.Exec(ctx, `UPDATE value SET linked = true WHERE id = $1 AND NOT linked AND NOT dead`, f.id)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if tag.RowsAffected() == 0 {
		return nil, fmt.Errorf("%w: %w", errNoFile, fs.ErrNotExist)
	}
	x.taken = append(x.taken, f)
	return f, nil
}

// smallValue is the size up to which an opened value is read at once.
const smallValue = chunkSize

// OpenFile implements [driver.Filer].
func (s *Store) OpenFile(ctx context.Context, c driver.Collection, r driver.Row) (driver.Content, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	own, err := s.own(c)
	if err != nil {
		return nil, err
	}
	if r.File == "" {
		return nil, errors.New("postgres: the value of the row is not outside of it")
	}
	var id int64
	if _, err := fmt.Sscan(r.File, &id); err != nil {
		return nil, fmt.Errorf("postgres: the row has no value of this engine: %w", fs.ErrNotExist)
	}
	ct := &content{store: s, id: id}
	// look reads the size and the first piece, in one statement.
	look := func() error {
		return s.conns.with(ctx, func(c *pgx.Conn) error {
			var dropped bool
			var first []byte
			var size *int64
			err := c.QueryRow(ctx, `SELECT o.dropped, v.size, k.content FROM collection o LEFT JOIN value v ON v.id = $2
				LEFT JOIN chunk k ON k.value = v.id AND k.n = 0 WHERE o.c = $1`, own.id, id).Scan(&dropped, &size, &first)
			switch {
			case err == pgx.ErrNoRows || dropped:
				return driver.ErrClosed
			case err != nil:
				return err
			case size == nil || *size > 0 && first == nil:
				return fs.ErrNotExist
			}
			ct.size, ct.piece, ct.at = *size, first, 0
			return nil
		})
	}
	if err := look(); err != nil {
		return nil, err
	}
	if ct.size > smallValue {
		if err := s.pins.add(ctx, s, id); err != nil {
			return nil, err
		}
		if err := look(); err != nil { // it may have been swept before it was pinned
			s.pins.remove(s, id)
			return nil, err
		}
		ct.pinned = true
	}
	return ct, nil
}

// content is an opened value.
type content struct {
	store  *Store
	id     int64
	size   int64
	pinned bool
	closed atomic.Bool

	mu     sync.Mutex
	offset int64  // of Read
	piece  []byte // the chunk that was read last
	at     int    // its number
}

func (c *content) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.readAt(b, c.offset)
	c.offset += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (c *content) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("postgres: a negative offset: %w", fs.ErrInvalid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readAt(b, off)
}

// readAt reads until b is full. The caller has mu.
func (c *content) readAt(b []byte, off int64) (n int, err error) {
	if c.closed.Load() {
		return 0, os.ErrClosed
	}
	for n < len(b) {
		if off >= c.size {
			return n, io.EOF
		}
		piece, err := c.chunk(int(off / chunkSize))
		if err != nil {
			return n, err
		}
		from := int(off % chunkSize)
		if from >= len(piece) {
			return n, fmt.Errorf("%w: a value is shorter than its row says", driver.ErrCorrupt)
		}
		more := copy(b[n:], piece[from:])
		n, off = n+more, off+int64(more)
	}
	return n, nil
}

// chunk returns a piece of the value.
func (c *content) chunk(n int) ([]byte, error) {
	if n == c.at && c.piece != nil {
		return c.piece, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), fileTimeout)
	defer cancel()
	var piece []byte
	err := c.store.conns.with(ctx, func(conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, `SELECT content FROM chunk WHERE value = $1 AND n = $2`, c.id, n).Scan(&piece)
		if err == pgx.ErrNoRows {
			return fs.ErrNotExist
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.piece, c.at = piece, n
	return piece, nil
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	if c.closed.Load() {
		return 0, os.ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += c.offset
	case io.SeekEnd:
		offset += c.size
	default:
		return 0, fmt.Errorf("postgres: no such place to seek from: %w", fs.ErrInvalid)
	}
	if offset < 0 {
		return 0, fmt.Errorf("postgres: a negative offset: %w", fs.ErrInvalid)
	}
	c.offset = offset
	return offset, nil
}

func (c *content) Close() error {
	if c.closed.Swap(true) {
		return os.ErrClosed
	}
	if c.pinned {
		c.store.pins.remove(c.store, c.id)
	}
	return nil
}

func (c *content) Size() int64  { return c.size }
func (c *content) Name() string { return "" }

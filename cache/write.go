package cache

import (
	"context"
	"fmt"
	"io"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// shareLimit is the number of rows up to which a write is quick enough to
// share its transaction with others.
const shareLimit = 64

// modeFor returns the mode of a transaction that writes n rows.
func modeFor(n int) driver.Mode {
	if n > shareLimit {
		return driver.Alone
	}
	return driver.Shared
}

// key encodes a key.
func (c *Cache[K, V]) key(k K) (codec.Value, error) {
	key, err := c.keys.Encode(k)
	if err != nil {
		return key, encoding("key", c.keys.Name(), err)
	}
	if key.IsNull() {
		return key, invalid("the key is encoded as null, which no entry can have")
	}
	return key, nil
}

// fill in a Put all but the value, from the options of a call.
func (c *Cache[K, V]) put(k K, w *write) (p driver.Put, err error) {
	p.Key, err = c.key(k)
	p.Now = c.st.instant()
	p.Expire = w.expire(p.Now, c.shared.ttl)
	p.Tag = w.tag
	return p, err
}

// prepare encodes an entry to be written. The Put is to be discarded.
func (c *Cache[K, V]) prepare(ctx context.Context, k K, v V, w *write) (driver.Put, error) {
	p, err := c.put(k, w)
	if err != nil {
		return p, err
	}
	return p, c.prepareValue(ctx, &p, v)
}

func (c *Cache[K, V]) prepareValue(ctx context.Context, p *driver.Put, v V) error {
	enc, err := c.encodeValue(p.Key, v)
	if err != nil {
		return err
	}
	return c.setValue(ctx, p, enc)
}

// setValue makes enc the value of p, in a file if it is large.
func (h *handle) setValue(ctx context.Context, p *driver.Put, enc codec.Value) error {
	s := h.dc.Settings()
	size := int64(8)
	large := false
	if k := enc.Kind(); k == codec.Text || k == codec.Blob {
		size = int64(enc.Len())
		large = h.st.files != nil && size >= s.MinFileSize
	}
	if limit := sizeLimit(h.dc); size > limit {
		return tooLarge(h.dc, size)
	}
	if size > h.st.maxLen {
		return h.tooLong(size)
	}
	if !large {
		p.Value = enc
		return nil
	}
	if err := h.ready(ctx); err != nil { // before any file is made
		return err
	}
	return h.setFile(ctx, p, enc.Kind(), func(w io.Writer) (err error) {
		if enc.Kind() == codec.Text {
			_, err = io.WriteString(w, enc.Text())
		} else {
			_, err = w.Write(enc.Blob())
		}
		return err
	})
}

// setFile makes p's value a file with what fn writes.
func (h *handle) setFile(ctx context.Context, p *driver.Put, kind codec.Kind, fn func(io.Writer) error) error {
	f, err := h.create(ctx, p.Key, kind)
	if err != nil {
		return err
	}
	defer func() {
		if p.File == nil { // or fn, which reads what is the user's, has panicked
			f.Discard()
		}
	}()
	if err = fn(f); err == nil {
		err = f.Finish()
	}
	if err == nil {
		p.File = f
	}
	return err
}

// create starts a value file for a key, Null if that is not known yet.
func (h *handle) create(ctx context.Context, key codec.Value, kind codec.Kind) (driver.File, error) {
	if e, ok := h.st.files.(driver.KeyedFiler); ok {
		return e.CreateFor(ctx, h.dc, key, kind)
	}
	return h.st.files.Create(ctx, kind)
}

// discard is to be called for each prepared Put, in any case, when the
// operation is over.
func (h *handle) discard(p *driver.Put) {
	switch {
	case p.File == nil:
	case h.tx != nil:
		h.tx.whenEnded(p.File.Discard)
	default:
		p.File.Discard()
	}
}

// sizeLimit returns the largest size of a value that does not have to be
// evicted at once.
func sizeLimit(c driver.Collection) int64 {
	s := c.Settings()
	if s.Policy == NoEviction {
		return driver.NoLimit
	}
	if d, ok := c.(driver.Divided); ok {
		return d.ValueLimit()
	}
	return s.SizeLimit
}

func tooLarge(c driver.Collection, size int64) error {
	limit, whose := sizeLimit(c), "the collection's limit"
	if limit < c.Settings().SizeLimit {
		whose = "a shard's part of the collection's limit"
	}
	return fmt.Errorf("%w: %d bytes or more, where %s is %d", ErrTooLarge, size, whose, limit)
}

// tooLong says that a value is not to be held in memory.
func (h *handle) tooLong(size int64) error {
	return fmt.Errorf("%w: %d bytes, where the store's limit for a value in memory is %d", ErrTooLarge, size, h.st.maxLen)
}

// room has a Put make room, and return the rows that OnEvict is to be told of:
// those removed, and the one that it overwrites if that has expired.
func (h *handle) room(p *driver.Put) {
	p.Expired = h.shared.evicted != nil
	switch {
	case !h.shared.persistent:
		p.Cull = driver.CullLimit
	case p.Expire != 0: // else expired rows would stay until somebody calls Expire
		p.Cull = 2
	}
}

// store puts a row, with room for it, and returns the rows of [handle.room].
func (h *handle) store(ctx context.Context, tx driver.Tx, p driver.Put) ([]driver.Row, error) {
	h.room(&p)
	return tx.Put(ctx, h.dc, p)
}

// expired returns the row of a key that is about to be deleted, if its time is
// over at now and somebody wants to know.
func (h *handle) expired(ctx context.Context, tx driver.Tx, key codec.Value, now driver.Instant) ([]driver.Row, error) {
	if h.shared.evicted == nil {
		return nil, nil
	}
	row, found, err := tx.Get(ctx, h.dc, key, driver.Lookup{Quiet: true, Bare: true})
	if err != nil || !found || !h.over(&row, now) {
		return nil, err
	}
	return []driver.Row{row}, nil
}

// over reports whether the time of a row is over at now.
func (h *handle) over(r *driver.Row, now driver.Instant) bool {
	s := h.dc.Settings()
	return s.Over(r.Stored, r.Expire, now)
}

// set puts one row in a transaction.
func (h *handle) set(ctx context.Context, p driver.Put) error {
	var gone []driver.Row
	err := h.write(ctx, driver.Shared, func(tx driver.Tx) (err error) {
		gone, err = h.store(ctx, tx, p)
		return err
	})
	if err == nil {
		h.notify(gone, p.Now)
	}
	return err
}

// notify tells OnEvict of rows removed at now, once that is committed.
func (h *handle) notify(rows []driver.Row, now driver.Instant) {
	switch {
	case len(rows) == 0 || h.shared.evicted == nil:
	case h.tx != nil:
		h.tx.AfterCommit(func() { h.shared.evicted(rows, now) })
	default:
		h.shared.evicted(rows, now)
	}
}

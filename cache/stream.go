package cache

import (
	"context"
	"io"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// SetFrom stores what r reads until io.EOF under k, always in a file and
// without holding it in memory, if the store has files: one that is not in a
// directory may have none. No reader sees the entry before it is complete;
// when reading fails, nothing is changed.
//
// The bytes are stored as they are, where Set would store what the values'
// codec writes. That is the same for strings and bytes; for other codecs r
// has to deliver what they can decode, or the value is for OpenValue only.
// Values that are numbers are ErrInvalid, and so are those of codecs that depend
// on where a value is, as codec.Seal does: they would not be sealed.
//
// SetFrom notices that ctx has ended between two reads, not during one.
func (c *Cache[K, V]) SetFrom(ctx context.Context, k K, r io.Reader, opts ...Option) error {
	err := c.setFrom(ctx, k, r, opts)
	return c.fail(ctx, "SetFrom", err)
}

func (c *Cache[K, V]) setFrom(ctx context.Context, k K, r io.Reader, opts []Option) error {
	if r == nil {
		return invalid("nil Reader")
	}
	if c.located != nil {
		return invalid("values of codec %q cannot be stored as they are; use Set", c.values.Name())
	}
	w, err := parse(opts)
	if err == nil {
		err = w.only(false, false, true)
	}
	if err != nil {
		return err
	}
	var zero V
	sample, err := c.values.Encode(zero)
	if err != nil || sample.Kind() != codec.Text {
		if err == nil && sample.Kind() != codec.Blob {
			return invalid("values of codec %q have no content to stream", c.values.Name())
		}
		sample = codec.BlobValue(nil)
	}
	p, err := c.put(k, &w)
	if err != nil {
		return err
	}
	if err := c.ready(ctx); err != nil {
		return err
	}
	in := &limitedReader{ctx: ctx, r: r, c: c.dc, limit: sizeLimit(c.dc)}
	if c.st.files != nil {
		err = c.setFile(ctx, &p, sample.Kind(), func(w io.Writer) error {
			_, err := io.Copy(w, in)
			return err
		})
	} else {
		p.Value, err = c.readFrom(in, sample.Kind())
	}
	if err != nil {
		return err
	}
	defer c.discard(&p)
	// Reading may have taken long: the entry's life begins now.
	p.Now = c.st.instant()
	p.Expire = w.expire(p.Now, c.shared.ttl)
	return c.set(ctx, p)
}

// readFrom reads a value to be kept in its row.
func (h *handle) readFrom(r io.Reader, kind codec.Kind) (v codec.Value, err error) {
	b, err := io.ReadAll(io.LimitReader(r, h.st.maxLen+1))
	switch {
	case err != nil:
		return v, err
	case int64(len(b)) > h.st.maxLen:
		return v, h.tooLong(int64(len(b)))
	case kind == codec.Text:
		return codec.TextValue(string(b)), nil
	}
	return codec.BlobValue(b), nil
}

// limitedReader fails when its context ends or limit is exceeded.
type limitedReader struct {
	ctx   context.Context
	r     io.Reader
	c     driver.Collection
	n     int64
	limit int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if err := ended(l.ctx); err != nil {
		return 0, err
	}
	n, err := l.r.Read(p)
	if l.n += int64(n); l.n > l.limit {
		return n, tooLarge(l.c, l.n)
	}
	return n, err
}

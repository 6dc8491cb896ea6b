package codec

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/go-diskcache/diskcache/codec/internal/deflate"
)

// MaxLen is the length in bytes of the longest text or blob that [Zlib]
// compresses, and the most that it lets a stored value grow to: 256 MiB.
// [ZlibLimit] has another limit.
const MaxLen = 256 << 20

// Zlib returns a codec that compresses the texts and blobs that inner writes
// into blobs in the zlib format, and passes numbers and nulls on as they are.
// It is named "zlib(" + inner's name + ")". The level is 1 (fastest) to 9
// (smallest), 0 for none, or -1 for zlib's default, 6; Zlib panics for any
// other. DiskCache's default is 1.
//
// The bytes are exactly those of the C library zlib at the same level
// (compared with its version 1.2.13), so that a Python process finds a key
// that was compressed here, and the reverse. At level 0, beyond 32 KiB, they
// depend on Python's output buffers and are those of Python from 3.10 on.
// Builds of Python on another library, such as zlib-ng, write other bytes;
// they read these, but do not find the keys.
//
// Any level decodes what any other wrote. But the level must not change while
// keys are stored that were compressed with it, since the same key then has
// other bytes; and the order of the compressed keys means nothing.
//
// Inner's Decode is handed blobs, also for the texts that its Encode wrote,
// since the format does not tell them apart. The codecs of this package that
// write text take blobs, too.
//
// Decode fails for bytes that are damaged, cut short or followed by others,
// and with [ErrTooLarge] for more than [MaxLen]. Memory grows with what is
// decompressed, which is up to 1032 times the stored bytes, and takes twice
// that at the end. Encode fails with ErrTooLarge, too.
func Zlib[T any](inner Codec[T], level int) Codec[T] {
	return ZlibLimit(inner, level, MaxLen)
}

// ZlibLimit is [Zlib] with another limit than [MaxLen], in bytes: a higher one
// for larger values, or a lower one where strangers can write to the store and
// memory is short. It does not change what is written, nor the name, so that it
// may change while data is stored. ZlibLimit panics for a negative limit.
func ZlibLimit[T any](inner Codec[T], level, limit int) Codec[T] {
	if level < -1 || level > 9 {
		panic("codec: no such zlib level: " + strconv.Itoa(level))
	}
	if limit < 0 {
		panic("codec: negative zlib limit: " + strconv.Itoa(limit))
	}
	c := zlibCodec[T]{
		inner: inner,
		name:  "zlib(" + inner.Name() + ")",
		level: level,
		max:   limit,
	}
	if inner, ok := inner.(Located[T]); ok {
		return &locatedZlib[T]{c, inner}
	}
	return &c
}

type zlibCodec[T any] struct {
	inner Codec[T]
	name  string
	level int
	max   int
}

func (c *zlibCodec[T]) Name() string { return c.name }

func (c *zlibCodec[T]) Unkeyable() string { return unkeyable(c.inner) }

func (c *zlibCodec[T]) Encode(v T) (Value, error) {
	enc, err := c.inner.Encode(v)
	if err != nil {
		return Value{}, err
	}
	return c.pack(enc)
}

func (c *zlibCodec[T]) Decode(enc Value) (T, error) {
	plain, err := c.unpack(enc)
	if err != nil {
		var zero T
		return zero, err
	}
	return c.inner.Decode(plain)
}

// locatedZlib is the codec for an inner one that is [Located].
type locatedZlib[T any] struct {
	zlibCodec[T]
	located Located[T] // the inner codec
}

func (c *locatedZlib[T]) EncodeAt(v T, at Location) (Value, error) {
	enc, err := c.located.EncodeAt(v, at)
	if err != nil {
		return Value{}, err
	}
	return c.pack(enc)
}

func (c *locatedZlib[T]) DecodeAt(enc Value, at Location) (T, error) {
	plain, err := c.unpack(enc)
	if err != nil {
		var zero T
		return zero, err
	}
	return c.located.DecodeAt(plain, at)
}

// pack compresses a text or a blob.
func (c *zlibCodec[T]) pack(enc Value) (Value, error) {
	plain, ok := bytesOf(enc)
	if !ok {
		return enc, nil
	}
	if len(plain) > c.max {
		return Value{}, encodeError(c.name, ErrTooLarge)
	}
	scratch := zlibScratches.Get().(*[]byte)
	packed := deflate.Append((*scratch)[:0], plain, c.level)
	enc = BlobValue(bytes.Clone(packed))
	if cap(packed) <= maxScratch {
		*scratch = packed
		zlibScratches.Put(scratch)
	}
	return enc, nil
}

// unpack is the inverse of pack.
func (c *zlibCodec[T]) unpack(enc Value) (Value, error) {
	switch enc.kind {
	case Null, Integer, Real:
		return enc, nil
	case Blob:
		plain, err := inflate(enc.Blob(), c.max)
		if err == nil {
			return BlobValue(plain), nil
		}
		return Value{}, decodeError(c.name, enc, err)
	}
	return Value{}, decodeError(c.name, enc, wrongKind)
}

// Compressed bytes are gathered in reused memory, and copied once their
// number is known.
var zlibScratches = sync.Pool{New: func() any { return new([]byte) }}

// inflater is a reusable decompressor.
type inflater struct {
	src bytes.Reader
	r   io.ReadCloser // a zlib reader on src; nil at first
}

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

func inflate(packed []byte, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	defer func() {
		f.src.Reset(nil)
		inflaters.Put(f)
	}()
	f.src.Reset(packed)
	var err error
	if f.r == nil {
		f.r, err = zlib.NewReader(&f.src)
	} else {
		err = f.r.(zlib.Resetter).Reset(&f.src, nil)
	}
	if err != nil {
		return nil, joined{malformed, err}
	}
	// Most data shrinks to a third or less. Of what does not, and of what is
	// large, each chunk stays where it was read to until the size is known.
	plain := make([]byte, 0, min(3*len(packed)+64, maxChunk))
	var chunks [][]byte // those before plain
	for total := 0; ; {
		n, err := f.r.Read(plain[len(plain):cap(plain)])
		plain, total = plain[:len(plain)+n], total+n
		switch {
		case total > limit:
			return nil, ErrTooLarge
		case err == io.EOF:
			if f.src.Len() > 0 {
				return nil, joined{malformed, errors.New("bytes after the end")}
			}
			if chunks != nil {
				whole := make([]byte, 0, total)
				for _, chunk := range append(chunks, plain) {
					whole = append(whole, chunk...)
				}
				return whole, nil
			}
			if cap(plain)-len(plain) > len(plain) {
				plain = bytes.Clone(plain) // it may be kept for long
			}
			return plain, nil
		case err != nil:
			return nil, joined{malformed, err}
		case len(plain) == cap(plain):
			chunks = append(chunks, plain)
			plain = make([]byte, 0, min(total, maxChunk))
		}
	}
}

// maxChunk is the most that is allocated before there is something to put there.
const maxChunk = 1 << 20

package codec

import "bytes"

// Pair is a composite key of two parts. The codec of pairs makes them:
// [Tuple2].
type Pair[A, B any] struct {
	First  A
	Second B

	open bool // Second is left open: the key is the beginning of others
}

// Triple is a composite key of three parts, see [Tuple3].
type Triple[A, B, C any] struct {
	First  A
	Second B
	Third  C

	open uint8 // so many parts are left open
}

func (Pair[A, B]) defaultCodec() any { return Tuple2(Default[A](), Default[B]()) }

func (Triple[A, B, C]) defaultCodec() any {
	return Tuple3(Default[A](), Default[B](), Default[C]())
}

// Tuple2 returns the codec of composite keys of two parts, named
// "tuple(a,b)" after the names of the parts' codecs. Pairs sort by their first
// part, and those with the same first part by their second. The order of a part
// is that of what its codec writes, as [Compare] has it; [Desc] turns it round.
//
//	visits := codec.Tuple2(codec.String[string](), codec.Desc(codec.Time()))
//	key := visits.Of("ann", time.Now())
//	all := visits.First("ann") // for ranges: all of Ann's
//
// A key is one blob, in the format of [AppendOrdered]. For a Pair, [Default] is
// Tuple2 with the default codecs of the parts.
func Tuple2[A, B any](a Codec[A], b Codec[B]) Pairs[A, B] { return Pairs[A, B]{a, b} }

// Tuple3 is [Tuple2] with three parts.
func Tuple3[A, B, C any](a Codec[A], b Codec[B], c Codec[C]) Triples[A, B, C] {
	return Triples[A, B, C]{a, b, c}
}

// Prefixer is an optional interface of a [Codec] of keys some of whose values stand
// for the beginnings of keys. Ranges take such values, nothing else does.
type Prefixer[T any] interface {
	Codec[T]

	// EncodePrefix returns the bytes that the encodings, blobs, of those keys begin
	// with that v is the beginning of. whole reports that v is a key.
	EncodePrefix(v T) (prefix []byte, whole bool, err error)
}

// Pairs is the codec that [Tuple2] returns.
type Pairs[A, B any] struct {
	a Codec[A]
	b Codec[B]
}

// Of returns the key of two parts.
func (c Pairs[A, B]) Of(a A, b B) Pair[A, B] { return Pair[A, B]{First: a, Second: b} }

// First returns what stands in ranges for all keys with that first part:
// cache.Prefix is all of them, cache.From and cache.After begin a range with the
// first of them and after the last, cache.To and cache.Before end it alike. It
// is no key: to encode it fails.
func (c Pairs[A, B]) First(a A) Pair[A, B] { return Pair[A, B]{First: a, open: true} }

// Name implements [Codec].
func (c Pairs[A, B]) Name() string { return "tuple(" + c.a.Name() + "," + c.b.Name() + ")" }

// Unkeyable says that keys cannot be made of parts that cannot be keys.
func (c Pairs[A, B]) Unkeyable() string { return firstReason(unkeyable(c.a), unkeyable(c.b)) }

// Encode implements [Codec].
func (c Pairs[A, B]) Encode(v Pair[A, B]) (Value, error) { return encodeWhole(c, v) }

// EncodePrefix implements [Prefixer].
func (c Pairs[A, B]) EncodePrefix(v Pair[A, B]) (prefix []byte, whole bool, err error) {
	if prefix, err = appendPart(nil, c.a, v.First); err == nil && !v.open {
		prefix, err = appendPart(prefix, c.b, v.Second)
	}
	return prefix, !v.open, err
}

// Decode implements [Codec].
func (c Pairs[A, B]) Decode(enc Value) (v Pair[A, B], err error) {
	p := partsOf(c.Name(), enc)
	v.First = cutPart(&p, c.a)
	v.Second = cutPart(&p, c.b)
	if err := p.end(); err != nil {
		return Pair[A, B]{}, err
	}
	return v, nil
}

// Triples is the codec that [Tuple3] returns.
type Triples[A, B, C any] struct {
	a Codec[A]
	b Codec[B]
	c Codec[C]
}

// Of returns the key of three parts.
func (c Triples[A, B, C]) Of(a A, b B, third C) Triple[A, B, C] {
	return Triple[A, B, C]{First: a, Second: b, Third: third}
}

// First returns what stands in ranges for all keys with that first part, see
// [Pairs.First].
func (c Triples[A, B, C]) First(a A) Triple[A, B, C] { return Triple[A, B, C]{First: a, open: 2} }

// FirstTwo returns what stands in ranges for all keys with those first two
// parts, see [Pairs.First].
func (c Triples[A, B, C]) FirstTwo(a A, b B) Triple[A, B, C] {
	return Triple[A, B, C]{First: a, Second: b, open: 1}
}

// Name implements [Codec].
func (c Triples[A, B, C]) Name() string {
	return "tuple(" + c.a.Name() + "," + c.b.Name() + "," + c.c.Name() + ")"
}

// Unkeyable says that keys cannot be made of parts that cannot be keys.
func (c Triples[A, B, C]) Unkeyable() string {
	return firstReason(unkeyable(c.a), unkeyable(c.b), unkeyable(c.c))
}

// Encode implements [Codec].
func (c Triples[A, B, C]) Encode(v Triple[A, B, C]) (Value, error) { return encodeWhole(c, v) }

// EncodePrefix implements [Prefixer].
func (c Triples[A, B, C]) EncodePrefix(v Triple[A, B, C]) (prefix []byte, whole bool, err error) {
	prefix, err = appendPart(nil, c.a, v.First)
	if err == nil && v.open < 2 {
		prefix, err = appendPart(prefix, c.b, v.Second)
	}
	if err == nil && v.open < 1 {
		prefix, err = appendPart(prefix, c.c, v.Third)
	}
	return prefix, v.open == 0, err
}

// Decode implements [Codec].
func (c Triples[A, B, C]) Decode(enc Value) (v Triple[A, B, C], err error) {
	p := partsOf(c.Name(), enc)
	v.First = cutPart(&p, c.a)
	v.Second = cutPart(&p, c.b)
	v.Third = cutPart(&p, c.c)
	if err := p.end(); err != nil {
		return Triple[A, B, C]{}, err
	}
	return v, nil
}

// Desc returns a codec that sorts the other way round than inner, for the last
// key to come first, alone or as a part of a [Tuple2]. It is named "desc(" +
// inner's name + ")", and writes blobs.
func Desc[T any](inner Codec[T]) Codec[T] { return descCodec[T]{inner} }

type descCodec[T any] struct{ inner Codec[T] }

func (c descCodec[T]) Name() string { return "desc(" + c.inner.Name() + ")" }

func (c descCodec[T]) Unkeyable() string { return unkeyable(c.inner) }

func (c descCodec[T]) Encode(v T) (Value, error) {
	b, err := appendPart(nil, c.inner, v)
	if err != nil {
		return Value{}, err
	}
	invert(b)
	return BlobValue(b), nil
}

func (c descCodec[T]) Decode(enc Value) (T, error) {
	p := partsOf(c.Name(), enc)
	p.rest = bytes.Clone(p.rest)
	invert(p.rest)
	v := cutPart(&p, c.inner)
	if err := p.end(); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

func encodeWhole[T any](c Prefixer[T], v T) (Value, error) {
	b, whole, err := c.EncodePrefix(v)
	if err == nil && !whole {
		err = encodeError(c.Name(), partial)
	}
	if err != nil {
		return Value{}, err
	}
	return BlobValue(b), nil
}

func appendPart[T any](dst []byte, c Codec[T], v T) ([]byte, error) {
	enc, err := c.Encode(v)
	if err != nil {
		return nil, err
	}
	return AppendOrdered(dst, enc), nil
}

// parts reads an encoding part by part. The first error stays.
type parts struct {
	name string
	enc  Value
	rest []byte
	err  error
}

func partsOf(name string, enc Value) parts {
	p := parts{name: name, enc: enc, rest: enc.Blob()}
	if enc.kind != Blob {
		p.err = decodeError(name, enc, wrongKind)
	}
	return p
}

func cutPart[T any](p *parts, c Codec[T]) (v T) {
	if p.err != nil {
		return v
	}
	enc, rest, ok := cutOrdered(p.rest)
	if !ok {
		p.err = decodeError(p.name, p.enc, malformed)
		return v
	}
	p.rest = rest
	v, p.err = c.Decode(enc)
	return v
}

func (p *parts) end() error {
	if p.err == nil && len(p.rest) > 0 {
		p.err = decodeError(p.name, p.enc, malformed)
	}
	return p.err
}

func firstReason(reasons ...string) string {
	for _, r := range reasons {
		if r != "" {
			return r
		}
	}
	return ""
}

package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math"
)

// KeySize is the length in bytes of the keys of [Seal].
const KeySize = 32

// ErrSealed means that a sealed value does not open: it was sealed with
// another key, or changed since. It comes inside a [*DecodeError].
var ErrSealed error = reason("sealed with another key, or changed since")

// Seal returns a codec that encrypts what inner writes, with AES-256-GCM
// under key, which is [KeySize] random bytes that the application keeps. It
// is named "seal(" + inner's name + ")" and always writes a blob, 30 bytes
// longer than what it seals.
//
// Nobody without the key can read a value or make one that opens: Decode
// fails with [ErrSealed] for bytes that were changed, cut or sealed with
// another key. What remains to be seen is a value's length and kind, and that
// an old value was put back, or one key's value put under another key.
//
// To change the key, pass the new one as key and the former ones as old:
// Encode uses key, Decode tries all. Once every value has been written
// again, the old keys can go. A key is good for about four billion values.
//
// Seal fails if a key is not KeySize bytes long. It cannot encode keys of a
// collection, since no two encodings of a value are alike.
func Seal[T any](inner Codec[T], key []byte, old ...[]byte) (Codec[T], error) {
	c := &sealCodec[T]{inner: inner, name: "seal(" + inner.Name() + ")"}
	for _, k := range append([][]byte{key}, old...) {
		if len(k) != KeySize {
			return nil, fmt.Errorf("codec: %s: key of %d bytes, want %d", c.name, len(k), KeySize)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, fmt.Errorf("codec: %s: %w", c.name, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("codec: %s: %w", c.name, err)
		}
		c.keys = append(c.keys, aead)
	}
	return c, nil
}

// A sealed value is the version, the inner value's kind, a nonce of 12 bytes,
// the ciphertext, and a tag of 16 bytes that covers all of it.
const (
	sealVersion = 1
	sealHeader  = 2
)

type sealCodec[T any] struct {
	inner Codec[T]
	name  string
	keys  []cipher.AEAD // the first one seals; each puts its nonce in front
}

func (c *sealCodec[T]) Name() string { return c.name }

func (c *sealCodec[T]) Unkeyable() string { return "it uses a new nonce each time" }

func (c *sealCodec[T]) Encode(v T) (Value, error) {
	enc, err := c.inner.Encode(v)
	if err != nil {
		return Value{}, err
	}
	var num [8]byte
	var plain []byte
	switch enc.kind {
	case Integer, Real:
		binary.BigEndian.PutUint64(num[:], enc.num)
		plain = num[:]
	case Text, Blob:
		plain, _ = bytesOf(enc)
	}
	aead := c.keys[0]
	out := make([]byte, sealHeader, sealHeader+len(plain)+aead.Overhead())
	out[0], out[1] = sealVersion, byte(enc.kind)
	return BlobValue(aead.Seal(out, nil, plain, out[:sealHeader])), nil
}

func (c *sealCodec[T]) Decode(enc Value) (T, error) {
	var zero T
	if enc.kind != Blob {
		return zero, decodeError(c.name, enc, wrongKind)
	}
	inner, err := c.open(enc.Blob())
	if err != nil {
		return zero, decodeError(c.name, enc, err)
	}
	return c.inner.Decode(inner)
}

func (c *sealCodec[T]) open(b []byte) (Value, error) {
	if len(b) < sealHeader+c.keys[0].Overhead() {
		return Value{}, ErrSealed
	}
	if b[0] != sealVersion {
		return Value{}, joined{"sealed by another version of this codec, or changed since", ErrSealed}
	}
	header, body := b[:sealHeader], b[sealHeader:]
	for _, aead := range c.keys {
		plain, err := aead.Open(nil, nil, body, header)
		if err == nil {
			return unsealed(Kind(header[1]), plain)
		}
	}
	return Value{}, ErrSealed
}

// unsealed has an authentic value, but a key that is used elsewhere too could
// have sealed anything.
func unsealed(kind Kind, plain []byte) (Value, error) {
	switch {
	case kind == Null && len(plain) == 0:
		return Value{}, nil
	case kind == Integer && len(plain) == 8:
		return IntegerValue(int64(binary.BigEndian.Uint64(plain))), nil
	case kind == Real && len(plain) == 8:
		return RealValue(math.Float64frombits(binary.BigEndian.Uint64(plain))), nil
	case kind == Text:
		s, _ := textOf(BlobValue(plain))
		return TextValue(s), nil
	case kind == Blob:
		return BlobValue(plain), nil
	}
	return Value{}, malformed
}

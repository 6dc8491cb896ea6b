package codec

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
)

// KeySize is the length in bytes of the keys of [Seal].
const KeySize = 32

// ErrSealed means that a sealed value does not open: it was sealed with
// another key or for another [Location], or changed since. It comes inside a
// [*DecodeError].
var ErrSealed error = reason("sealed with another key or for another location, or changed since")

// Seal returns a codec that encrypts what inner writes, with AES-256-GCM
// under key, which is [KeySize] random bytes that the application keeps. It
// is named "seal(" + inner's name + ")" and always writes a blob, 34 bytes
// longer than what it seals.
//
// Nobody without the key can read a value or make one that opens. A value opens
// only where it was sealed for: Seal is [Located], and a collection tells it its
// name and the entry's key. Decode fails with [ErrSealed] for bytes that
// were changed, cut, sealed with another key or inner codec, or moved from another
// collection or entry. Values of queues and deques, whose keys come later, are
// bound to their collection only. That an old value of the same entry was put
// back remains unseen, and so does a value from the same entry of a
// collection of that name in another store that has the key.
//
// Only values are sealed. In plain text remain keys and tags; the kind and
// the length of a value; when it was written and expires, and how often it was
// read; the names of collections and codecs; which values share a key; and the
// errors that a memo keeps. Of these Seal protects an entry's key and a value's
// kind from changes, and nothing else: whoever can write to the directory can
// give an entry another expiry, or delete it. cache.Cache.SetFrom refuses to
// store what it would not seal.
//
// Each collection has a key of its own, which Seal derives from key with
// HKDF-SHA256: one key serves a whole store, and is good for about four
// billion values in each collection. A value names its key by four bytes that are
// derived from it as well. To change the key, pass the new one as key and the
// former ones as old: Encode uses key, Decode the one that a value names. Once
// every value has been written again, the old keys can go.
//
// Seal fails if a key is not KeySize bytes long, or all zero. It cannot encode
// keys of a collection, since no two encodings of a value are alike.
func Seal[T any](inner Codec[T], key []byte, old ...[]byte) (Codec[T], error) {
	if inner == nil {
		return nil, errors.New("codec: Seal of no codec")
	}
	c := &sealCodec[T]{inner: inner, name: "seal(" + inner.Name() + ")", keys: map[string][]sealKey{}}
	for _, k := range append([][]byte{key}, old...) {
		s, err := newSecret(k)
		if err != nil {
			return nil, fmt.Errorf("codec: %s: %w", c.name, err)
		}
		c.secrets = append(c.secrets, s)
	}
	// What can fail in deriving keys fails here.
	if _, err := c.keysOf(""); err != nil {
		return nil, fmt.Errorf("codec: %s: %w", c.name, err)
	}
	return c, nil
}

// A sealed value is a header, a nonce of 12 bytes, the ciphertext, and a tag of
// 16 bytes that covers all of it and the entry's key. The header is the
// version, the inner value's kind with a flag, and the id of the key.
const (
	sealVersion = 2
	sealHeader  = 2 + sealID
	sealID      = 4
	sealKeyed   = 0x80 // flag: the value is bound to the entry's key
)

// secret is what keys are derived from.
type secret struct {
	random []byte // extracted from the key
	id     [sealID]byte
}

func newSecret(key []byte) (s secret, err error) {
	if len(key) != KeySize {
		return s, fmt.Errorf("key of %d bytes, want %d", len(key), KeySize)
	}
	if bytes.Equal(key, make([]byte, KeySize)) {
		return s, fmt.Errorf("the key is all zero; want %d random bytes", KeySize)
	}
	if s.random, err = hkdf.Extract(sha256.New, key, nil); err != nil {
		return s, err
	}
	id, err := s.derive(sealID, "id")
	copy(s.id[:], id)
	return s, err
}

// derive returns n bytes that are the secret's for a purpose.
func (s *secret) derive(n int, purpose ...string) ([]byte, error) {
	info := []byte("diskcache seal 2")
	for _, p := range purpose {
		info = binary.BigEndian.AppendUint64(info, uint64(len(p)))
		info = append(info, p...)
	}
	return hkdf.Expand(sha256.New, s.random, string(info), n)
}

// sealKey is a key of one collection.
type sealKey struct {
	id   [sealID]byte
	aead cipher.AEAD // puts its nonce in front
}

type sealCodec[T any] struct {
	inner   Codec[T]
	name    string
	secrets []secret

	mu   sync.RWMutex
	keys map[string][]sealKey // of each collection; the first one seals
}

// keysOf returns the keys of a collection.
func (c *sealCodec[T]) keysOf(collection string) ([]sealKey, error) {
	c.mu.RLock()
	keys := c.keys[collection]
	c.mu.RUnlock()
	if keys != nil {
		return keys, nil
	}
	for _, s := range c.secrets {
		key, err := s.derive(KeySize, "key", c.name, collection)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		keys = append(keys, sealKey{s.id, aead})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[collection] = keys
	return keys, nil
}

func (c *sealCodec[T]) Name() string { return c.name }

func (c *sealCodec[T]) Unkeyable() string { return "it uses a new nonce each time" }

func (c *sealCodec[T]) Encode(v T) (Value, error) { return c.EncodeAt(v, Location{}) }

func (c *sealCodec[T]) EncodeAt(v T, at Location) (Value, error) {
	enc, err := encodeAt(c.inner, v, at)
	if err != nil {
		return Value{}, err
	}
	keys, err := c.keysOf(at.Collection)
	if err != nil {
		return Value{}, encodeError(c.name, err)
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
	key := keys[0]
	out := make([]byte, sealHeader, sealHeader+len(plain)+key.aead.Overhead())
	out[0], out[1] = sealVersion, byte(enc.kind)
	if !at.Key.IsNull() {
		out[1] |= sealKeyed
	}
	copy(out[2:], key.id[:])
	return BlobValue(key.aead.Seal(out, nil, plain, sealContext(out, at.Key))), nil
}

func (c *sealCodec[T]) Decode(enc Value) (T, error) { return c.DecodeAt(enc, Location{}) }

func (c *sealCodec[T]) DecodeAt(enc Value, at Location) (T, error) {
	var zero T
	if enc.kind != Blob {
		return zero, decodeError(c.name, enc, wrongKind)
	}
	inner, err := c.open(enc.Blob(), at)
	if err != nil {
		return zero, decodeError(c.name, enc, err)
	}
	return decodeAt(c.inner, inner, at)
}

func (c *sealCodec[T]) open(b []byte, at Location) (Value, error) {
	keys, err := c.keysOf(at.Collection)
	if err != nil {
		return Value{}, err
	}
	if len(b) < sealHeader+keys[0].aead.Overhead() {
		return Value{}, ErrSealed
	}
	if b[0] != sealVersion {
		return Value{}, joined{"sealed by another version of this codec, or changed since", ErrSealed}
	}
	header, body := b[:sealHeader], b[sealHeader:]
	known := false
	for _, key := range keys {
		if !bytes.Equal(header[2:], key.id[:]) {
			continue
		}
		known = true
		plain, err := key.aead.Open(nil, nil, body, sealContext(header, at.Key))
		if err == nil {
			return unsealed(Kind(header[1]&^sealKeyed), plain)
		}
	}
	if !known {
		return Value{}, joined{"sealed with a key that is not among those given, or changed since", ErrSealed}
	}
	return Value{}, ErrSealed
}

// sealContext returns what is authenticated besides the value: the header, and
// the entry's key if the header says so. Equal keys have equal contexts.
func sealContext(header []byte, key Value) []byte {
	if header[1]&sealKeyed == 0 {
		return header
	}
	context := make([]byte, 0, sealHeader+1+8+key.Len())
	context = append(context, header...)
	if f := key.Real(); key.kind == Real && f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
		key = IntegerValue(int64(f)) // an equal key
	}
	context = append(context, byte(key.kind))
	if b, ok := bytesOf(key); ok {
		return append(context, b...)
	}
	return binary.BigEndian.AppendUint64(context, key.num)
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

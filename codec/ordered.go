package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
)

// AppendOrdered appends an encoding of v to dst whose bytes are in the order of
// [Compare]: comparing two encodings byte by byte is comparing the Values, and
// equal Values, such as 1 and 1.0, have equal encodings. No encoding is the beginning
// of another one, so that one may follow the other. [CutOrdered] reads it.
//
// Composite keys ([Tuple2], [Tuple3], [Desc]) are made of this, and engines may
// keep keys so whose database knows bytes alone. The format does not change:
//
//   - A byte tells the kind and, of a number, the sign and how many bytes its whole
//     part has. Null is 0x01, text 0x20, a blob 0x21, zero 0x0C.
//   - A positive number below 2^63 is 0x0D plus n, n bytes of its whole part,
//     most significant first and no zeros before, and either 0x00 or, if there is
//     a fraction, 0x01 and that as a float64 of eight bytes. A larger one is 0x16
//     and its float64.
//   - A negative number is 0x0B less n, and all bytes that follow are those of its
//     absolute value, inverted; beyond -2^63 it is 0x02 and its inverted float64.
//   - A text or blob is its bytes, where 0x00 is followed by 0xFF, and then 0x00 0x01.
//
// FoundationDB's tuple layer and CockroachDB's keys are made on the same principles.
func AppendOrdered(dst []byte, v Value) []byte {
	switch v.kind {
	case Integer:
		i := v.Integer()
		if i < 0 {
			return appendNumber(dst, true, -uint64(i), 0)
		}
		return appendNumber(dst, false, uint64(i), 0)
	case Real:
		f := v.Real()
		size := math.Abs(f)
		if size > 1<<63 || f == 1<<63 {
			dst = binary.BigEndian.AppendUint64(append(dst, orderedHuge), math.Float64bits(size))
			if f < 0 {
				invert(dst[len(dst)-8:])
				dst[len(dst)-9] = orderedMinusHuge
			}
			return dst
		}
		whole, fraction := math.Modf(size)
		return appendNumber(dst, f < 0, uint64(whole), fraction)
	case Text, Blob:
		tag := byte(orderedText)
		if v.kind == Blob {
			tag = orderedBlob
		}
		dst = append(dst, tag)
		b, _ := bytesOf(v)
		for {
			i := bytes.IndexByte(b, 0)
			if i < 0 {
				dst = append(dst, b...)
				return append(dst, 0, endOfBytes)
			}
			dst = append(append(dst, b[:i]...), 0, zeroInBytes)
			b = b[i+1:]
		}
	}
	return append(dst, orderedNull)
}

// The first bytes of encodings.
const (
	orderedNull      = 0x01
	orderedMinusHuge = 0x02
	orderedMinus     = 0x0B // less the number of bytes, 0 to 8
	orderedZero      = 0x0C
	orderedPlus      = 0x0D // plus that number
	orderedHuge      = 0x16
	orderedText      = 0x20
	orderedBlob      = 0x21
)

// What follows the byte 0 in texts and blobs.
const (
	endOfBytes  = 0x01
	zeroInBytes = 0xFF
)

// appendNumber appends a number that is less than 2^63, or -2^63.
func appendNumber(dst []byte, minus bool, whole uint64, fraction float64) []byte {
	if whole == 0 && fraction == 0 {
		return append(dst, orderedZero)
	}
	n := (bits.Len64(whole) + 7) / 8
	tag := byte(orderedPlus + n)
	if minus {
		tag = byte(orderedMinus - n)
	}
	dst = append(dst, tag)
	start := len(dst)
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(whole>>(8*i)))
	}
	if fraction == 0 {
		dst = append(dst, 0)
	} else {
		dst = binary.BigEndian.AppendUint64(append(dst, 1), math.Float64bits(fraction))
	}
	if minus {
		invert(dst[start:])
	}
	return dst
}

func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// CutOrdered returns the Value whose encoding src begins with, and what follows
// that. A whole number that an int64 holds becomes an Integer, also if it was
// encoded from a Real. It fails for bytes that [AppendOrdered] does not write.
// The Value may share memory with src.
func CutOrdered(src []byte) (v Value, rest []byte, err error) {
	v, rest, ok := cutOrdered(src)
	if !ok {
		return Value{}, nil, decodeError("ordered", BlobValue(src), malformed)
	}
	return v, rest, nil
}

func cutOrdered(src []byte) (v Value, rest []byte, ok bool) {
	if len(src) == 0 {
		return v, nil, false
	}
	tag, src := src[0], src[1:]
	switch {
	case tag == orderedNull:
		return v, src, true
	case tag == orderedZero:
		return IntegerValue(0), src, true
	case tag == orderedHuge || tag == orderedMinusHuge:
		if len(src) < 8 {
			return v, nil, false
		}
		u := binary.BigEndian.Uint64(src)
		if tag == orderedMinusHuge {
			u = ^u
		}
		f := math.Float64frombits(u)
		if !(f >= 1<<63) || tag == orderedMinusHuge && f == 1<<63 { // also NaN, and what has another encoding
			return v, nil, false
		}
		if tag == orderedMinusHuge {
			f = -f
		}
		return RealValue(f), src[8:], true
	case tag >= orderedPlus && tag <= orderedPlus+8:
		return cutNumber(src, int(tag-orderedPlus), 0)
	case tag <= orderedMinus && tag >= orderedMinus-8:
		return cutNumber(src, int(orderedMinus-tag), 0xFF)
	case tag == orderedText || tag == orderedBlob:
		b, rest, ok := cutBytes(src)
		if !ok {
			return v, nil, false
		}
		v = BlobValue(b)
		if tag == orderedText {
			v.kind = Text
		}
		return v, rest, true
	}
	return v, nil, false
}

// cutNumber reads what appendNumber has written after the tag. Each byte is
// inverted by flip, 0xFF for negative numbers.
func cutNumber(src []byte, n int, flip byte) (v Value, rest []byte, ok bool) {
	if len(src) < n+1 || n > 0 && src[0]^flip == 0 {
		return v, nil, false
	}
	var whole uint64
	for _, b := range src[:n] {
		whole = whole<<8 | uint64(b^flip)
	}
	minus := flip != 0
	if whole > 1<<63 || whole == 1<<63 && !minus {
		return v, nil, false
	}
	more := src[n] ^ flip
	src = src[n+1:]
	if more == 0 {
		if whole == 0 {
			return v, nil, false
		}
		if minus {
			whole = -whole
		}
		return IntegerValue(int64(whole)), src, true
	}
	if more != 1 || len(src) < 8 {
		return v, nil, false
	}
	u := binary.BigEndian.Uint64(src)
	if minus {
		u = ^u
	}
	fraction := math.Float64frombits(u)
	f := float64(whole) + fraction
	if w, frac := math.Modf(f); !(fraction > 0 && fraction < 1) || uint64(w) != whole || frac != fraction {
		return v, nil, false // no float64 has these parts
	}
	if minus {
		f = -f
	}
	return RealValue(f), src[8:], true
}

// cutBytes reads the bytes of a text or a blob.
func cutBytes(src []byte) (b, rest []byte, ok bool) {
	for from := 0; ; {
		i := bytes.IndexByte(src[from:], 0)
		if i < 0 || from+i+1 == len(src) {
			return nil, nil, false
		}
		end, next := from+i, src[from+i+1]
		switch {
		case next == endOfBytes && b == nil:
			return src[:end:end], src[end+2:], true // nothing was escaped: no copy
		case next == endOfBytes:
			return append(b, src[from:end]...), src[end+2:], true
		case next != zeroInBytes:
			return nil, nil, false
		}
		b = append(b, src[from:end+1]...)
		from = end + 2
	}
}

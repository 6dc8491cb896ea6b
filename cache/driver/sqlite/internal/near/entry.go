package near

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// An entry is a row, or the news that there is none, as bytes: a head of fixed
// size, then the bytes of key, value and tag. Numbers are in the head. It has
// no pointers, so that the garbage collector has nothing to do with it.
type entry []byte

// Layout of the head.
const (
	atHash       = 0  // uint64
	atEpoch      = 8  // uint64
	atVersion    = 16 // uint32
	atLength     = 20 // uint32, of the whole entry, a multiple of 8
	atKeyKind    = 24 // kinds are codec.Kinds
	atValueKind  = 25
	atTagKind    = 26
	atFlags      = 27
	atKeyLen     = 28 // uint32
	atValueLen   = 32 // uint32
	atTagLen     = 36 // uint32
	atCollection = 40
	atID         = 48
	atKey        = 56 // a number
	atValue      = 64
	atTag        = 72
	atStored     = 80
	atExpire     = 88
	atAccessed   = 96
	atAccesses   = 104
	headSize     = 112
)

// Flags of an entry.
const (
	flagAbsent  = 1 << iota // there is no row
	flagForeign             // Row.ForeignValue
	flagUsed                // since it was last passed over
	flagDead                // removed, or replaced
)

// maxEntry is the largest entry that is kept.
const maxEntry = 64 << 10

func (e entry) u64(at int) uint64      { return binary.LittleEndian.Uint64(e[at:]) }
func (e entry) u32(at int) uint32      { return binary.LittleEndian.Uint32(e[at:]) }
func (e entry) set64(at int, v uint64) { binary.LittleEndian.PutUint64(e[at:], v) }
func (e entry) set32(at int, v uint32) { binary.LittleEndian.PutUint32(e[at:], v) }
func (e entry) setF(at int, v float64) { e.set64(at, math.Float64bits(v)) }
func (e entry) instant(at int) driver.Instant {
	return driver.Instant(math.Float64frombits(e.u64(at)))
}

func (e entry) stamp() Stamp { return Stamp{e.u64(atEpoch), e.u32(atVersion)} }

func (e entry) setStamp(s Stamp) {
	e.set64(atEpoch, s.epoch)
	e.set32(atVersion, s.version)
}

// Append appends the entry of a row to b, or, if row is nil, the news that
// key has none. It returns b as it was if the entry is too large or of a kind
// that is not kept: a row whose value is in a file.
func Append(b []byte, hash uint64, collection int64, key codec.Value, row *driver.Row) []byte {
	n := headSize + key.Len()
	if row != nil {
		n += row.Value.Len() + row.Tag.Len()
	}
	n = (n + 7) &^ 7
	if n > maxEntry || row != nil && row.File != "" {
		return b
	}
	start := len(b)
	b = append(b, make([]byte, n)...)
	e := entry(b[start:])
	e.set64(atHash, hash)
	e.set32(atLength, uint32(n))
	e.set64(atCollection, uint64(collection))
	rest := e[headSize:]
	rest = e.setValue(rest, atKeyKind, atKeyLen, atKey, key)
	if row == nil {
		e[atFlags] = flagAbsent
		return b
	}
	rest = e.setValue(rest, atValueKind, atValueLen, atValue, row.Value)
	e.setValue(rest, atTagKind, atTagLen, atTag, row.Tag)
	if row.ForeignValue {
		e[atFlags] = flagForeign
	}
	e.set64(atID, uint64(row.ID))
	e.setF(atStored, float64(row.Stored))
	e.setF(atExpire, float64(row.Expire))
	e.setF(atAccessed, float64(row.Accessed))
	e.set64(atAccesses, uint64(row.Accesses))
	return b
}

// setValue writes v's kind, length and number into the head and its bytes to
// rest, of which it returns what is left.
func (e entry) setValue(rest []byte, kind, length, number int, v codec.Value) []byte {
	e[kind] = byte(v.Kind())
	switch v.Kind() {
	case codec.Integer:
		e.set64(number, uint64(v.Integer()))
	case codec.Real:
		e.setF(number, v.Real())
	case codec.Text, codec.Blob:
		e.set32(length, uint32(v.Len()))
		copy(rest, v.Text())
		copy(rest, v.Blob())
		return rest[v.Len():]
	}
	return rest
}

// value reads what setValue has written, as a copy.
func (e entry) value(rest []byte, kind, length, number int) codec.Value {
	switch codec.Kind(e[kind]) {
	case codec.Integer:
		return codec.IntegerValue(int64(e.u64(number)))
	case codec.Real:
		return codec.RealValue(math.Float64frombits(e.u64(number)))
	case codec.Text:
		return codec.TextValue(string(rest[:e.u32(length)]))
	case codec.Blob:
		return codec.BlobValue(append([]byte{}, rest[:e.u32(length)]...))
	}
	return codec.Value{}
}

// is reports whether e is about a key of a collection.
func (e entry) is(collection int64, key codec.Value) bool {
	if int64(e.u64(atCollection)) != collection {
		return false
	}
	kind := codec.Kind(e[atKeyKind])
	switch key.Kind() {
	case codec.Text:
		return kind == codec.Text && string(e.keyBytes()) == key.Text()
	case codec.Blob:
		b := key.Blob()
		return kind == codec.Blob && string(e.keyBytes()) == unsafe.String(unsafe.SliceData(b), len(b))
	}
	if kind != codec.Integer && kind != codec.Real {
		return false
	}
	return codec.Equal(e.value(nil, atKeyKind, atKeyLen, atKey), key)
}

// sound reports whether what e says of its parts fits into it.
func (e entry) sound() bool {
	parts := uint64(e.u32(atKeyLen)) + uint64(e.u32(atValueLen)) + uint64(e.u32(atTagLen))
	return len(e)%8 == 0 && headSize+parts <= uint64(len(e))
}

func (e entry) keyBytes() []byte { return e[headSize:][:e.u32(atKeyLen)] }

// row fills in the row that e is about, with the key that was asked for.
// With bare the value is left out.
func (e entry) row(r *driver.Row, key codec.Value, bare bool) {
	rest := e[headSize+int(e.u32(atKeyLen)):]
	kind, length := codec.Kind(e[atValueKind]), int(e.u32(atValueLen))
	if !bare {
		r.Value = e.value(rest, atValueKind, atValueLen, atValue)
	}
	switch kind {
	case codec.Integer, codec.Real:
		r.Size = 8
	default:
		r.Size = int64(length)
	}
	r.Tag = e.value(rest[length:], atTagKind, atTagLen, atTag)
	r.Key = key
	r.ID = int64(e.u64(atID))
	r.Stored = e.instant(atStored)
	r.Expire = e.instant(atExpire)
	r.Accessed = e.instant(atAccessed)
	r.Accesses = int64(e.u64(atAccesses))
	r.ForeignValue = e[atFlags]&flagForeign != 0
}

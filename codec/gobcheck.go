package codec

import "math"

// checkGob returns why gob data must not be decoded, or nil. encoding/gob decodes
// by recursion, skips by recursion what the Go type does not have, and
// allocates a map for as many entries as the data says, so that a few bytes
// can end the process. checkGob reads the data as encoding/gob does, with limits
// and without allocating values. It takes one value and nothing behind it.
func checkGob(data []byte) error {
	c := gobChecker{types: make(map[int64]*gobType)}
	for len(data) > 0 {
		c.buf, c.why = data, malformed
		n, ok := c.length()
		if !ok {
			return c.why
		}
		c.buf, data = c.buf[:n], c.buf[n:]
		id, ok := c.id()
		if ok && id < 0 {
			if !c.define(-id) || len(c.buf) > 0 {
				return c.why
			}
			continue
		}
		if !ok || !c.message(id) || len(c.buf)+len(data) > 0 {
			return c.why
		}
		return nil
	}
	return malformed
}

// gobType is the definition of a type in gob data. Its ids are those of data, not
// of this process.
type gobType struct {
	kind   gobKind
	length uint64  // of an array
	key    int64   // of a map
	elem   int64   // of an array, a slice or a map
	fields []int64 // of a struct
}

// gobKind is the number of a field in the type that defines types.
type gobKind uint8

const (
	gobArray gobKind = iota
	gobSlice
	gobStruct
	gobMap
	gobEncoder // what is written by methods is a count of bytes and the bytes
	gobBinaryMarshaler
	gobTextMarshaler
	gobKinds
)

// Ids of the types that are not defined by data.
const (
	gobBool      = 1
	gobInt       = 2
	gobUint      = 3
	gobFloat     = 4
	gobBytes     = 5
	gobString    = 6
	gobComplex   = 7
	gobInterface = 8
	gobFirstID   = 64 // of those that are
)

type gobChecker struct {
	buf   []byte // what is left of a message
	types map[int64]*gobType
	depth int
	why   reason // what is wrong, once something is
}

// uint reads an unsigned number: itself if it is less than 128, else the
// negated count of its bytes, and these.
func (c *gobChecker) uint() (x uint64, ok bool) {
	if len(c.buf) == 0 {
		return 0, false
	}
	b := c.buf[0]
	c.buf = c.buf[1:]
	if b < 0x80 {
		return uint64(b), true
	}
	n := -int(int8(b))
	if n > 8 || n > len(c.buf) {
		return 0, false
	}
	for _, b := range c.buf[:n] {
		x = x<<8 | uint64(b)
	}
	c.buf = c.buf[n:]
	return x, true
}

// id reads the id of a type, which is negative where a definition follows.
func (c *gobChecker) id() (int64, bool) {
	x, ok := c.uint()
	id := int64(x >> 1)
	if x&1 != 0 {
		id = ^id
	}
	return id, ok && id > math.MinInt32 && id <= math.MaxInt32
}

// length reads a number of things that take a byte at least.
func (c *gobChecker) length() (int, bool) {
	n, ok := c.uint()
	return int(n), ok && n <= uint64(len(c.buf))
}

// bytes reads a count of bytes and the bytes.
func (c *gobChecker) bytes() bool {
	n, ok := c.length()
	if ok {
		c.buf = c.buf[n:]
	}
	return ok
}

// record reads a struct of n fields: for each field that is not zero the
// distance to the one before, and its value, and 0 at the end.
func (c *gobChecker) record(n int, field func(i int) bool) bool {
	for i := -1; ; {
		delta, ok := c.uint()
		if !ok || delta == 0 {
			return ok
		}
		if delta > uint64(n-1-i) {
			return false
		}
		if i += int(delta); !field(i) {
			return false
		}
	}
}

// define reads the definition of a type.
func (c *gobChecker) define(id int64) bool {
	if id < gobFirstID || c.types[id] != nil {
		return false
	}
	var t *gobType
	ok := c.record(int(gobKinds), func(i int) bool {
		if t != nil {
			return false // of two, encoding/gob would take the one that it needs
		}
		t = &gobType{kind: gobKind(i)}
		return c.record(3, func(i int) bool { return c.part(t, i) })
	})
	c.types[id] = t
	return ok && t != nil
}

// part reads a field of a definition. The first one is the name and the id, for
// all kinds.
func (c *gobChecker) part(t *gobType, i int) (ok bool) {
	switch {
	case i == 0:
		return c.record(2, c.named(new(int64)))
	case i == 1 && (t.kind == gobArray || t.kind == gobSlice), i == 2 && t.kind == gobMap:
		t.elem, ok = c.id()
	case i == 1 && t.kind == gobMap:
		t.key, ok = c.id()
	case i == 2 && t.kind == gobArray:
		var n uint64
		n, ok = c.uint()
		t.length = n >> 1 // a signed number; a negative one is no length of data
	case i == 1 && t.kind == gobStruct:
		var n int
		if n, ok = c.length(); ok {
			t.fields = make([]int64, n)
		}
		for j := 0; ok && j < n; j++ {
			ok = c.record(2, c.named(&t.fields[j]))
		}
	}
	return ok
}

// named reads the fields of a record of a name and an id.
func (c *gobChecker) named(id *int64) func(i int) bool {
	return func(i int) (ok bool) {
		if i == 0 {
			return c.bytes()
		}
		*id, ok = c.id()
		return ok
	}
}

// message reads a value at the top. One that is no struct comes after a zero.
func (c *gobChecker) message(id int64) bool {
	if t := c.types[id]; t == nil || t.kind != gobStruct {
		if zero, ok := c.uint(); !ok || zero != 0 {
			return false
		}
	}
	return c.value(id)
}

// value reads a value.
func (c *gobChecker) value(id int64) (ok bool) {
	switch id {
	case gobBool, gobInt, gobUint, gobFloat:
		_, ok = c.uint()
		return ok
	case gobComplex:
		_, ok = c.uint()
		if ok {
			_, ok = c.uint()
		}
		return ok
	case gobBytes, gobString:
		return c.bytes()
	case gobInterface:
		c.why = "Gob takes no interface values"
		return false
	}
	t := c.types[id]
	if t == nil {
		return false
	}
	if c.depth++; c.depth > maxDepth {
		c.why = tooDeep
		return false
	}
	switch t.kind {
	case gobStruct:
		ok = c.record(len(t.fields), func(i int) bool { return c.value(t.fields[i]) })
	case gobArray, gobSlice, gobMap:
		var n int
		n, ok = c.length()
		ok = ok && (t.kind != gobArray || uint64(n) == t.length)
		for i := 0; ok && i < n; i++ {
			ok = (t.kind != gobMap || c.value(t.key)) && c.value(t.elem)
		}
	default:
		ok = c.bytes()
	}
	c.depth--
	return ok
}

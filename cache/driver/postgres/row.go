package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/codec"
)

// row is a row as it is kept, and what callers do not see of it.
type row struct {
	driver.Row
	life   int64
	weight int64
	value  int64 // 0: none

	marked, touched int64 // changes that have noted reads, and set the expiry
}

// columns are those of a row but for its value, in the order that cells have. They are
// to be prefixed with the name of a table: see columnsOf.
var columns = [...]string{"id", "k", "rest", "kk", "vk", "value", "size", "weight", "stored", "expire", "accessed", "accesses", "tag", "tk", "life", "marked", "touched"}

// columnsOf returns the list of columns of a table, and its value if it is wanted.
func columnsOf(table string, bare bool) string {
	var b bytes.Buffer
	for _, c := range columns {
		b.WriteString(table + "." + c + ", ")
	}
	if bare {
		b.WriteString("NULL::bytea")
	} else {
		b.WriteString(table + ".v")
	}
	return b.String()
}

// cells are the columns of columnsOf, as the server has sent them, in binary.
type cells [][]byte

// width is the number of cells of a row.
const width = len(columns) + 1

func (c cells) integer(i int) int64 {
	switch b := c[i]; len(b) {
	case 8:
		return int64(binary.BigEndian.Uint64(b))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b)))
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b)))
	}
	return 0
}

func (c cells) instant(i int) driver.Instant {
	return driver.Instant(math.Float64frombits(uint64(c.integer(i))))
}

// missing reports whether there is no row: the result of an outer join.
func (c cells) missing() bool { return c[0] == nil }

// row returns the row that the cells are, under asked, the key that it was looked for
// by, or, if that is Null, under its own. It shares no memory with them.
func (c cells) row(asked codec.Value) (r row, err error) {
	if asked.IsNull() {
		if r.Key, err = decodeKey(c[1], c[2], codec.Kind(c.integer(3))); err != nil {
			return r, corrupt(c, err)
		}
	} else {
		r.Key = asked.Clone()
	}
	kind := codec.Kind(c.integer(4))
	r.value = c.integer(5)
	if r.value != 0 {
		r.File, r.FileKind = strconv.FormatInt(r.value, 10), kind
	} else if v := c[width-1]; v != nil || kind == codec.Null {
		if r.Value, err = decodeValue(v, kind); err != nil {
			return r, corrupt(c, err)
		}
	}
	r.ID, r.Size, r.weight = c.integer(0), c.integer(6), c.integer(7)
	r.Stored, r.Expire, r.Accessed, r.Accesses = c.instant(8), c.instant(9), c.instant(10), c.integer(11)
	if tag := c[12]; tag != nil {
		if r.Tag, err = decodeOrdered(bytes.Clone(tag), codec.Kind(c.integer(13))); err != nil {
			return r, corrupt(c, err)
		}
	}
	r.life, r.marked, r.touched = c.integer(14), c.integer(15), c.integer(16)
	return r, nil
}

func corrupt(c cells, err error) error {
	return fmt.Errorf("%w: row %d: %w", driver.ErrCorrupt, c.integer(0), err)
}

// encodeValue returns the column of a value: the bytes of a text or blob, or the eight
// of a number.
func encodeValue(v codec.Value) []byte {
	switch v.Kind() {
	case codec.Integer:
		return binary.BigEndian.AppendUint64(nil, uint64(v.Integer()))
	case codec.Real:
		return binary.BigEndian.AppendUint64(nil, math.Float64bits(v.Real()))
	case codec.Text:
		return append([]byte{}, v.Text()...)
	case codec.Blob:
		if b := v.Blob(); b != nil {
			return b
		}
		return none
	}
	return nil
}

// errShape is the cause of ErrCorrupt for columns that this package does not write.
var errShape = errors.New("columns that no version writes")

func decodeValue(b []byte, kind codec.Kind) (codec.Value, error) {
	switch kind {
	case codec.Null:
		return codec.Value{}, nil
	case codec.Text:
		return codec.TextValue(string(b)), nil
	case codec.Blob:
		return codec.BlobValue(bytes.Clone(b)), nil
	}
	if len(b) != 8 {
		return codec.Value{}, errShape
	}
	u := binary.BigEndian.Uint64(b)
	if kind == codec.Integer {
		return codec.IntegerValue(int64(u)), nil
	}
	return codec.RealValue(math.Float64frombits(u)), nil
}

// collect reads all rows of a result that has the columns of columnsOf first, and calls
// more, if it is not nil, with the cells that follow.
func collect(rows pgx.Rows, more func(cells)) (out []row, err error) {
	defer rows.Close()
	for rows.Next() {
		c := cells(rows.RawValues())
		if more != nil {
			more(c[width:])
		}
		if c.missing() {
			continue
		}
		r, err := c.row(codec.Value{})
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// public returns rows as callers see them.
func public(rows []row) []driver.Row {
	out := make([]driver.Row, len(rows))
	for i := range rows {
		out[i] = rows[i].Row
	}
	return out
}

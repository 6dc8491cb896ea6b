package near

import (
	"sync/atomic"
	"unsafe"
)

// Hints remembers where the rows of keys are in their table, so that a row can
// be read without a search in the index of keys, which is one descent of two
// and, in a large table, the one that misses the page cache. A hint may be
// wrong, since nobody says when a row goes: whoever follows one compares the
// key of the row that is there. The nil Hints knows nothing.
//
// Each hash has one place, which the last to come takes.
type Hints struct {
	mem   []byte
	table *[hints]atomic.Uint64 // upper half of the hash, and the rowid
}

const hints = 1 << 20

// NewHints returns an empty table. Its 8 MiB take room as they are used.
func NewHints() (*Hints, error) {
	mem, err := reserve(8 * hints)
	if err != nil {
		return nil, err
	}
	return &Hints{mem: mem, table: (*[hints]atomic.Uint64)(unsafe.Pointer(&mem[0]))}, nil
}

// Close gives the memory back. Nobody may use h any more.
func (h *Hints) Close() error {
	if h == nil {
		return nil
	}
	return release(h.mem)
}

// Rowid returns where the row of a key with a hash may be, or 0.
func (h *Hints) Rowid(hash uint64) int64 {
	if h == nil {
		return 0
	}
	v := h.table[hash%hints].Load()
	if v>>32 != hash>>32 {
		return 0
	}
	return int64(uint32(v))
}

// Set remembers where a row is.
func (h *Hints) Set(hash uint64, rowid int64) {
	if h == nil || rowid <= 0 || rowid != int64(uint32(rowid)) {
		return
	}
	v := hash&^(1<<32-1) | uint64(rowid)
	if p := &h.table[hash%hints]; p.Load() != v { // most often it is there already
		p.Store(v)
	}
}

// Drop forgets a hint that was wrong.
func (h *Hints) Drop(hash uint64) {
	if h != nil {
		h.table[hash%hints].Store(0)
	}
}

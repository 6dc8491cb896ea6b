package near

import (
	"sync/atomic"
	"unsafe"
)

// Hints remembers where the rows of keys are in their table, so that a row can
// be read without a search in the index of keys, which is one descent of two
// and, in a large table, the one that misses the page cache. A hint may be
// wrong, since nothing tells it when a row is deleted: a lookup that follows a hint compares the
// key of the row that is there. The nil Hints knows nothing.
//
// Each hash has one cell, which the last to come takes.
type Hints struct {
	mem   []byte
	table []atomic.Uint64 // upper half of the hash, and the rowid; a power of two of them
}

const (
	minHints = 1 << 10
	maxHints = 1 << 20 // 8 MiB
)

// NewHints returns an empty table that takes up to max bytes, as they are used,
// but at least 8 KiB and at most 8 MiB.
func NewHints(max int64) (*Hints, error) {
	n := minHints
	for n < maxHints && int64(16*n) <= max {
		n *= 2
	}
	mem, err := mapAnonymous(8 * n)
	if err != nil {
		return nil, err
	}
	return &Hints{mem: mem, table: unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&mem[0])), n)}, nil
}

func (h *Hints) cell(hash uint64) *atomic.Uint64 {
	return &h.table[hash&uint64(len(h.table)-1)]
}

// Close gives the memory back. Nobody may use h any more.
func (h *Hints) Close() error {
	if h == nil {
		return nil
	}
	return unmapAnonymous(h.mem)
}

// Rowid returns where the row of a key with a hash may be, or 0.
func (h *Hints) Rowid(hash uint64) int64 {
	if h == nil {
		return 0
	}
	v := h.cell(hash).Load()
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
	if p := h.cell(hash); p.Load() != v { // most often it is there already
		p.Store(v)
	}
}

// Drop forgets a hint that was wrong.
func (h *Hints) Drop(hash uint64) {
	if h != nil {
		h.cell(hash).Store(0)
	}
}

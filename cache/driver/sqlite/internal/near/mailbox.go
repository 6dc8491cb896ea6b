package near

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

const (
	numCells     = 1 << 10
	cellSize     = 1 << 10
	maxPublished = cellSize - 8
)

// A mailbox is the part of a table where writers leave the rows that they have
// written, which other processes would have to ask SQLite for otherwise. A key
// has one cell, and shares it with others.
type mailbox [numCells]cell

// A cell is a sequence number and an entry. The process that holds the write lock makes the
// number odd, writes the entry, and makes the number even and higher. A reader
// copies the entry, and has it if the number was even and is the same after.
// A writer that dies in between leaves an odd number, from which the next goes on.
type cell struct {
	sequence atomic.Uint64
	entry    [maxPublished / 8]atomic.Uint64
}

// The low bits of a hash choose the slot, the high ones the part of Rows.
func (b *mailbox) cell(hash uint64) *cell { return &b[hash>>24&(numCells-1)] }

// publish leaves an entry.
func (b *mailbox) publish(e entry) {
	p := b.cell(e.u64(atHash))
	before := p.length()
	odd := p.sequence.Load() | 1
	// The entry is written with plain stores, which on arm64 may be seen before
	// an atomic store, or the second half of a Swap, that they follow. They are
	// not seen before an atomic load, nor is that done before the store.
	p.sequence.Store(odd)
	p.sequence.Load()
	copy(p.bytes(), e)
	if len(e) < before {
		clear(p.bytes()[len(e):before])
	}
	p.sequence.Store(odd + 1)
}

// remove takes away what the mailbox says of the key with a hash.
func (b *mailbox) remove(hash uint64) {
	if p := b.cell(hash); p.entry[atHash/8].Load() == hash {
		p.clear()
	}
}

// sweep takes away what does not belong to an epoch, which no reader can use any
// more.
func (b *mailbox) sweep(epoch uint64) {
	for i := range b {
		p := &b[i]
		if e := p.entry[atEpoch/8].Load(); p.sequence.Load()&1 != 0 || e != epoch && p.length() > 0 {
			p.clear()
		}
	}
}

// clear overwrites the whole entry: what was deleted from the database is not to
// be found here.
func (p *cell) clear() {
	odd := p.sequence.Load() | 1
	p.sequence.Store(odd)
	p.sequence.Load() // see publish
	clear(p.bytes())
	p.sequence.Store(odd + 1)
}

func (p *cell) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&p.entry)), maxPublished) }

// length returns the number of bytes in use. An entry that a writer which died
// has left half written counts as a whole one.
func (p *cell) length() int {
	n := int(p.entry[atLength/8].Load() >> 32) // the upper half of its word
	if p.sequence.Load()&1 != 0 || n > maxPublished {
		return maxPublished
	}
	return n
}

// read returns the entry of the key with a hash, copied to buf, or nil if there
// is none with the stamp s.
func (b *mailbox) read(buf *[maxPublished]byte, hash uint64, s Stamp) entry {
	p := b.cell(hash)
	sequence := p.sequence.Load()
	if sequence&1 != 0 || p.entry[atHash/8].Load() != hash {
		return nil
	}
	n := int(p.entry[atLength/8].Load() >> 32) // the upper half of its word
	if n < headSize || n > maxPublished {
		return nil
	}
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(buf[i:], p.entry[i/8].Load())
	}
	e := entry(buf[:n])
	if p.sequence.Load() != sequence || e.stamp() != s || !e.sound() {
		return nil
	}
	return e
}

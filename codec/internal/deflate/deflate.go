// Package deflate compresses data into the zlib format (RFC 1950 and 1951)
// with exactly the bytes that the C library zlib produces.
//
// Decompressors take any valid stream, so compressors differ: compress/zlib
// of the standard library writes other bytes than the C library for the same
// data and level. Where compressed bytes are compared, as DiskCache's JSONDisk
// does with keys, they must be the same. This package makes every choice as
// the C library does with its default window, memory level and strategy: how
// far hash chains are searched, when a match waits for a longer one, where
// blocks end, and how ties between symbols are broken.
package deflate

import (
	"hash/adler32"
	"sync"
)

const (
	minMatch = 3
	maxMatch = 258

	windowSize = 1 << 15
	windowMask = windowSize - 1
	// Below this much lookahead the window is filled again, so that a match
	// of full length can be found and the byte after it be hashed.
	minLookahead = maxMatch + minMatch + 1
	maxDistance  = windowSize - minLookahead
	// A match of the shortest length from further back costs more than three
	// literals.
	tooFar = 4096

	hashSize = 1 << 15

	// Symbols in a block, one fewer than the C library's buffer has room for.
	maxSymbols = 1<<14 - 1
)

// tuning is what a level means.
type tuning struct {
	good  int  // with a match this long, search a quarter of the chain
	lazy  int  // with a match this long, do not look for a longer one
	nice  int  // a match this long ends the search
	chain int  // places to look at
	slow  bool // a match waits for the next byte's
}

// For the levels that are not slow, lazy is the longest match whose inside is
// entered into the hash table.
var levels = [10]tuning{
	1: {4, 4, 8, 4, false},
	2: {4, 5, 16, 8, false},
	3: {4, 6, 32, 32, false},
	4: {4, 4, 16, 16, true},
	5: {8, 16, 32, 32, true},
	6: {8, 16, 128, 128, true},
	7: {8, 32, 128, 256, true},
	8: {32, 128, 258, 1024, true},
	9: {32, 258, 258, 4096, true},
}

// Append appends src, compressed, to dst. The level is 0 (no compression) to
// 9, or -1 for the C library's default, which is 6. Append may be called by
// many goroutines at once; each call in progress holds about 280 KB.
func Append(dst, src []byte, level int) []byte {
	if level == -1 {
		level = 6
	}
	dst = append(dst, header(level)...)
	if level == 0 {
		dst = appendStored(dst, src)
	} else {
		c := compressors.Get().(*compressor)
		dst = c.append(dst, src, levels[level])
		compressors.Put(c)
	}
	sum := adler32.Checksum(src)
	return append(dst, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
}

// header returns the two bytes that name the method, the window size and,
// roughly, the level.
func header(level int) []byte {
	switch {
	case level < 2:
		return []byte{0x78, 0x01}
	case level < 6:
		return []byte{0x78, 0x5e}
	case level == 6:
		return []byte{0x78, 0x9c}
	}
	return []byte{0x78, 0xda}
}

var compressors = sync.Pool{New: func() any { return new(compressor) }}

// compressor holds two windows of the input: while the second fills, the
// first is what matches refer to. When both are full, the second moves to the
// front. Positions are indexes of the window. Position 0 also means "none" in
// head and prev and so is never matched, which is visible in the output.
type compressor struct {
	tuning
	in []byte // what has not been read into the window

	window [2 * windowSize]byte
	head   [hashSize]uint16   // the last position of each hash
	prev   [windowSize]uint16 // the one before it, by position & windowMask

	pos        int // where the next string to match starts
	lookahead  int // bytes from pos on
	blockStart int // where the block starts; negative if it has moved out

	blockWriter
}

func (c *compressor) append(dst, src []byte, t tuning) []byte {
	c.tuning, c.in, c.out = t, src, dst
	c.head = [hashSize]uint16{}
	c.pos, c.lookahead, c.blockStart = 0, 0, 0
	c.startBlock()
	if t.slow {
		c.compressSlow()
	} else {
		c.compressFast()
	}
	c.flush(true)
	c.alignByte()
	dst = c.out
	c.in, c.out = nil, nil // nothing of the caller's stays in the pool
	return dst
}

// fill makes room in the window and reads as much as fits.
func (c *compressor) fill() {
	for {
		if c.pos >= windowSize+maxDistance {
			c.slide()
		}
		n := copy(c.window[c.pos+c.lookahead:], c.in)
		c.in = c.in[n:]
		c.lookahead += n
		if c.lookahead >= minLookahead || len(c.in) == 0 {
			return
		}
	}
}

func (c *compressor) slide() {
	copy(c.window[:windowSize], c.window[windowSize:])
	c.pos -= windowSize
	c.blockStart -= windowSize
	forget(c.head[:])
	forget(c.prev[:])
}

func forget(positions []uint16) {
	for i, p := range positions {
		if p >= windowSize {
			positions[i] = p - windowSize
		} else {
			positions[i] = 0
		}
	}
}

// flush ends a block at pos.
func (c *compressor) flush(last bool) {
	var stored []byte
	if c.blockStart >= 0 {
		stored = c.window[c.blockStart:c.pos]
	}
	c.writeBlock(stored, c.blockStart >= 0, last)
	c.blockStart = c.pos
}

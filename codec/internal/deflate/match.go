package deflate

import (
	"encoding/binary"
	"math/bits"
)

// insert enters the string at position p, of which three bytes are there,
// and returns the last position with the same hash.
func (c *compressor) insert(p int) int {
	w := c.window[p : p+3 : p+3]
	h := (uint32(w[0])<<10 ^ uint32(w[1])<<5 ^ uint32(w[2])) & (hashSize - 1)
	last := c.head[h]
	c.prev[p&windowMask] = last
	c.head[h] = uint16(p)
	return int(last)
}

// longest returns the length and position of the longest match for the string
// at pos that is longer than best, following the chain from candidate. If
// there is none, the length is at most best.
func (c *compressor) longest(candidate, best int) (length, at int) {
	if best >= c.lookahead {
		return c.lookahead, candidate
	}
	pos := c.pos
	limit := max(pos-maxDistance, 0)
	nice := min(c.nice, c.lookahead)
	chain := c.chain
	if best >= c.good {
		chain >>= 2
	}
	want := c.window[pos : pos+min(maxMatch, c.lookahead)]
	last, beforeLast := want[best], want[best-1]
	for {
		// Most candidates fail where a longer match would end.
		if c.window[candidate+best] == last && c.window[candidate+best-1] == beforeLast {
			if n := common(c.window[candidate:candidate+len(want)], want); n > best {
				best, at = n, candidate
				if n >= nice {
					break
				}
				last, beforeLast = want[best], want[best-1]
			}
		}
		candidate = int(c.prev[candidate&windowMask])
		if candidate <= limit {
			break
		}
		if chain--; chain == 0 {
			break
		}
	}
	return best, at
}

// common returns how many bytes a and b, of equal length, have in common.
func common(a, b []byte) int {
	a = a[:len(b)]
	n := 0
	for ; n+8 <= len(b); n += 8 {
		x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:])
		if x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
	}
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// compressFast takes every match that it finds.
func (c *compressor) compressFast() {
	for {
		if c.lookahead < minLookahead {
			if c.fill(); c.lookahead == 0 {
				return
			}
		}
		length, at := 0, 0
		if c.lookahead >= minMatch {
			candidate := c.insert(c.pos)
			if candidate != 0 && c.pos-candidate <= maxDistance {
				length, at = c.longest(candidate, minMatch-1)
			}
		}
		var full bool
		if length >= minMatch {
			full = c.match(c.pos-at, length)
			c.lookahead -= length
			if length <= c.lazy && c.lookahead >= minMatch {
				for p := c.pos + 1; p < c.pos+length; p++ {
					c.insert(p)
				}
			}
			c.pos += length
		} else {
			full = c.literal(c.window[c.pos])
			c.lookahead--
			c.pos++
		}
		if full {
			c.flush(false)
		}
	}
}

// compressSlow takes a match only if there is no longer one a byte later.
func (c *compressor) compressSlow() {
	length, at := minMatch-1, 0
	waiting := false // the byte before pos has not been written
	for {
		if c.lookahead < minLookahead {
			before := c.pos
			c.fill()
			at += c.pos - before // the window may have moved
			if c.lookahead == 0 {
				break
			}
		}
		candidate := 0
		if c.lookahead >= minMatch {
			candidate = c.insert(c.pos)
		}
		prevLength, prevAt := length, at
		length = minMatch - 1
		if candidate != 0 && prevLength < c.lazy && c.pos-candidate <= maxDistance {
			length, at = c.longest(candidate, prevLength)
			if length == minMatch && c.pos-at > tooFar {
				length = minMatch - 1
			}
		}
		switch {
		case prevLength >= minMatch && length <= prevLength:
			full := c.match(c.pos-1-prevAt, prevLength)
			end := c.pos - 1 + prevLength
			lastInsert := c.pos + c.lookahead - minMatch
			for p := c.pos + 1; p < end && p <= lastInsert; p++ {
				c.insert(p)
			}
			c.lookahead -= end - c.pos
			c.pos = end
			waiting, length = false, minMatch-1
			if full {
				c.flush(false)
			}
		case waiting:
			// The byte at pos belongs to the next block, but pos moves on
			// only after the flush.
			if c.literal(c.window[c.pos-1]) {
				c.flush(false)
			}
			c.pos++
			c.lookahead--
		default:
			waiting = true
			c.pos++
			c.lookahead--
		}
	}
	if waiting {
		c.literal(c.window[c.pos-1])
	}
}

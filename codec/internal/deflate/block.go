package deflate

import "encoding/binary"

// blockWriter collects the symbols of a block and writes the block in the
// shortest of the three forms.
type blockWriter struct {
	out   []byte
	acc   uint64 // bits not yet in out, the first one lowest
	nbits uint

	// A literal is its byte, a match its length less three in the low byte
	// and its distance above.
	symbols [maxSymbols]uint32
	count   int

	literals  tree // literals, the end of the block, and lengths
	distances tree
	lengths   tree // the code lengths of the other two

	// The bits of the block's symbols in the dynamic and the fixed code.
	dynamicBits, fixedBits int
}

func (w *blockWriter) startBlock() {
	w.count = 0
	w.literals.reset(literalCodes)
	w.distances.reset(distanceCodes)
	w.lengths.reset(lengthCodes)
	w.literals.freq[endOfBlock] = 1
	w.dynamicBits, w.fixedBits = 0, 0
}

// literal adds a byte and reports whether the block is full.
func (w *blockWriter) literal(b byte) bool {
	w.symbols[w.count] = uint32(b)
	w.count++
	w.literals.freq[b]++
	return w.count == maxSymbols
}

// match adds a match and reports whether the block is full.
func (w *blockWriter) match(distance, length int) bool {
	length -= minMatch
	w.symbols[w.count] = uint32(distance)<<8 | uint32(length)
	w.count++
	w.literals.freq[endOfBlock+1+int(lengthCode[length])]++
	w.distances.freq[distanceCode(distance-1)]++
	return w.count == maxSymbols
}

// writeBlock writes the collected symbols, which stand for the bytes in
// stored, and starts a new block. If the bytes are gone, storable is false.
func (w *blockWriter) writeBlock(stored []byte, storable, last bool) {
	w.literals.build(w, literalKind)
	w.distances.build(w, distanceKind)
	orders := w.buildLengths()

	dynamic := (w.dynamicBits + 3 + 7) >> 3
	fixed := (w.fixedBits + 3 + 7) >> 3
	shortest := min(dynamic, fixed)
	var final uint64
	if last {
		final = 1
	}
	switch {
	case storable && len(stored)+4 <= shortest && len(stored) <= maxStored:
		w.bits(0<<1|final, 3)
		w.alignByte()
		w.out = appendStoredHeader(w.out, len(stored))
		w.out = append(w.out, stored...)
	case fixed == shortest:
		w.bits(1<<1|final, 3)
		w.writeSymbols(&fixedLiterals, &fixedDistances)
	default:
		w.bits(2<<1|final, 3)
		w.writeTrees(orders)
		w.writeSymbols(&w.literals.codes, &w.distances.codes)
	}
	w.startBlock()
}

func (w *blockWriter) writeSymbols(literals, distances *codes) {
	for _, s := range w.symbols[:w.count] {
		distance := int(s >> 8)
		if distance == 0 {
			w.code(literals[s])
			continue
		}
		length := int(s & 0xff)
		lc := int(lengthCode[length])
		w.code(literals[endOfBlock+1+lc])
		w.bits(uint64(length-int(lengthBase[lc])), uint(lengthExtra[lc]))
		dc := distanceCode(distance - 1)
		w.code(distances[dc])
		w.bits(uint64(distance-1-int(distanceBase[dc])), uint(distanceExtra[dc]))
	}
	w.code(literals[endOfBlock])
}

func (w *blockWriter) code(c code) { w.bits(uint64(c.bits), uint(c.len)) }

// bits writes the n lowest bits of v, at most 16; the others are zero.
func (w *blockWriter) bits(v uint64, n uint) {
	w.acc |= v << w.nbits
	w.nbits += n
	if w.nbits >= 48 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.acc))
		w.out = append(w.out, byte(w.acc>>32), byte(w.acc>>40))
		w.acc >>= 48
		w.nbits -= 48
	}
}

// alignByte fills the last byte with zeros.
func (w *blockWriter) alignByte() {
	for w.nbits > 0 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
		w.nbits -= min(w.nbits, 8)
	}
	w.acc = 0
}

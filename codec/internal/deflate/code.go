package deflate

import "math/bits"

// The alphabets of RFC 1951, section 3.2.5 and following.
const (
	literalCodes  = 286
	distanceCodes = 30
	lengthCodes   = 19
	endOfBlock    = 256
)

// code is a Huffman code, first bit lowest.
type code struct {
	bits uint16
	len  uint8
}

type codes [literalCodes + 2]code

var (
	lengthExtra = [29]uint8{
		0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
	}
	distanceExtra = [distanceCodes]uint8{
		0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
	}
	repeatExtra = [lengthCodes]uint8{repeatPrevious: 2, repeatZero: 3, repeatZeroLong: 7}

	lengthBase   [29]uint8             // the length, less 3, where a code starts
	lengthCode   [256]uint8            // the code of a length less 3
	distanceBase [distanceCodes]uint16 // the distance, less 1, where a code starts

	fixedLiterals, fixedDistances codes
)

func init() {
	n := 0
	for c := range 28 {
		lengthBase[c] = uint8(n)
		for range 1 << lengthExtra[c] {
			lengthCode[min(n, 255)] = uint8(c)
			n++
		}
	}
	// The longest length has a code of its own.
	lengthCode[255], lengthBase[28] = 28, 255

	n = 0
	for c := range distanceCodes {
		distanceBase[c] = uint16(n)
		n += 1 << distanceExtra[c]
	}

	for i := range fixedLiterals {
		switch {
		case i < 144:
			fixedLiterals[i].len = 8
		case i < 256:
			fixedLiterals[i].len = 9
		case i < 280:
			fixedLiterals[i].len = 7
		default:
			fixedLiterals[i].len = 8
		}
	}
	fixedLiterals.assign(len(fixedLiterals))
	for i := range distanceCodes {
		fixedDistances[i].len = 5
	}
	fixedDistances.assign(distanceCodes)
}

// distanceCode returns the code of a distance less 1. From 4 on there are two
// codes for each power of two.
func distanceCode(d int) int {
	if d < 4 {
		return d
	}
	log := bits.Len32(uint32(d)) - 1
	return 2*log + d>>(log-1)&1
}

// assign gives the first n symbols the codes that follow from their lengths.
func (c *codes) assign(n int) {
	var count, next [16]uint16
	for i := range n {
		count[c[i].len]++
	}
	count[0] = 0
	for l := 1; l < len(next); l++ {
		next[l] = (next[l-1] + count[l-1]) << 1
	}
	for i := range n {
		if l := c[i].len; l > 0 {
			c[i].bits = bits.Reverse16(next[l]) >> (16 - l)
			next[l]++
		}
	}
}

package deflate

// The symbols above 15 of the alphabet in which code lengths are written.
const (
	repeatPrevious = 16 // 3 to 6 times
	repeatZero     = 17 // 3 to 10 times
	repeatZeroLong = 18 // 11 to 138 times
)

// lengthOrder is the order in which that alphabet's own lengths are written,
// so that those most often zero can be left out at the end.
var lengthOrder = [lengthCodes]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// buildLengths makes the code for the lengths of the other two and returns
// how many entries of lengthOrder are to be written.
func (w *blockWriter) buildLengths() int {
	count := func(symbol, _ int) { w.lengths.freq[symbol]++ }
	w.literals.runs(count)
	w.distances.runs(count)
	w.lengths.build(w, lengthKind)
	n := lengthCodes
	for n > 4 && w.lengths.codes[lengthOrder[n-1]].len == 0 {
		n--
	}
	w.dynamicBits += 5 + 5 + 4 + 3*n
	return n
}

func (w *blockWriter) writeTrees(orders int) {
	w.bits(uint64(w.literals.last+1-257), 5)
	w.bits(uint64(w.distances.last+1-1), 5)
	w.bits(uint64(orders-4), 4)
	for _, symbol := range lengthOrder[:orders] {
		w.bits(uint64(w.lengths.codes[symbol].len), 3)
	}
	write := func(symbol, repeat int) {
		w.code(w.lengths.codes[symbol])
		switch symbol {
		case repeatPrevious:
			w.bits(uint64(repeat-3), 2)
		case repeatZero:
			w.bits(uint64(repeat-3), 3)
		case repeatZeroLong:
			w.bits(uint64(repeat-11), 7)
		}
	}
	w.literals.runs(write)
	w.distances.runs(write)
}

// runs calls yield for each symbol of the run-length code of t's lengths,
// with the repetitions of the repeating ones.
func (t *tree) runs(yield func(symbol, repeat int)) {
	previous := -1
	for i := 0; i <= t.last; {
		l := int(t.codes[i].len)
		most := 7 // one and six repetitions
		switch {
		case l == 0:
			most = 138
		case l == previous:
			most = 6
		}
		n := 1
		for n < most && i+n <= t.last && int(t.codes[i+n].len) == l {
			n++
		}
		i += n
		switch {
		case l == 0 && n > 10:
			yield(repeatZeroLong, n)
		case l == 0 && n >= 3:
			yield(repeatZero, n)
		case l != 0 && l == previous && n >= 3:
			yield(repeatPrevious, n)
		case l != 0 && l != previous && n >= 4:
			yield(l, 0)
			yield(repeatPrevious, n-1)
		default:
			for range n {
				yield(l, 0)
			}
		}
		previous = l
	}
}

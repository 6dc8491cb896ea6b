package deflate

// A tree counts the symbols of an alphabet and makes a Huffman code for them.
//
// Many codes are equally short. Which of them comes out depends on the order
// in which nodes of equal weight leave the heap: the less deep first, and of
// equally deep ones as the heap of the C library happens to have them. The
// heap here therefore moves its nodes in the same way.
type tree struct {
	codes codes
	size  int                        // of the alphabet
	last  int                        // the highest symbol that has a code
	freq  [2*literalCodes + 1]uint16 // of symbols, then of inner nodes

	parent [2*literalCodes + 1]uint16
	depth  [2*literalCodes + 1]uint8 // in build: height; then: code length
	heap   [2*literalCodes + 1]uint16
	len    int // of the heap, which starts at 1
}

// kind is what the alphabets differ in.
type kind struct {
	maxLen int
	extra  []uint8 // the extra bits of the symbols from base on
	base   int
	fixed  *codes
}

var (
	literalKind  = &kind{15, lengthExtra[:], endOfBlock + 1, &fixedLiterals}
	distanceKind = &kind{15, distanceExtra[:], 0, &fixedDistances}
	lengthKind   = &kind{7, repeatExtra[:], 0, nil}
)

func (t *tree) reset(size int) {
	t.size = size
	clear(t.freq[:size])
}

// build makes the code and adds the bits that its symbols take to w's sums.
func (t *tree) build(w *blockWriter, k *kind) {
	t.len, t.last = 0, -1
	for i := range t.size {
		t.codes[i].len = 0
		if t.freq[i] != 0 {
			t.push(i)
			t.last = i
		}
	}
	// A code has at least two symbols. Those made up for it cost nothing.
	for t.len < 2 {
		i := 0
		if t.last < 2 {
			t.last++
			i = t.last
		}
		t.freq[i] = 1
		t.push(i)
		w.dynamicBits--
		if k.fixed != nil {
			w.fixedBits -= int(k.fixed[i].len)
		}
	}
	for i := t.len / 2; i >= 1; i-- {
		t.sift(i)
	}

	// Nodes leave the front of the heap and line up, lightest last, at the
	// end of the same array.
	node := t.size
	ranked := len(t.heap)
	for t.len >= 2 {
		a := t.heap[1]
		t.heap[1] = t.heap[t.len]
		t.len--
		t.sift(1)
		b := t.heap[1]
		ranked -= 2
		t.heap[ranked], t.heap[ranked+1] = b, a

		t.freq[node] = t.freq[a] + t.freq[b]
		t.depth[node] = max(t.depth[a], t.depth[b]) + 1
		t.parent[a], t.parent[b] = uint16(node), uint16(node)
		t.heap[1] = uint16(node)
		node++
		t.sift(1)
	}
	t.depth[t.heap[1]] = 0 // the root: from here on depth is the code's length
	t.measure(w, k, t.heap[ranked:])
	t.codes.assign(t.last + 1)
}

func (t *tree) push(i int) {
	t.len++
	t.heap[t.len] = uint16(i)
	t.depth[i] = 0
}

// sift lets the node at heap index i sink to its place.
func (t *tree) sift(i int) {
	v := t.heap[i]
	for j := 2 * i; j <= t.len; j *= 2 {
		if j < t.len && t.before(t.heap[j+1], t.heap[j]) {
			j++
		}
		if t.before(v, t.heap[j]) {
			break
		}
		t.heap[i] = t.heap[j]
		i = j
	}
	t.heap[i] = v
}

func (t *tree) before(a, b uint16) bool {
	return t.freq[a] < t.freq[b] || t.freq[a] == t.freq[b] && t.depth[a] <= t.depth[b]
}

// measure sets the code lengths of the ranked nodes, which are all but the
// root, parents before children.
func (t *tree) measure(w *blockWriter, k *kind, ranked []uint16) {
	var count [16]int
	overflow := 0
	for _, n := range ranked {
		l := int(t.depth[t.parent[n]]) + 1
		if l > k.maxLen {
			l = k.maxLen
			overflow++
		}
		t.depth[n] = uint8(l)
		if int(n) > t.last { // an inner node
			continue
		}
		t.codes[n].len = uint8(l)
		count[l]++
		extra := 0
		if int(n) >= k.base {
			extra = int(k.extra[int(n)-k.base])
		}
		f := int(t.freq[n])
		w.dynamicBits += f * (l + extra)
		if k.fixed != nil {
			w.fixedBits += f * (int(k.fixed[n].len) + extra)
		}
	}
	if overflow > 0 {
		t.shorten(w, k, ranked, &count, overflow)
	}
}

// shorten mends a code some of whose symbols were cut to the greatest length:
// it moves shorter codes down until there is room, and hands the lengths out
// again, the longest to the lightest symbols.
func (t *tree) shorten(w *blockWriter, k *kind, ranked []uint16, count *[16]int, overflow int) {
	for ; overflow > 0; overflow -= 2 {
		l := k.maxLen - 1
		for count[l] == 0 {
			l--
		}
		count[l]--
		count[l+1] += 2
		count[k.maxLen]--
	}
	next := len(ranked)
	for l := k.maxLen; l > 0; l-- {
		for n := count[l]; n > 0; {
			next--
			s := ranked[next]
			if int(s) > t.last {
				continue
			}
			w.dynamicBits += (l - int(t.codes[s].len)) * int(t.freq[s])
			t.codes[s].len = uint8(l)
			n--
		}
	}
}

package deflate

import "encoding/binary"

const (
	maxStored    = 1<<16 - 1
	storedHeader = 5 // three bits, filled up, and the length twice

	// What the C library can hold back of its output.
	pendingSize = 1 << 16
)

func appendStoredHeader(dst []byte, n int) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(n))
	return binary.LittleEndian.AppendUint16(dst, ^uint16(n))
}

// Where stored blocks end depends on the buffer that the C library is given
// for its output, since it copies from input to output when it can. These
// are the sizes of the buffers that Python, from 3.10 on, gives it one after
// the other. Up to 32 KiB of input there is one block, whatever the buffers.
var outputBuffers = [...]int{
	32 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20, 16 << 20,
	32 << 20, 32 << 20, 32 << 20, 32 << 20, 64 << 20, 64 << 20, 128 << 20, 128 << 20,
	256 << 20,
}

// stored writes data without compressing it. It keeps count of what the C
// library would hold in its window and how far its output buffer is filled.
type stored struct {
	out []byte
	src []byte // what is in no block yet

	windowed   int // bytes of src that have been read into the window
	pos        int // the end of what was read, as a position in the window
	blockStart int // of the block that is to come, in the window

	room    int // in the output buffer
	pending int // bytes of out that are not in the buffer yet
}

func appendStored(dst, src []byte) []byte {
	s := stored{out: dst, src: src, pending: 2} // the header of the format
	for i := 0; ; i++ {
		s.room = outputBuffers[min(i, len(outputBuffers)-1)]
		s.drain()
		if s.room > 0 && s.fillBuffer() {
			return s.out
		}
	}
}

// drain moves pending output to the buffer.
func (s *stored) drain() {
	n := min(s.pending, s.room)
	s.pending -= n
	s.room -= n
}

// fillBuffer writes blocks until the buffer is full, and reports whether the
// last one was written.
func (s *stored) fillBuffer() bool {
	before := len(s.src) - s.windowed
	for s.room >= storedHeader {
		n := min(maxStored, len(s.src), s.room-storedHeader)
		last := n == len(s.src)
		if n < windowSize && !last {
			break
		}
		s.block(n, last)
		s.room -= storedHeader + n
		fromWindow := min(n, s.windowed)
		s.windowed -= fromWindow
		s.blockStart += fromWindow
		if last {
			return true
		}
	}
	s.track(before - (len(s.src) - s.windowed))
	s.readAhead()

	// The buffer is too small for a good block: make one in the memory for
	// pending output.
	limit := min(pendingSize-storedHeader, maxStored)
	all := s.windowed == len(s.src)
	if s.windowed >= min(limit, windowSize) || all && s.windowed <= limit {
		n := min(s.windowed, limit)
		last := n == len(s.src)
		s.block(n, last)
		s.windowed -= n
		s.blockStart += n
		s.pending += storedHeader + n
		s.drain()
		return last
	}
	return false
}

func (s *stored) block(n int, last bool) {
	final := byte(0)
	if last {
		final = 1
	}
	s.out = append(s.out, final)
	s.out = appendStoredHeader(s.out, n)
	s.out = append(s.out, s.src[:n]...)
	s.src = s.src[n:]
}

// track puts used bytes, which went from input to output, into the window.
func (s *stored) track(used int) {
	switch {
	case used == 0:
		return
	case used >= windowSize:
		s.pos = windowSize
	default:
		if 2*windowSize-s.pos <= used {
			s.pos -= windowSize
		}
		s.pos += used
	}
	s.blockStart = s.pos
}

// readAhead fills the rest of the window from the input.
func (s *stored) readAhead() {
	input := len(s.src) - s.windowed
	room := 2*windowSize - s.pos
	if input > room && s.blockStart >= windowSize {
		s.blockStart -= windowSize
		s.pos -= windowSize
		room += windowSize
	}
	n := min(room, input)
	s.pos += n
	s.windowed += n
}

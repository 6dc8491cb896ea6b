package dump

import (
	"bytes"
	"testing"
)

// What is held is written in its order, and no more is held than is meant to be.
func TestHeld(t *testing.T) {
	for _, n := range []int{0, 1, 8, 9, 20} {
		var out, want bytes.Buffer
		h := &held{w: &out}
		for i := range n {
			chunk := bytes.Repeat([]byte{byte(i)}, heldBytes/8)
			want.Write(chunk)
			if _, err := h.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		if h.through != (n > 8) || len(h.b) > heldBytes {
			t.Errorf("%d chunks: written %v, %d bytes are held", n, h.through, len(h.b))
		}
		if err := h.flush(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want.Bytes()) {
			t.Errorf("%d chunks: %d bytes, want %d", n, out.Len(), want.Len())
		}
	}
}

//go:build unix

package near

import "testing"

func TestHints(t *testing.T) {
	for max, want := range map[int64]int{0: minHints, 8 << 10: minHints, 1 << 20: 1 << 17, 1<<20 - 1: 1 << 16, 8 << 20: maxHints, 1 << 40: maxHints} {
		h, err := NewHints(max)
		if err != nil {
			t.Fatal(err)
		}
		if len(h.table) != want {
			t.Errorf("%d bytes: %d hints, want %d", max, len(h.table), want)
		}
		h.Close()
	}
	h, err := NewHints(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	const a, b = 0x123456789abcdef0, 0x923456789abcdef0 // of one cell
	if h.Rowid(a) != 0 || h.Rowid(0) != 0 {
		t.Error("an empty table knows something")
	}
	h.Set(a, 7)
	if h.Rowid(a) != 7 || h.Rowid(b) != 0 {
		t.Error(h.Rowid(a), h.Rowid(b))
	}
	h.Set(b, 1<<32-1)
	if h.Rowid(b) != 1<<32-1 || h.Rowid(a) != 0 {
		t.Error(h.Rowid(a), h.Rowid(b))
	}
	h.Drop(b)
	for _, id := range []int64{0, -1, 1 << 32, 1<<32 + 7} {
		h.Set(b, id)
		if got := h.Rowid(b); got != 0 {
			t.Errorf("rowid %d became %d", id, got)
		}
	}
	var none *Hints
	none.Set(a, 1)
	none.Drop(a)
	if none.Rowid(a) != 0 || none.Close() != nil {
		t.Error("nil Hints")
	}
}

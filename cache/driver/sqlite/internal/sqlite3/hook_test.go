package sqlite3

import (
	"testing"
)

// TestHooksOfOthers gives a connection the memory of another one that is just
// being closed: it keeps its hooks.
func TestHooksOfOthers(t *testing.T) {
	var r registry
	closing, opened := &Conn{}, &Conn{}
	r.add(1, closing)
	r.add(1, opened)
	r.remove(1, closing)
	if r.find(1) != opened {
		t.Error("the hooks of the new connection are lost")
	}
	r.remove(1, opened)
	if r.find(1) != nil {
		t.Error("a connection that is closed has hooks")
	}
}

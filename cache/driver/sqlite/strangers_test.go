package sqlite

import (
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Closing waits for strangers that nobody uses any more too: they may still
// look at what it takes away.
func TestStrangersEnd(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Open(t.Context(), "", driver.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	_, stop, err := s.Watch(c)
	if err != nil {
		t.Fatal(err)
	}
	left := s.core.watches.strangers
	stop()
	s.core.watches.rest()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left.conn == nil || left.conn.Filename() != "" {
		t.Error("its connection is open")
	}
}

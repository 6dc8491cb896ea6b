package sqlite

import (
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
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

// What keeps strangers from looking is no commit, after which they would look
// again and again.
func TestStrangersFail(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cn, err := s.core.openConn(lite.ReadOnly, minCacheSize)
	if err != nil {
		t.Fatal(err)
	}
	cn.Close()
	st := &strangers{core: s.core, conn: cn, version: -1}
	for range 2 {
		if changed, _ := st.look(); changed {
			t.Error("an error is taken for a commit")
		}
	}
}

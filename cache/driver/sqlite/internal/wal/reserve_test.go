package wal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// The reserve takes room until it is given up, and is back when there is room for it.
func TestReserve(t *testing.T) {
	path := t.TempDir()
	full := false
	defer osfs.SetHook(path, func(op *osfs.Op, do func() error) error {
		if full && op.Kind == osfs.OpWrite {
			op.Data = op.Data[:len(op.Data)/2]
			do()
			return syscall.ENOSPC
		}
		return do()
	})()
	dir, err := osfs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	size := func() int64 {
		info, err := os.Stat(filepath.Join(path, "reserve"))
		if err != nil {
			return -1
		}
		return info.Size()
	}
	r, other := NewReserve(dir, "reserve"), NewReserve(dir, "reserve")
	if r.Look(); r.IsSpent() || r.Spend() || r.IsSpent() {
		t.Error("a store that has no reserve yet is full")
	}
	if !r.Fill() || size() < minReserve || size() > reserveSize {
		t.Fatalf("the reserve has %d bytes", size())
	}
	had := size()
	if !r.Spend() || !r.IsSpent() || size() != 0 {
		t.Errorf("given up, the reserve has %d bytes", size())
	}
	if r.Spend() {
		t.Error("given up twice")
	}
	if other.Look(); !other.IsSpent() {
		t.Error("another process does not know that the reserve is given up")
	}
	if !other.Fill() || other.IsSpent() || size() != had {
		t.Errorf("filled again, the reserve has %d bytes and had %d", size(), had)
	}
	if r.Look(); r.IsSpent() {
		t.Error("another process does not know that the reserve is back")
	}
	r.Spend()
	full = true
	if r.Fill() || !r.IsSpent() || size() != 0 {
		t.Errorf("on a disk that is full after all, the reserve has %d bytes", size())
	}
}

//go:build unix

package near

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// What one process writes to the table another sees, whoever has made it, and
// none of those who open a new one at the same time has it made anew, or finds
// himself alone, under the hands of others.
func TestOpenTogether(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "table")
		const n = 16
		var opened, all sync.WaitGroup
		var epochs [n]uint64
		opened.Add(n)
		for i := range n {
			all.Go(func() {
				table, err := openPath(path)
				opened.Done()
				if err != nil {
					t.Error(err)
					return
				}
				opened.Wait()
				epochs[i] = table.Epoch()
				table.slots[numSlots-1].Add(1)
				if err := table.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		table := openTable(t, path)
		if v := table.slots[numSlots-1].Load(); v != n {
			t.Fatalf("version %d: something was lost", v)
		}
		for _, e := range epochs {
			if e != epochs[0] || e == table.Epoch() || e&1 != 0 {
				t.Fatalf("epochs %d, and later %d", epochs, table.Epoch())
			}
		}
	}
}

// A file that is too short, because who made it died, is made anew; nobody can
// have mapped it. One that is too long may be in use, and is left as it is.
func TestStrangeSize(t *testing.T) {
	for _, size := range []int{0, 1, slotsOffset, tableSize - 1, tableSize, tableSize + 1, 2 * tableSize} {
		path := filepath.Join(t.TempDir(), "table")
		if err := os.WriteFile(path, bytes.Repeat([]byte{1}, size), 0o600); err != nil {
			t.Fatal(err)
		}
		table := openTable(t, path)
		table.slots[numSlots-1].Add(1) // is there
		info, err := os.Stat(path)
		if err != nil || info.Size() != int64(max(size, tableSize)) {
			t.Error(size, info.Size(), err)
		}
		if anew := table.slots[0].Load() == 0; anew != (size < tableSize) {
			t.Errorf("%d bytes: made anew is %v", size, anew)
		}
	}
	if _, err := openPath(t.TempDir()); err == nil {
		t.Error("a directory was opened")
	}
}

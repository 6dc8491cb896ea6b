//go:build unix

package shard

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// A symbolic link in the place of a shard, of a family or of a collection leads
// nowhere: no store is opened or made behind it.
func TestLinkedFolders(t *testing.T) {
	for _, name := range []string{"000", "deque", "deque/jobs"} {
		t.Run(name, func(t *testing.T) {
			dir, outside := t.TempDir(), t.TempDir()
			s, err := onDisk(t.Context(), dir, 2, 0, false)
			ok(t, err)
			open(t, s, "deque/jobs")
			ok(t, s.Close())
			ok(t, os.RemoveAll(filepath.Join(dir, name)))
			ok(t, os.Symlink(outside, filepath.Join(dir, name)))
			s, err = onDisk(t.Context(), dir, 2, 0, false)
			if err == nil {
				_, err = s.Open(t.Context(), "deque/jobs", driver.Spec{Settings: driver.DefaultSettings()})
				defer s.Close()
			}
			is(t, err, driver.ErrNotStore)
			entries, err := os.ReadDir(outside)
			ok(t, err)
			equal(t, len(entries), 0)
		})
	}
}

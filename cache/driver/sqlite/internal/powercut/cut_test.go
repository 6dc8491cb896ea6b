//go:build unix && !race

package powercut_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCut cuts the power at any moment of what a program does. Whatever of what
// was not synced the disk has, the store opens and is whole. With SyncFull it has
// everything that was acknowledged, with SyncNormal what it had after some step.
func TestCut(t *testing.T) {
	seed := seed(t)
	t.Logf("seed %d", seed)
	for i, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			p := w.record(t, rand.New(rand.NewPCG(seed, uint64(i))), nil)
			differs, err := p.disk.Verify(unrecorded)
			ok(t, err)
			if len(differs) > 0 {
				t.Fatal(strings.Join(differs, "\n"))
			}
			for range cuts(t) {
				if err := p.cut(read); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// TestCutUnsynced leaves syncs out, of one kind of file or folder at a time. Each
// time, some cut breaks a promise: so all of them are needed, and would be
// missed.
func TestCutUnsynced(t *testing.T) {
	seed := seed(t)
	t.Logf("seed %d", seed)
	is := func(names ...string) func(string) bool {
		return func(path string) bool { return slices.Contains(names, path) }
	}
	matches := func(pattern string) func(string) bool {
		re := regexp.MustCompile("^" + pattern + "$")
		return re.MatchString
	}
	const id, value = "store/cache.db-sessions/[^/]+/", "[0-9a-f]+[.]val"
	for i, c := range []struct {
		what     string
		unsynced func(path string) bool
		in       []string
	}{
		{"database", is("store/cache.db"), []string{"reopen-full", "reopen-normal", "delete-full", "delete-normal"}},
		{"log", is("store/cache.db-wal"), []string{"small-full", "reopen-normal"}},
		{"journal", is("store/cache.db-journal"), []string{"delete-full", "truncate-full", "persist-full", "delete-normal"}},
		{"store", is("store"), []string{"open-full", "open-normal", "files-full", "files-normal", "delete-full", "shards-full"}},
		{"folder of the store", is("."), []string{"open-full", "open-normal", "shards-full"}},
		{"shard", is("store/000", "store/001"), []string{"shards-full"}},
		{"file", matches(id + value), []string{"files-full", "files-normal", "delete-full", "delete-normal", "deque-full"}},
		{"copied file", matches("store/(cache.db-values/)?../../" + value), []string{"copies-full", "copies-normal"}},
		{"folder of files", matches("store/(cache.db-values/)?../.."), []string{"files-full", "files-normal", "delete-full"}},
		{"folder of folders", matches("store/(cache.db-values/)?.."), []string{"files-full", "files-normal", "delete-full"}},
		{"values", is("store/cache.db-values"), []string{"files-full", "files-normal"}},
		{"backup", matches("backup./store"), []string{"backup-full"}},
		{"file in a backup", matches("backup./.*val"), []string{"backup-full"}},
		{"folder in a backup", matches("backup./store/.*[^l]"), []string{"backup-full"}},
		{"folder of a backup", matches("backup."), []string{"backup-full"}},
	} {
		for j, name := range c.in {
			t.Run(c.what+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(seed, uint64(i<<8+j)))
				w := workloads()[slices.IndexFunc(workloads(), func(w workload) bool { return w.name == name })]
				var p *past
				for n := range 2000 {
					if n%20 == 0 {
						p = w.record(t, r, c.unsynced)
					}
					if err := p.cut(read); err != nil {
						return
					}
				}
				t.Error("nothing was missed")
			})
		}
	}
}

// unrecorded reports whether a file is one that is written to through a map, or
// not at all.
func unrecorded(path string) bool {
	for _, name := range []string{"-shm", "-near2", "-watch"} {
		if strings.HasSuffix(path, "cache.db"+name) {
			return true
		}
	}
	return false
}

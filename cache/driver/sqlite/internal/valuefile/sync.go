package valuefile

import (
	"errors"
	"io/fs"
	"iter"
	"path"
	"slices"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
)

// syncers is the number of files that are synced at the same time: a file system
// writes its journal once for several that wait for it.
const syncers = 16

// Sync syncs value files, and the folders that these and others are in. It
// returns the errors of those that may not survive a power cut. Those that are
// gone need not.
func Sync(in *osfs.Dir, files, others []string) (failed map[string]error) {
	failed = each(files, func(name string) error { return syncValue(in, name) })
	files = slices.Concat(files, others)
	seen := make(map[string]bool)
	var folders []string
	for _, f := range files {
		for dir := range foldersOf(f) {
			if seen[dir] {
				break
			}
			seen[dir] = true
			folders = append(folders, dir)
		}
	}
	unsynced := each(folders, func(dir string) error {
		err := in.SyncFolder(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if len(unsynced) == 0 {
		return failed
	}
	for _, f := range files {
		for dir := range foldersOf(f) {
			if err := unsynced[dir]; err != nil {
				failed[f] = err
			}
		}
	}
	return failed
}

// foldersOf returns the folders that a file is in, up to that of the store.
func foldersOf(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for dir := path.Dir(name); yield(dir) && dir != path.Dir(dir); dir = path.Dir(dir) {
		}
	}
}

func syncValue(in *osfs.Dir, name string) error {
	f, err := in.Modify(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// each calls fn for all names, for several at a time, and returns the errors.
func each(names []string, fn func(name string) error) map[string]error {
	failed := make(map[string]error)
	if len(names) == 1 {
		if err := fn(names[0]); err != nil {
			failed[names[0]] = err
		}
		return failed
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan string)
	for range min(syncers, len(names)) {
		all.Go(func() {
			for name := range next {
				if err := fn(name); err != nil {
					mu.Lock()
					failed[name] = err
					mu.Unlock()
				}
			}
		})
	}
	for _, name := range names {
		next <- name
	}
	close(next)
	all.Wait()
	return failed
}

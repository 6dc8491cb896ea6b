package shard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// databaseName is a file that every store in a directory has.
const databaseName = "cache.db"

// Opener opens a store that is kept in a directory.
type Opener func(ctx context.Context, dir string) (driver.Store, error)

// Open opens the store of n shards in the directory dir, with open for each
// of the directories below it, and creates what does not exist. A directory
// that holds a store without shards, or other files, is
// [driver.ErrNotStore].
func Open(ctx context.Context, dir string, n int, open Opener) (*Store, error) {
	if dir == "" {
		return nil, fmt.Errorf("no directory given: %w", driver.ErrNotStore)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	p := directory{dir, open}
	have, err := count(p)
	if err != nil {
		return nil, err
	}
	if have == 0 {
		if err := p.refuseForeignFiles(); err != nil {
			return nil, err
		}
	}
	return newStore(ctx, p, n)
}

// Refuse fails if dir holds a store with shards, which is not to be opened
// without.
func Refuse(dir string) error {
	p := directory{dir: dir}
	have, err := count(p)
	if err != nil || have == 0 || dir == "" {
		return nil // whoever opens it finds out what is wrong
	}
	if ok, err := p.Exists("."); ok || err != nil {
		return nil
	}
	return fmt.Errorf("%w: %s has %d and was opened without: open it with Shards: %d", ErrShards, dir, have, have)
}

// directory is the layout of a store on disk.
type directory struct {
	dir  string
	open Opener
}

func (p directory) path(rel string) string { return filepath.Join(p.dir, filepath.FromSlash(rel)) }

func (p directory) Dir() string { return p.dir }

func (p directory) Open(ctx context.Context, rel string) (driver.Store, error) {
	if err := p.real(rel); err != nil {
		return nil, err
	}
	return p.open(ctx, p.path(rel))
}

// real fails if a folder of rel is something else: a symbolic link would lead to
// a store elsewhere, or have one made there. So it does if a folder is there under
// a name that differs in the case of letters only, and the file system takes the
// two for the same, as those of Windows and macOS do: two collections would be one.
func (p directory) real(rel string) error {
	if rel == "." {
		return nil
	}
	for i, c := range rel + "/" {
		if c != '/' {
			continue
		}
		info, err := os.Lstat(p.path(rel[:i]))
		if err != nil {
			return nil // what is not there is no link, and of all else whoever opens it is told
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is no folder: remove what is in its place, or move back what it leads to: %w", p.path(rel[:i]), driver.ErrNotStore)
		}
		if ok, err := spelled(p.path(rel[:i]), info); err != nil {
			return err
		} else if !ok {
			return invalid(fmt.Sprintf("%q differs in upper and lower case only from the name of another collection or of a folder of one, and the file system takes them for the same: choose another name", rel))
		}
	}
	return nil
}

// spelled reports whether an existing folder has exactly the name by which it was
// found.
func spelled(name string, info fs.FileInfo) (bool, error) {
	up, base := filepath.Split(name)
	other := strings.ToUpper(base)
	if other == base {
		other = strings.ToLower(base)
	}
	same, err := os.Lstat(up + other)
	if other == base || err != nil || !os.SameFile(info, same) {
		return true, nil // as a rule, and without a look at the other names
	}
	entries, err := os.ReadDir(up)
	return slices.ContainsFunc(entries, func(d fs.DirEntry) bool { return d.Name() == base }), err
}

func (p directory) Exists(rel string) (bool, error) {
	if err := p.real(rel); err != nil {
		return false, err
	}
	_, err := os.Lstat(filepath.Join(p.path(rel), databaseName))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, fs.ErrPermission):
		return false, fmt.Errorf("%w: %w", driver.ErrPermission, err)
	}
	if info, err := os.Stat(p.path(rel)); err == nil && info.IsDir() {
		return false, err
	}
	return false, nil // below something that is no directory
}

// List implements layout. It does not look into the directories of stores.
func (p directory) List(family string) (all []string, err error) {
	if err := p.real(family); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(p.path(family))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		rel := path.Join(family, e.Name())
		ok, err := p.Exists(rel)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, rel)
			continue
		}
		below, err := p.List(rel)
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

// refuseForeignFiles fails if a directory without shards holds files that a
// store would not have put there.
func (p directory) refuseForeignFiles() error {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		if errors.Is(err, syscall.ENAMETOOLONG) {
			return nil // whoever opens it is told
		}
		if info, serr := os.Stat(p.dir); serr == nil && !info.IsDir() {
			return fmt.Errorf("%s is a file: give a directory: %w", p.dir, driver.ErrNotStore)
		}
		return err
	}
	if ok, err := p.Exists("."); ok || err != nil {
		if err == nil {
			err = fmt.Errorf("%w: %s holds a store without any: open it without Shards, or copy it into a new directory", ErrShards, p.dir)
		}
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.Contains(name, databaseName) && !slices.Contains(families, name) && name != shardName(0) {
			return fmt.Errorf("%s holds other files, such as %q, but no shards: give an empty directory or a new one: %w", p.dir, name, driver.ErrNotStore)
		}
	}
	return nil
}

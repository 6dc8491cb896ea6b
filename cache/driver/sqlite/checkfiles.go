package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/session"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
)

// The part of a check that compares rows with files. The caller has the write lock.

// rows checks the rows of c that have a value file, and adds the files to those that are known.
func (k *checker) rows(t *tx, c *collection, files map[string]bool) error {
	rows, err := t.rows(c, c.tables.Expand("SELECT "+table.BareRow+" FROM {T} WHERE {all}filename IS NOT NULL"), true)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if k.ctx.Err() != nil {
			return context.Cause(k.ctx)
		}
		p := driver.Problem{Collection: c.name, Path: r.File, Row: r.ID, Mended: k.mend}
		file := "" // that goes with the row
		if !isValueName(r.File) {
			p.Kind, p.Detail = driver.BadRow, "file name is none of a value"
		} else {
			info, err := k.store.core.files.Lstat(r.File)
			switch {
			case osfs.IsMissing(err), err == nil && !info.IsRegular():
				delete(files, r.File)
				p.Kind = driver.MissingFile
			case err != nil:
				return translate(err)
			case info.Size() != r.Size:
				files[r.File] = true
				// DiskCache has the row say what is there. That would make a
				// value of what has never been one.
				p.Kind, file = driver.WrongSize, r.File
				p.Detail = fmt.Sprintf("%d bytes, the row says %d", info.Size(), r.Size)
			default:
				files[r.File] = true
				continue
			}
		}
		k.report(p)
		if k.mend {
			if err := t.deleteRow(c, r.ID, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// files finds files that no row refers to, and folders without any.
func (k *checker) files(known map[string]bool) error {
	c := k.store.core
	_, err := k.folder(".", known)
	if err != nil {
		return translate(err)
	}
	_, err = k.folder(valuesName, known)
	if err == nil && k.mend {
		c.files.Remove(valuesName) // if it is empty
	}
	return translate(err)
}

// folder checks a folder and what is in it, and reports whether it is empty,
// or became so.
func (k *checker) folder(rel string, known map[string]bool) (empty bool, err error) {
	if k.ctx.Err() != nil {
		return false, context.Cause(k.ctx)
	}
	dir := k.store.core.files
	entries, err := dir.ReadDir(rel)
	if errors.Is(err, osfs.ErrNotRegular) {
		// A folder was made something else in this moment, or the one of values
		// is none.
		k.report(driver.Problem{Kind: driver.UnknownFile, Path: rel, Detail: err.Error()})
		return false, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Files of rows that are gone, and their folders, are removed by
		// their writer after it has released the lock, perhaps just now.
		return false, nil
	}
	if err != nil {
		return false, err
	}
	left := len(entries)
	for _, e := range entries {
		name := path.Join(rel, e.Name())
		switch {
		case rel == "." && isOwnName(e.Name()):
			continue
		case rel == "." && e.IsDir() && isShardOrFamily(e.Name()), e.IsDir() && k.isStore(name):
			continue // not ours
		case e.IsDir():
			gone, err := k.folder(name, known)
			if err != nil {
				return false, err
			}
			if !gone || known[name] {
				continue
			}
			k.report(driver.Problem{Kind: driver.EmptyDirectory, Path: name, Mended: k.mend})
		case known[name]:
			continue
		default:
			remove, err := k.unknownFile(name)
			if errors.Is(err, fs.ErrNotExist) {
				left--
				continue // just removed
			}
			if err != nil {
				return false, err
			}
			if !remove {
				continue
			}
		}
		if k.mend {
			if err := dir.RemoveIfThere(name); err != nil {
				return false, err
			}
			left--
		}
	}
	return left == 0, nil
}

// unknownFile reports a file that no row refers to, and returns whether to remove it.
func (k *checker) unknownFile(name string) (remove bool, err error) {
	info, err := k.store.core.files.Lstat(name)
	if err != nil {
		return false, err
	}
	p := driver.Problem{Kind: driver.UnknownFile, Path: name, Mended: k.mend}
	if time.Since(info.ModTime()) < unknownAge {
		p.Mended = false
		p.Detail = "too young to be removed: a program may be about to write its row"
	}
	k.report(p)
	return p.Mended, nil
}

// unknownAge is how old an unknown file has to be to be removed. Python's
// DiskCache writes a value's file before it waits for its turn to write the
// row.
const unknownAge = time.Minute

// isStore reports whether a folder holds a store of its own, such as a backup.
func (k *checker) isStore(rel string) bool {
	_, err := k.store.core.files.Lstat(path.Join(rel, databaseName))
	return err == nil
}

// isShardOrFamily reports whether a folder belongs to DiskCache's FanoutCache:
// a shard, or its named collections.
func isShardOrFamily(name string) bool {
	switch name {
	case "cache", "deque", "index":
		return true
	}
	if len(name) != 3 {
		return false
	}
	for _, r := range name {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

// leftOver finds temporary files of sessions that have ended. A value may have
// got its name in the store, but no row.
func (k *checker) leftOver(known map[string]bool) error {
	ss := k.store.core.sessions
	names, err := ss.Ended()
	if err != nil {
		return translate(err)
	}
	for _, name := range names {
		files, err := k.store.core.files.ReadDir(ss.Folder(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has just swept
		}
		if err != nil {
			return translate(err)
		}
		for _, f := range files {
			if f.Name() == session.LockFile {
				continue
			}
			values := valuefile.FinalNames(valuesName, f.Name())
			if slices.ContainsFunc(values, func(rel string) bool { return known[rel] }) {
				continue // it is a further name of a value
			}
			p := driver.Problem{Kind: driver.LeftOver, Path: path.Join(sessionsName, name, f.Name()), Mended: k.mend}
			if !isSessionFile(f.Name(), f.IsDir()) {
				p.Kind, p.Mended, p.Detail = driver.UnknownFile, false, "no session makes a file of this name: remove it by hand"
			}
			k.report(p)
			for _, rel := range values {
				if !k.mend {
					break
				}
				if err := k.store.core.values.Remove(rel); err != nil {
					return translate(err)
				}
			}
		}
		if !k.mend {
			continue
		}
		if err := ss.Remove(name); err != nil {
			return translate(err)
		}
	}
	return nil
}

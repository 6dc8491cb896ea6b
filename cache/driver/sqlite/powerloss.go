package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/osfs"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/valuefile"
)

// After a power cut, the log may have transactions whose value files have not reached the disk.
// core.openFiles calls mendLog before anything is written, or needsNoMending if the
// store is opened for reading only.

// mendPatience bounds how long mendLog waits for other processes that have the
// database open.
const mendPatience = 5 * time.Second

// mendLog undoes, after a power cut, what the log has of transactions whose value
// files were not on the disk yet: it cuts the log before the first of them. So
// the store is as it was after some transaction, with all files. A process that was
// killed without a power cut has left whole files, and so nothing is undone.
//
// It cannot be done while another process has the database open, or if another
// program has copied what is to be undone into the database. Then the files that
// are not whole are removed, so that no reader takes them for values.
//
// It returns what it has synced and the list still has.
func (c *core) mendLog(ctx context.Context) (synced []unsynced, err error) {
	whole := make(map[string]bool)
	patience := mendPatience
	if c.opts.Timeout > 0 {
		patience = min(patience, c.opts.Timeout)
	}
	deadline := time.Now().Add(patience)
	cuts := 0
	for {
		broken, err := c.brokenFiles(whole)
		if err != nil {
			return nil, err
		}
		if len(broken) == 0 {
			if cuts > 0 {
				c.log.Warn("after a power cut, the last transactions are undone: the files of their values were not on the disk", "cuts", cuts)
			}
			return c.syncWithoutLog()
		}
		if err := c.readers.drain(); err != nil {
			return nil, translate(err)
		}
		cut, err := sqlite3.CutLog(c.path(databaseName), []byte(broken[0].path))
		switch {
		case cut:
			cuts++
			continue
		case sqlite3.IsBusy(err) && time.Now().Before(deadline):
			// Perhaps another process opens the store and cuts the log, too.
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		case err != nil && !sqlite3.IsBusy(err):
			return nil, translate(err)
		}
		for _, u := range broken {
			if err := c.values.Remove(u.path); err != nil { // or what is in its place
				return nil, translate(err)
			}
		}
		c.log.Error("after a power cut, values are lost: their files were not on the disk, and their rows cannot be undone; Check tells which",
			"values", len(broken))
		return nil, nil
	}
}

// needsNoMending fails where mendLog would undo something, for a store that is
// opened for reading only.
func (c *core) needsNoMending() error {
	broken, err := c.brokenFiles(make(map[string]bool))
	if err == nil && len(broken) > 0 { // or a writer has just removed one with its row
		broken, err = c.brokenFiles(make(map[string]bool))
	}
	if err == nil && len(broken) > 0 {
		err = fmt.Errorf("%w: after a power cut, the files of the last values are not whole: open the store for writing once, which undoes their transactions", driver.ErrCorrupt)
	}
	return translate(err)
}

// syncWithoutLog syncs what is listed if there is to be no log any more.
func (c *core) syncWithoutLog() ([]unsynced, error) {
	if c.opts.JournalMode == JournalWAL || c.opts.syncing() == syncNever {
		return nil, nil
	}
	list, err := c.listed()
	if err != nil {
		return nil, err
	}
	return c.durable.syncList(list), nil
}

// brokenFiles returns those of the listed files that are not whole, although a
// row refers to them, oldest first. Nothing is wrong with those of processes that
// live. whole remembers what was looked at.
func (c *core) brokenFiles(whole map[string]bool) (broken []unsynced, err error) {
	all, err := c.listed()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	cn, err := c.readers.take(context.Background(), c.opts.Timeout)
	if err != nil {
		return nil, err
	}
	defer c.readers.put(cn)
	lives := make(map[string]bool)
	for _, u := range all {
		if u.trashed {
			continue
		}
		if size, used, err := cn.refersTo(u); err != nil {
			return nil, err
		} else if !used {
			continue
		} else if _, known := whole[u.path]; !known {
			if _, known := lives[u.session]; !known {
				if lives[u.session], err = c.alive(u.session); err != nil {
					return nil, err
				}
			}
			if whole[u.path] = lives[u.session]; !lives[u.session] {
				if whole[u.path], err = c.isWhole(u, size); err != nil {
					return nil, err
				}
			}
		}
		if !whole[u.path] {
			broken = append(broken, u)
		}
	}
	return broken, nil
}

// isWhole reports whether a file is what was written.
func (c *core) isWhole(u unsynced, size int64) (bool, error) {
	f, err := c.files.Read(u.path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, osfs.ErrNotRegular) {
		return false, nil
	}
	if err != nil {
		return false, translate(err)
	}
	defer f.Close()
	info, err := f.Info()
	if err != nil || info.Size() != size {
		return false, translate(err)
	}
	have, err := valuefile.Checksum(f)
	return have == u.sum, translate(err)
}

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Volume implements [driver.Store].
func (s *Store) Volume(ctx context.Context) (v driver.Volume, err error) {
	err = s.View(ctx, func(dt driver.Tx) error {
		cn := dt.(*tx).conn
		pages, err := cn.integer("PRAGMA page_count")
		if err != nil {
			return err
		}
		size, err := cn.integer("PRAGMA page_size")
		if err != nil {
			return err
		}
		v.Database = pages * size
		if v.Files, err = cn.integer("SELECT value FROM Settings WHERE key = 'size'"); err != nil {
			return err
		}
		ids, err := cn.collectionIDs()
		if err != nil {
			return nil // a directory of Python's has no named collections
		}
		for _, id := range ids {
			if id == 0 {
				continue
			}
			n, err := cn.integer(fmt.Sprintf("SELECT total(size) FROM Cache_%d WHERE filename IS NOT NULL", id))
			if err != nil {
				return err
			}
			v.Files += n
		}
		return nil
	})
	if err != nil {
		return v, err
	}
	info, err := s.core.files.Lstat(databaseName + "-wal")
	if err == nil {
		v.WAL = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return v, translate(err)
	}
	return v, nil
}

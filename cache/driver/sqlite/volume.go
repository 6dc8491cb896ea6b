package sqlite

import (
	"context"
	"errors"
	"io/fs"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
)

// Volume implements [driver.Measurer].
func (s *Store) Volume(ctx context.Context) (driver.Volume, error) {
	var database, log, files int64
	err := s.View(ctx, func(dt driver.Tx) error {
		cn := dt.(*tx).conn
		pages, err := cn.integer("PRAGMA page_count")
		if err != nil {
			return err
		}
		size, err := cn.integer("PRAGMA page_size")
		if err != nil {
			return err
		}
		database = pages * size
		ids, err := cn.owners()
		if err != nil {
			return err
		}
		for _, id := range ids {
			sql := "SELECT total(max(size, 0)) FROM {T} WHERE filename IS NOT NULL"
			if id == 0 { // this size counts files alone
				sql = "SELECT max(value, 0) FROM {S} WHERE key = 'size' AND typeof(value) = 'integer'"
			}
			n, err := cn.integer(table.Of(id).Expand(sql))
			if err != nil {
				return err
			}
			files = saturatingAdd(files, n)
		}
		return nil
	})
	if err != nil {
		return driver.Volume{}, err
	}
	info, err := s.core.files.Lstat(databaseName + "-wal")
	if err == nil {
		log = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return driver.Volume{}, translate(err)
	}
	return driver.Volume{
		Total: saturatingAdd(saturatingAdd(database, log), files),
		Parts: map[string]int64{"database": database, "log": log, "files": files},
	}, nil
}

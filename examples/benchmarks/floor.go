package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// The floor is what this project's reads and writes cost when nothing is
// around them: the same statements, on a database with the same tables and
// triggers, which this project has made.
const (
	floorGet = "SELECT rowid, expire_time, mode, filename, value, store_time, access_time, access_count, tag, size" +
		" FROM Cache WHERE key = ?1 AND raw = 1"
	floorFind   = "SELECT rowid, expire_time, tag, filename FROM Cache WHERE key = ?1 AND raw = 1"
	floorInsert = "INSERT INTO Cache (key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)" +
		" VALUES (?1, 1, ?2, NULL, ?2, 0, NULL, 0, 1, NULL, ?3)"
	floorOverwrite = "UPDATE Cache SET store_time = ?2, access_time = ?2, access_count = 0," +
		" size = 0, mode = 1, filename = NULL, value = ?3 WHERE rowid = ?1"
	floorDelete = "DELETE FROM Cache WHERE rowid = ?1"
	floorBegin  = "BEGIN IMMEDIATE"
	floorCommit = "COMMIT"

	floorPragmas = "PRAGMA busy_timeout = 60000; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -3072;"
)

// floorConn is a connection with the statements above prepared. One goroutine
// uses it.
type floorConn interface {
	begin() error
	commit() error
	get(key string) ([]byte, bool, error)
	find(key string) (rowid int64, ok bool, err error)
	insert(key string, now float64, value []byte) error
	overwrite(rowid int64, now float64, value []byte) error
	remove(rowid int64) error
	close() error
}

// floorEngine is an engine on the connections that connect makes.
func floorEngine(name, about, missing string, connect func(file string) (floorConn, error)) *engine {
	return &engine{
		name: name, about: about, durability: survivesProcess, does: floorLoads, processes: true, missing: missing,
		open: func(ctx context.Context, j *job) (store, error) {
			dir := filepath.Join(j.Dir, "store")
			c, err := cache.Open(ctx, dir, &cache.Options[string, []byte]{SizeLimit: -1})
			if err != nil {
				return nil, err
			}
			if err := c.Close(); err != nil {
				return nil, err
			}
			return &floorStore{file: filepath.Join(dir, "cache.db"), connect: connect}, nil
		},
	}
}

// floorEngines are the floor on each binding of SQLite.
func floorEngines() []*engine {
	return []*engine{
		floorEngine("floor-modernc", "the statements alone, on modernc.org/sqlite/lib", "", connectModernc),
		floorEngine("floor-mattn", "the statements alone, on mattn/go-sqlite3 (SQLite in C)", mattnMissing, connectMattn),
	}
}

type floorStore struct {
	file    string
	connect func(file string) (floorConn, error)
	conns   []floorConn
}

func (s *floorStore) client() (client, error) {
	c, err := s.connect(s.file)
	if err != nil {
		return nil, err
	}
	s.conns = append(s.conns, c)
	return &floorClient{c}, nil
}

func (s *floorStore) load(src source, from, to int) error {
	c, err := s.connect(s.file)
	if err != nil {
		return err
	}
	defer c.close()
	const batch = 1000
	for ; from < to; from += batch {
		if err := c.begin(); err != nil {
			return err
		}
		for i := from; i < min(from+batch, to); i++ {
			if err := (&floorClient{c}).put(src.key(i), src.value()); err != nil {
				return err
			}
		}
		if err := c.commit(); err != nil {
			return err
		}
	}
	return nil
}

func (s *floorStore) close() error {
	var err error
	for _, c := range s.conns {
		if cerr := c.close(); err == nil {
			err = cerr
		}
	}
	return err
}

type floorClient struct{ c floorConn }

func (c *floorClient) get(key string) ([]byte, bool, error) { return c.c.get(key) }

func (c *floorClient) set(key string, value []byte) error {
	if err := c.c.begin(); err != nil {
		return err
	}
	if err := c.put(key, value); err != nil {
		return err
	}
	return c.c.commit()
}

func (c *floorClient) put(key string, value []byte) error {
	now := float64(time.Now().UnixMicro()) / 1e6
	rowid, ok, err := c.c.find(key)
	switch {
	case err != nil:
		return fmt.Errorf("find: %w", err)
	case ok:
		return c.c.overwrite(rowid, now, value)
	default:
		return c.c.insert(key, now, value)
	}
}

func (c *floorClient) delete(key string) error {
	if err := c.c.begin(); err != nil {
		return err
	}
	rowid, ok, err := c.c.find(key)
	if err == nil && ok {
		err = c.c.remove(rowid)
	}
	if err != nil {
		return err
	}
	return c.c.commit()
}

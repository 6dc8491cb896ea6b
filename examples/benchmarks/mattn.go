//go:build cgo_engines && cgo

package main

import (
	"database/sql/driver"
	"errors"
	"io"

	"github.com/mattn/go-sqlite3"
)

const mattnMissing = ""

// mattn is a connection of mattn/go-sqlite3, used without database/sql, whose
// cost is its own.
type mattn struct {
	conn *sqlite3.SQLiteConn

	beginS, commitS, getS, findS, insertS, overwriteS, deleteS driver.Stmt

	row []driver.Value
}

func connectMattn(file string) (floorConn, error) {
	conn, err := (&sqlite3.SQLiteDriver{}).Open("file:" + file + "?_mutex=no")
	if err != nil {
		return nil, err
	}
	c := &mattn{conn: conn.(*sqlite3.SQLiteConn), row: make([]driver.Value, 10)}
	if _, err := c.conn.Exec(floorPragmas, nil); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		stmt *driver.Stmt
		sql  string
	}{
		{&c.beginS, floorBegin}, {&c.commitS, floorCommit}, {&c.getS, floorGet}, {&c.findS, floorFind},
		{&c.insertS, floorInsert}, {&c.overwriteS, floorOverwrite}, {&c.deleteS, floorDelete},
	} {
		if *s.stmt, err = c.conn.Prepare(s.sql); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func execute(s driver.Stmt, args ...driver.Value) error {
	_, err := s.Exec(args) //lint:ignore SA1019 the one that does without a context is the quicker one
	return err
}

// first reads the first row of a query into c.row.
func (c *mattn) first(s driver.Stmt, n int, args ...driver.Value) (ok bool, err error) {
	rows, err := s.Query(args) //lint:ignore SA1019 as above
	if err != nil {
		return false, err
	}
	err = rows.Next(c.row[:n])
	cerr := rows.Close()
	if errors.Is(err, io.EOF) {
		return false, cerr
	}
	return err == nil, errors.Join(err, cerr)
}

func (c *mattn) begin() error  { return execute(c.beginS) }
func (c *mattn) commit() error { return execute(c.commitS) }

func (c *mattn) get(key string) ([]byte, bool, error) {
	ok, err := c.first(c.getS, 10, key)
	if !ok {
		return nil, false, err
	}
	value, _ := c.row[4].([]byte)
	return value, true, nil
}

func (c *mattn) find(key string) (int64, bool, error) {
	ok, err := c.first(c.findS, 4, key)
	if !ok {
		return 0, false, err
	}
	return c.row[0].(int64), true, nil
}

func (c *mattn) insert(key string, now float64, value []byte) error {
	return execute(c.insertS, key, now, value)
}

func (c *mattn) overwrite(rowid int64, now float64, value []byte) error {
	return execute(c.overwriteS, rowid, now, value)
}

func (c *mattn) remove(rowid int64) error { return execute(c.deleteS, rowid) }

func (c *mattn) close() error {
	for _, s := range []driver.Stmt{c.beginS, c.commitS, c.getS, c.findS, c.insertS, c.overwriteS, c.deleteS} {
		s.Close()
	}
	return c.conn.Close()
}

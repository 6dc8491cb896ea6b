// Package sqlitetest lets tests look at and spoil the database of a store, as
// a program would that knows nothing of the store.
package sqlitetest

import (
	"errors"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/codec"
)

// DB is a connection to a database.
type DB struct{ c *sqlite3.Conn }

// Open opens the database in a file, and makes it if it does not exist. Where
// somebody else holds a lock, statements wait for up to a minute, as those of
// Python's DiskCache do.
func Open(path string) (*DB, error) {
	c, err := sqlite3.Open(path, sqlite3.ReadWriteCreate|sqlite3.DefaultVFS)
	if err != nil {
		return nil, err
	}
	db := &DB{c}
	if err := db.Exec("PRAGMA busy_timeout = 60000"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Exec runs statements.
func (db *DB) Exec(sql string) error { return db.c.Exec(sql) }

// Row returns the first row of a query.
func (db *DB) Row(sql string) ([]codec.Value, error) {
	s, err := db.c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	defer s.Finalize()
	ok, err := s.Step()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("no row")
	}
	row := make([]codec.Value, s.ColumnCount())
	for i := range row {
		row[i] = s.ColumnValue(i)
	}
	return row, nil
}

// Close closes the connection.
func (db *DB) Close() error { return db.c.Close() }

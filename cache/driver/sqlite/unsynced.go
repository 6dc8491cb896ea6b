package sqlite

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// unsynced is a row of table Unsynced, the list of value files that may not be on the disk
// yet. The transaction that refers to a file writes its row; after the file was synced
// (durable.go) a later one deletes that. What is still there after a power cut is looked
// through (powerloss.go).
type unsynced struct {
	id      int64
	path    string
	sum     uint32 // of the content, see [valuefile.Checksum]
	session string // of the process that has written it

	// The collection and the rowid of the row that refers to it, unless that has changed
	// since: a rowid may be used again.
	coll, row int64

	trashed bool // no collection has a row of it any more, or it is no name of a value file
}

// referredFiles returns the files of a list that rows refer to.
func referredFiles(list []unsynced) (files []string) {
	for _, u := range list {
		if !u.trashed {
			files = append(files, u.path)
		}
	}
	return files
}

// list adds a file to the list, in the transaction that makes its row.
func (t *tx) list(f *file, c *collection, row int64) error {
	return t.conn.run("INSERT INTO Unsynced (path, sum, session, coll, row) VALUES (?1, ?2, ?3, ?4, ?5)",
		codec.TextValue(f.Path()), codec.IntegerValue(int64(f.Sum())), codec.TextValue(f.Session()), codec.IntegerValue(c.id), codec.IntegerValue(row))
}

// unsynced returns the list, oldest first, as this connection sees it.
func (cn *conn) unsynced() (all []unsynced, err error) {
	err = cn.each("SELECT id, path, sum, session, coll, row, path IN (SELECT path FROM Trash) FROM Unsynced ORDER BY id", func(s *sqlite3.Stmt) {
		all = append(all, unsynced{
			id: s.ColumnInt(0), path: s.ColumnText(1), sum: uint32(s.ColumnInt(2)), session: s.ColumnText(3),
			coll: s.ColumnInt(4), row: s.ColumnInt(5), trashed: s.ColumnInt(6) != 0 || !isValueName(s.ColumnText(1)),
		})
	})
	return all, err
}

// dropListed removes from a set of files those that are no left-overs: that Unsynced lists
// and a row refers to, and that Trash lists.
func (cn *conn) dropListed(files map[string]bool) error {
	list, err := cn.unsynced()
	if err != nil {
		return err
	}
	for _, u := range list {
		if !files[u.path] {
			continue
		}
		_, used, err := cn.refersTo(u)
		if err != nil {
			return err
		}
		if used || u.trashed {
			delete(files, u.path)
		}
	}
	for rel := range files {
		_, err := cn.first("SELECT 1 FROM Trash WHERE path = ?1", func(*sqlite3.Stmt) { delete(files, rel) }, codec.TextValue(rel))
		if err != nil {
			return err
		}
	}
	return nil
}

// unlist deletes rows of Unsynced.
func (t *tx) unlist(done []unsynced) error {
	for _, u := range done {
		// An id can be used again when all after it are gone.
		err := t.conn.run("DELETE FROM Unsynced WHERE id = ?1 AND CAST(path AS TEXT) = ?2", codec.IntegerValue(u.id), codec.TextValue(u.path))
		if err != nil {
			return t.fail(err)
		}
	}
	return nil
}

// listed returns the list, with a connection of its own, and none where the table is
// missing.
func (c *core) listed() ([]unsynced, error) {
	cn, err := c.readers.take(context.Background(), c.opts.Timeout)
	if err != nil {
		return nil, err
	}
	defer c.readers.put(cn)
	if n, err := cn.integer("SELECT count(*) FROM sqlite_master WHERE name = 'Unsynced'"); err != nil || n == 0 {
		return nil, err
	}
	return cn.unsynced()
}

// refersTo reports whether a row still refers to a file, and what size it says
// that this has. Another process may drop the collection at any moment, also one whose
// tables this connection has just seen.
func (cn *conn) refersTo(u unsynced) (size int64, used bool, err error) {
	if !table.IsNumber(u.coll) {
		return 0, false, nil
	}
	c := newCollection(cn.core, "", u.coll)
	s, err := cn.query(c.tables.Expand("SELECT size FROM {T} WHERE rowid = ?1{base} AND filename = ?2"))
	if err == nil {
		c.tables.Bind(s, c.id)
		s.BindInt(1, u.row)
		s.BindText(2, u.path)
		used, err = s.First(func() { size = s.ColumnInt(0) })
	}
	if sqlite3.MissingTable(err) == c.tables.Rows {
		return 0, false, nil
	}
	return size, used, translate(err)
}

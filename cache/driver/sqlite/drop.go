package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/wake"
)

// Dropping a collection, and the tables of one: made here too, since what is made has to go.

// Drop implements [driver.Store].
func (s *Store) Drop(ctx context.Context, name string) error {
	err := s.Update(ctx, driver.Alone, func(dt driver.Tx) error {
		t := dt.(*tx)
		e, ok, err := t.conn.catalogEntry(name)
		if err != nil || !ok {
			return err
		}
		return t.drop(s.core.numbered(name, e.id))
	})
	if err != nil {
		return err
	}
	wake.Signal(s.core.maintainer.trash)
	if name == "" {
		return nil
	}
	s.core.mu.Lock()
	c := s.core.colls[name]
	delete(s.core.colls, name)
	s.core.mu.Unlock()
	if c != nil {
		c.dropped.Store(true)
		s.core.watchers.Notify(c)
		s.core.watchers.Signal(c.Topic())
		s.core.readers.forget(c)
	}
	return nil
}

// drop removes the rows of c, and all of c if it has a name.
func (t *tx) drop(c *collection) error {
	t.changedAll()
	t.touch(c)
	// No trigger lists value files: they go to Trash before the rows are deleted.
	steps := []string{"INSERT INTO Trash (path) SELECT filename FROM {T} WHERE {all}filename IS NOT NULL"}
	switch {
	case c.id == 0:
		steps = append(steps, "DELETE FROM {T}")
	case c.tables.AreShared:
		steps = append(steps, "DELETE FROM {T} WHERE {in}true", "DELETE FROM {S} WHERE {in}true")
	default:
		steps = append(steps, "DROP TABLE {T}", "DROP TABLE {S}")
		t.conn.forget(c)
		t.core.writer.named = nil
	}
	if c.id != 0 {
		steps = append(steps, fmt.Sprintf("DELETE FROM Collections WHERE id = %d", c.id))
	}
	c.endKeys = endKeys{}
	for _, sql := range steps {
		if err := t.conn.do(c, sql); err != nil {
			return t.fail(err)
		}
	}
	return nil
}

// createTables makes the tables of c, which has none.
func (t *tx) createTables(c *collection) error {
	t.core.writer.named = nil
	if !c.tables.AreShared {
		return t.conn.create(c.tables, table.Set{})
	}
	ids, err := t.conn.owners()
	if err != nil || slices.Contains(ids, table.SharedFirst) {
		return err
	}
	if err := t.conn.create(c.tables, table.Set{}); err != nil {
		return err
	}
	return t.conn.Exec(fmt.Sprintf("INSERT INTO %s VALUES (0, 'size', 0); PRAGMA user_version = %d", c.tables.Settings, table.FormatShared))
}

package shard

import (
	"context"
	"fmt"
	"math"
	"path"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// idBits is how many bits of an ID are the shard's own.
const idBits = 48

// global makes a row of part i one of the collection.
func (c *collection) global(i int, r *driver.Row) {
	r.ID = globalID(i, r.ID)
	if r.File != "" {
		r.File = path.Join(c.members[i].rel, r.File)
	}
}

func (c *collection) globalAll(i int, rows []driver.Row) []driver.Row {
	for j := range rows {
		c.global(i, &rows[j])
	}
	return rows
}

func globalID(i int, id int64) int64 { return int64(i)<<idBits + id }

// localID splits an ID. The part may not exist.
func localID(id int64) (i int, local int64) {
	return int(id >> idBits), id & (1<<idBits - 1)
}

// idIn returns the ID that stands, among those of part i, where id stands
// among all.
func idIn(i int, id int64) int64 {
	switch of, local := localID(id); {
	case of > i:
		return math.MaxInt64
	case of < i:
		return math.MinInt64
	default:
		return local
	}
}

// OpenFile implements [driver.Filer].
func (s *Store) OpenFile(ctx context.Context, h driver.Collection, r driver.Row) (driver.Content, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	c, err := s.own(h)
	if err != nil {
		return nil, err
	}
	for i, m := range c.members {
		if file, ok := strings.CutPrefix(r.File, m.rel+"/"); ok {
			_, r.ID = localID(r.ID)
			r.File = file
			st, err := driver.As[driver.Filer](m.store)
			if err != nil {
				return nil, err
			}
			return st.OpenFile(ctx, c.parts[i], r)
		}
	}
	return nil, fmt.Errorf("%w: row refers to no file of the store", driver.ErrCorrupt)
}

package memory

import (
	"maps"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// state is everything that is committed at some moment. A published state
// does not change, nor does anything that it refers to.
type state struct {
	tables    map[string]*table
	fence     int64
	lastTable int64
}

// clone returns a state whose tables can be replaced.
func (st *state) clone() *state {
	c := *st
	c.tables = maps.Clone(st.tables)
	if c.tables == nil {
		c.tables = make(map[string]*table)
	}
	return &c
}

// find returns the table of a collection, or nil if it was dropped. The name
// alone does not tell: there may be a new one called the same.
func (st *state) find(c *collection) *table {
	if t := st.tables[c.name]; t != nil && t.id == c.id {
		return t
	}
	return nil
}

// byID returns the table with that id, or nil.
func (st *state) byID(id int64) *table {
	for _, t := range st.tables {
		if t.id == id {
			return t
		}
	}
	return nil
}

// marks are what reads leave behind: they are gathered beside the state, since
// a read must not wait for a writer, and absorbed by the next writer.
type marks struct {
	rows  map[*life]*mark
	stats map[int64]*driver.Stats // by table
}

// mark is what reads left on one row.
type mark struct {
	table    int64
	row      int64
	accesses int64
	accessed driver.Instant
	slide    driver.Instant
}

func (m *marks) empty() bool { return len(m.rows) == 0 && len(m.stats) == 0 }

// add gathers what one read leaves behind. r is nil for a miss.
func (m *marks) add(t *table, r *row, l driver.Lookup) {
	if t.settings.Statistics && !l.Quiet {
		if m.stats == nil {
			m.stats = make(map[int64]*driver.Stats)
		}
		s := m.stats[t.id]
		if s == nil {
			s = new(driver.Stats)
			m.stats[t.id] = s
		}
		count(s, r != nil)
	}
	one, ok := markOf(t, r, l)
	if !ok {
		return
	}
	if m.rows == nil {
		m.rows = make(map[*life]*mark)
	}
	sum := m.rows[r.life]
	if sum == nil {
		m.rows[r.life] = &one
		return
	}
	sum.accesses += one.accesses
	sum.accessed = max(sum.accessed, one.accessed)
	if one.slide != 0 {
		sum.slide = one.slide
	}
}

// apply writes the marks into st. Rows that were replaced or removed since
// they were read are left alone.
func (m *marks) apply(st *state) {
	changed := make(map[int64]*table)
	change := func(id int64) *table {
		t := changed[id]
		if t == nil {
			old := st.byID(id)
			if old == nil {
				return nil
			}
			t = old.clone()
			changed[id] = t
			st.tables[t.name] = t
		}
		return t
	}
	for id, s := range m.stats {
		if t := change(id); t != nil {
			t.stats.Hits += s.Hits
			t.stats.Misses += s.Misses
		}
	}
	for life, one := range m.rows {
		if t := change(one.table); t != nil {
			if r := t.byID(one.row); r != nil && r.life == life {
				t.mark(r, *one)
			}
		}
	}
}

// markOf returns what a read leaves on the row that it found.
func markOf(t *table, r *row, l driver.Lookup) (mark, bool) {
	if r == nil {
		return mark{}, false
	}
	m := mark{table: t.id, row: r.ID}
	if !l.Quiet && t.settings.Policy.CountsAccesses() {
		m.accesses, m.accessed = 1, l.Instant()
	}
	if r.Expire != 0 {
		m.slide = l.Slide
	}
	return m, m.accesses != 0 || m.slide != 0
}

func count(s *driver.Stats, hit bool) {
	if hit {
		s.Hits++
	} else {
		s.Misses++
	}
}

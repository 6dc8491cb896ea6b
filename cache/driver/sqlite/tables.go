package sqlite

import (
	"fmt"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/lite"
)

// tables are where the rows and the settings of collections are: Cache and
// Settings for the default collection, Cache_N and Settings_N for the named one
// with number N that has tables of its own, and one pair that all others share.
// There, the row with ID i of the collection with number N has the rowid
// (N - sharedFirst) << 40 + i, so that the rows of a collection lie together, in
// the order of their IDs.
type tables struct {
	rows, settings string
	shared         bool
	words          *strings.Replacer
}

const (
	// sharedFirst is less than the numbers of collections that share tables,
	// and more than all others.
	sharedFirst = 1 << 20
	// sharedIDs is more than the ID of any row there.
	sharedIDs = 1 << 40
	// numberLimit is more than the number of any collection.
	numberLimit = sharedFirst + 1<<22
	// collParam is the parameter that says which of the collections that share
	// tables a statement is about.
	collParam = 9
)

// maxOwn is how many named collections have tables of their own. SQLite reads
// the whole schema whenever it has changed, in a time that grows faster than the
// schema; but a row among those of others takes longer to be found, and an index
// that one collection needs costs all.
const maxOwn = 32

var (
	defaultTables = newTables("Cache", "Settings", false)
	sharedTables  = newTables("Cache_shared", "Settings_shared", true)
)

// tablesOf returns the tables of the collection with a number.
func tablesOf(id int64) *tables {
	switch {
	case id == 0:
		return defaultTables
	case id < sharedFirst:
		return newTables(fmt.Sprintf("Cache_%d", id), fmt.Sprintf("Settings_%d", id), false)
	}
	return sharedTables
}

func newTables(rows, settings string, shared bool) *tables {
	words := []string{"{T}", rows, "{S}", settings}
	if shared {
		const all = "rowid > (?9 << 40) AND rowid < (?9 + 1 << 40)"
		words = append(words,
			"{in}", "coll = ?9 AND ",
			"{all}", all+" AND ",
			"{id}", "rowid - (?9 << 40)",
			"{base}", " + (?9 << 40)",
			"{new}", "rowid, coll, ",
			"{next}", "(SELECT coalesce(max(rowid), ?9 << 40) + 1 FROM "+rows+" WHERE "+all+"), ?9, ",
			"{coll}", "coll, ", "{?}", "?9, ")
	} else {
		words = append(words, "{in}", "", "{all}", "", "{id}", "rowid", "{base}", "", "{new}", "", "{next}", "", "{coll}", "", "{?}", "")
	}
	return &tables{rows: rows, settings: settings, shared: shared, words: strings.NewReplacer(words...)}
}

// expand puts into SQL
//
//	{T}, {S}  the tables of rows and of settings
//	{in}      a condition on keys, tags, times and settings: those of the collection
//	{all}     a condition for a walk through its rows
//	{id}      the ID of a row
//	{base}    what is to be added to an ID, for a rowid
//	{new}     columns of a new row, before all others, and
//	{next}    their values
//	{coll}    the first column of an index or of a row of settings, and
//	{?}       its value
func (t *tables) expand(sql string) string { return t.words.Replace(sql) }

// bind says to a statement that expand has made which collection it is about.
func (c *collection) bind(s *lite.Stmt) {
	if c.tables.shared {
		s.BindInt(collParam, c.id-sharedFirst)
	}
}

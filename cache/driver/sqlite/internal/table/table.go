// Package table knows the tables of a store: their names and columns, the SQL that
// makes them, the SQL that reads and writes them, and what their columns mean.
//
// [Tables] are those of a collection. A [Statement] is SQL that every collection has,
// and a [ScanShape] puts the SQL of a page of rows together. [ReadRow], [Found] and
// [Value] are the way from columns to a row and back. [Schema] is what a database has
// of all that, and refuses what could run.
//
// The package prepares no statement, opens no transaction and keeps nothing about a
// collection. It takes no locks.
package table

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// Tables are where the rows and the settings of collections are: Cache and
// Settings for the default collection, Cache_N and Settings_N for the named one
// with number N that has tables of its own, and one pair that all others share.
// There, the row with ID i of the collection with number N has the rowid
// (N - SharedFirst) << 40 + i, so that the rows of a collection lie together, in
// the order of their IDs.
type Tables struct {
	Rows, Settings string // the names of the tables; "" for [Store]
	AreShared      bool

	parts []part
	words *strings.Replacer
}

const (
	// SharedFirst is less than the numbers of collections that share tables,
	// and more than all others.
	SharedFirst = 1 << 20
	// sharedIDs is more than the ID of any row there.
	sharedIDs = 1 << 40
	// NumberLimit is more than the number of any collection.
	NumberLimit = SharedFirst + 1<<22
	// collParam is the parameter that says which of the collections that share
	// tables a statement is about.
	collParam = 9
)

// MaxOwn is how many named collections have tables of their own. SQLite reads
// the whole schema whenever it has changed, in a time that grows faster than the
// schema; but a row among those of others takes longer to be found, and an index
// that one collection needs costs all.
const MaxOwn = 32

var (
	// Default are the tables of the default collection.
	Default = newTables("Cache", "Settings", false)
	// SharedTables are those of all collections that have none of their own.
	SharedTables = newTables("Cache_shared", "Settings_shared", true)
	// Store are the tables that the store has once, which no collection's row is in.
	Store = &Tables{parts: storeParts, words: strings.NewReplacer()}
)

// Of returns the tables of the collection with a number.
func Of(id int64) *Tables {
	switch {
	case id == 0:
		return Default
	case id < SharedFirst:
		return newTables(fmt.Sprintf("Cache_%d", id), fmt.Sprintf("Settings_%d", id), false)
	}
	return SharedTables
}

func newTables(rows, settings string, shared bool) *Tables {
	parts := ownParts
	words := []string{"{T}", rows, "{S}", settings}
	if shared {
		parts = sharedParts
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
	return &Tables{Rows: rows, Settings: settings, AreShared: shared, parts: parts, words: strings.NewReplacer(words...)}
}

// Expand puts into SQL
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
func (t *Tables) Expand(sql string) string { return t.words.Replace(sql) }

// Bind says to a statement that Expand has made which collection it is about.
func (t *Tables) Bind(s *sqlite3.Stmt, id int64) {
	if t.AreShared {
		s.BindInt(collParam, id-SharedFirst)
	}
}

// RowID returns the ID of the row with a rowid, of the collection with number id. It
// is not ok if that is none of the collection's.
func (t *Tables) RowID(id, rowid int64) (row int64, ok bool) {
	if !t.AreShared {
		return rowid, true
	}
	row = rowid - (id-SharedFirst)<<40
	return row, row > 0 && row < sharedIDs
}

// IsNumber reports whether a collection may have a number.
func IsNumber(id int64) bool { return id >= 0 && id != SharedFirst && id < NumberLimit }

// Owner returns the number of the collection that a table belongs to by its
// name; SharedFirst for those that many share.
func Owner(table string) (id int64, ok bool) {
	table = strings.ToLower(table)
	rest, ok := strings.CutPrefix(table, "cache")
	if !ok {
		if rest, ok = strings.CutPrefix(table, "settings"); !ok {
			return 0, false
		}
	}
	if rest == "" {
		return 0, true
	}
	if rest == "_shared" {
		return SharedFirst, true
	}
	digits, ok := strings.CutPrefix(rest, "_")
	id, err := strconv.ParseInt(digits, 10, 64)
	ok = ok && err == nil && id > 0 && id < SharedFirst && strconv.FormatInt(id, 10) == digits
	return id, ok
}

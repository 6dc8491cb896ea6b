package table

import "github.com/go-diskcache/diskcache/cache/driver"

// Statement names a statement that every collection has, by what it does to a row or a setting.
type Statement int

// The statements.
const (
	Get Statement = iota
	GetBare
	Find
	GetAt
	GetBareAt
	FindAt
	Insert
	Overwrite    // everything but expiry and tag, which were and are NULL
	OverwriteAll // everything
	Replace      // value and store time only
	Touch
	Delete
	CountAccess
	Slide
	GetSetting
	FindNextExpiry

	// NumStatements is their number.
	NumStatements
)

// The columns of a row that a Get or a Scan reads, in the order of [ReadRow].
// bareColumns leaves the value out and has its length instead. findColumns are
// what a write wants to know, and keyColumns come last where a row is not read by its
// key. BareRow is what [ReadRows] reads of a row without its value.
const (
	rowColumns  = "{id}, expire_time, mode, filename, value, store_time, access_time, access_count, tag, size"
	findColumns = "{id}, expire_time, tag, filename, store_time"
	bareColumns = "{id}, expire_time, mode, filename, " +
		"CASE typeof(value) WHEN 'null' THEN 0 WHEN 'text' THEN octet_length(value) WHEN 'blob' THEN octet_length(value) ELSE 8 END, " +
		"store_time, access_time, access_count, tag, size"
	keyColumns = ", key, raw"
	BareRow    = bareColumns + keyColumns
)

// SQL returns the SQL of a statement about the collections with these tables.
func (t *Tables) SQL(s Statement) string { return t.Expand(statements[s]) }

var statements = [NumStatements]string{
	Get:     "SELECT " + rowColumns + " FROM {T} WHERE {in}key = ?1 AND raw = 1",
	GetBare: "SELECT " + bareColumns + " FROM {T} WHERE {in}key = ?1 AND raw = 1",
	Find:    "SELECT " + findColumns + " FROM {T} WHERE {in}key = ?1 AND raw = 1",
	// The same for a row that may be the one: the caller compares key and raw,
	// which are the last columns.
	GetAt:     "SELECT " + rowColumns + keyColumns + " FROM {T} WHERE rowid = ?1{base}",
	GetBareAt: "SELECT " + BareRow + " FROM {T} WHERE rowid = ?1{base}",
	FindAt:    "SELECT " + findColumns + keyColumns + " FROM {T} WHERE rowid = ?1{base}",
	// A row that violates a constraint changes nothing, since all are checked
	// before. OR FAIL tells SQLite that it need not copy the pages that the
	// statement, with its triggers, is about to change.
	Insert: "INSERT OR FAIL INTO {T} ({new}key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)" +
		" VALUES ({next}?1, 1, ?2, ?3, ?2, 0, ?4, ?5, ?6, ?7, ?8)",
	Overwrite: "UPDATE {T} SET store_time = ?2, access_time = ?2, access_count = 0," +
		" size = ?3, mode = ?4, filename = ?5, value = ?6 WHERE rowid = ?1{base}",
	OverwriteAll: "UPDATE {T} SET store_time = ?2, access_time = ?2, access_count = 0," +
		" size = ?3, mode = ?4, filename = ?5, value = ?6, expire_time = ?7, tag = ?8 WHERE rowid = ?1{base}",
	Replace: "UPDATE {T} SET store_time = ?2, size = ?3, mode = ?4, filename = ?5, value = ?6 WHERE rowid = ?1{base}",
	Touch:   "UPDATE {T} SET expire_time = ?2 WHERE rowid = ?1{base}",
	Delete:  "DELETE FROM {T} WHERE rowid = ?1{base}",
	CountAccess: "UPDATE {T} SET access_time = max(access_time, ?3), access_count = access_count + ?4" +
		" WHERE rowid = ?1{base} AND store_time = ?2",
	Slide: "UPDATE {T} SET expire_time = ?3 WHERE rowid = ?1{base} AND store_time = ?2 AND expire_time = ?4",
	// A setting that is missing reads as 0.
	GetSetting:     "SELECT value FROM {S} WHERE {in}key = ?1",
	FindNextExpiry: "SELECT expire_time FROM {T} WHERE {in}expire_time IS NOT NULL ORDER BY expire_time LIMIT 1",
}

// EvictionColumn is the column by which a policy evicts. An index on it, with
// DiskCache's name, is made when the first eviction needs it: to keep it up to
// date would double the cost of every write before.
func EvictionColumn(p driver.Policy) string {
	switch p {
	case driver.LeastRecentlyStored:
		return "store_time"
	case driver.LeastRecentlyUsed:
		return "access_time"
	case driver.LeastFrequentlyUsed:
		return "access_count"
	}
	return ""
}

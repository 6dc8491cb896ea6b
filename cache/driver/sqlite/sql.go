package sqlite

// stmtKind names a statement that every collection has.
type stmtKind int

const (
	stmtGet stmtKind = iota
	stmtGetBare
	stmtFind
	stmtGetAt
	stmtGetBareAt
	stmtFindAt
	stmtInsert
	stmtOverwrite    // everything but expiry and tag, which were and are NULL
	stmtOverwriteAll // everything
	stmtReplace      // value and store time only
	stmtTouch
	stmtDelete
	stmtAccess
	stmtSlide
	stmtSetting
	stmtNextExpiry
	numStmts
)

// The columns of a row that a Get or a Scan reads, in the order of scanRow.
// bareColumns leaves the value out and has its length instead. findColumns are
// what a write wants to know.
const (
	rowColumns  = "{id}, expire_time, mode, filename, value, store_time, access_time, access_count, tag, size"
	findColumns = "{id}, expire_time, tag, filename, store_time"
	bareColumns = "{id}, expire_time, mode, filename, " +
		"CASE typeof(value) WHEN 'null' THEN 0 WHEN 'text' THEN octet_length(value) WHEN 'blob' THEN octet_length(value) ELSE 8 END, " +
		"store_time, access_time, access_count, tag, size"
)

var statements = [numStmts]string{
	stmtGet:     "SELECT " + rowColumns + " FROM {T} WHERE {in}key = ?1 AND raw = 1",
	stmtGetBare: "SELECT " + bareColumns + " FROM {T} WHERE {in}key = ?1 AND raw = 1",
	stmtFind:    "SELECT " + findColumns + " FROM {T} WHERE {in}key = ?1 AND raw = 1",
	// The same for a row that may be the one: the caller compares key and raw,
	// which are the last columns.
	stmtGetAt:     "SELECT " + rowColumns + ", key, raw FROM {T} WHERE rowid = ?1{base}",
	stmtGetBareAt: "SELECT " + bareColumns + ", key, raw FROM {T} WHERE rowid = ?1{base}",
	stmtFindAt:    "SELECT " + findColumns + ", key, raw FROM {T} WHERE rowid = ?1{base}",
	// A row that violates a constraint changes nothing, since all are checked
	// before. OR FAIL tells SQLite that it need not copy the pages that the
	// statement, with its triggers, is about to change.
	stmtInsert: "INSERT OR FAIL INTO {T} ({new}key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)" +
		" VALUES ({next}?1, 1, ?2, ?3, ?2, 0, ?4, ?5, ?6, ?7, ?8)",
	stmtOverwrite: "UPDATE {T} SET store_time = ?2, access_time = ?2, access_count = 0," +
		" size = ?3, mode = ?4, filename = ?5, value = ?6 WHERE rowid = ?1{base}",
	stmtOverwriteAll: "UPDATE {T} SET store_time = ?2, access_time = ?2, access_count = 0," +
		" size = ?3, mode = ?4, filename = ?5, value = ?6, expire_time = ?7, tag = ?8 WHERE rowid = ?1{base}",
	stmtReplace: "UPDATE {T} SET store_time = ?2, size = ?3, mode = ?4, filename = ?5, value = ?6 WHERE rowid = ?1{base}",
	stmtTouch:   "UPDATE {T} SET expire_time = ?2 WHERE rowid = ?1{base}",
	stmtDelete:  "DELETE FROM {T} WHERE rowid = ?1{base}",
	stmtAccess: "UPDATE {T} SET access_time = max(access_time, ?3), access_count = access_count + ?4" +
		" WHERE rowid = ?1{base} AND store_time = ?2",
	stmtSlide: "UPDATE {T} SET expire_time = ?3 WHERE rowid = ?1{base} AND store_time = ?2 AND expire_time = ?4",
	// A setting that is missing reads as 0.
	stmtSetting:    "SELECT value FROM {S} WHERE {in}key = ?1",
	stmtNextExpiry: "SELECT expire_time FROM {T} WHERE {in}expire_time IS NOT NULL ORDER BY expire_time LIMIT 1",
}

// policyColumn is the column by which a policy evicts. An index on it, with
// DiskCache's name, is made when the first eviction needs it: to keep it up to
// date would double the cost of every write before.
func policyColumn(p string) string {
	switch p {
	case "least-recently-stored":
		return "store_time"
	case "least-recently-used":
		return "access_time"
	case "least-frequently-used":
		return "access_count"
	}
	return ""
}

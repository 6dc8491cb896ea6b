package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
)

// Schema is what is in a database, as far as it concerns a store.
//
// A user who may write to the database may put SQL into it that runs when others
// use it: triggers, views, virtual tables, generated columns, constraints,
// expressions in indexes. So every object has to be one that this project or
// DiskCache makes, or one that runs nothing: a plain table of another program
// (a replicator's, ANALYZE's), or an index on columns that somebody has added.
type Schema struct {
	Extra []string // harmless objects of others
	Empty bool     // there is nothing, or only what DiskCache has made so far

	version  int64         // of the format; 0: DiskCache's, or none yet
	own      map[int64]Set // of each collection that has tables of its own, by its number
	shared   Set
	store    Set
	intruder string // the first object that could run
}

// Ready reports whether all tables are there that this project adds to
// DiskCache's.
func (sc *Schema) Ready() bool { return sc.version >= FormatFirst }

// begun reports whether there are some of DiskCache's parts and nothing else: it
// makes them one by one.
func (sc *Schema) begun() bool {
	def := sc.own[0].all
	return sc.version == 0 && def != 0 && !(def.has(partSettings) && def.has(partRows)) &&
		len(sc.own) == 1 && sc.shared.all == 0 && sc.store.all == 0 && len(sc.Extra) == 0
}

// Objects selects what [Schema.Read] reads, of everything in the database's schema.
// Parts have a few hundred bytes of SQL.
const Objects = "SELECT type, name, tbl_name, substr(sql, 1, 2000) FROM sqlite_master"

// NewSchema returns the schema of a database with nothing in it.
func NewSchema(version int64) *Schema {
	return &Schema{Empty: true, version: version, own: make(map[int64]Set)}
}

// Read takes in the object at which a statement of [Objects] stands.
func (sc *Schema) Read(s *sqlite3.Stmt) {
	sc.Empty = false
	o := object{kind: s.ColumnText(0), name: s.ColumnText(1), table: s.ColumnText(2), sql: s.ColumnText(3)}
	if !sc.add(&o) && sc.intruder == "" {
		sc.intruder = o.String()
	}
}

// Judge says, when all has been read, whether the database is somebody else's or a
// newer version's, or has something in it that could run.
func (sc *Schema) Judge(encoding string) error {
	intruder := sc.intruder
	def := sc.own[0].all
	switch {
	case sc.version > formatVersion && sc.version < 1000:
		return fmt.Errorf("the directory has format %d, this version reads up to %d: use a newer version of the module: %w",
			sc.version, formatVersion, driver.ErrNewerFormat)
	case sc.Empty && sc.version == 0:
		return nil
	case sc.begun() && encoding == "UTF-8" && intruder == "":
		sc.Empty = true // what DiskCache has not made yet is made here; it looks before each part
		return nil
	case sc.version < 0 || sc.version > formatVersion || encoding != "UTF-8" || !def.has(partSettings) || !def.has(partRows):
		if intruder != "" {
			intruder = " (the " + intruder + ")"
		}
		return fmt.Errorf("the database has tables of another program%s: give another directory: %w", intruder, driver.ErrNotStore)
	case intruder != "":
		return fmt.Errorf("%w: the %s of the database is none that this module or DiskCache makes, and would run or be used with every write: "+
			"drop it with the sqlite3 shell if it is not one of the store's, or restore a backup", driver.ErrCorrupt, intruder)
	}
	if lost := Store.Lost(sc.store); sc.Ready() && len(lost) > 0 {
		return fmt.Errorf("%w: the database has no %s: restore a backup", driver.ErrCorrupt, lost[0])
	}
	return nil
}

// Of returns the parts that there are of some tables.
func (sc *Schema) Of(id int64) Set {
	if id >= SharedFirst {
		return sc.shared
	}
	return sc.own[id]
}

// OfStore returns the parts that there are of [Store].
func (sc *Schema) OfStore() Set { return sc.store }

// HasUnsynced reports whether there is the list that [CreateUnsynced] makes.
func (sc *Schema) HasUnsynced() bool { return sc.store.all.has(partUnsynced) }

// Missing names the parts that are not there.
func (sc *Schema) Missing() []string {
	var out []string
	for _, n := range slices.Sorted(maps.Keys(sc.own)) {
		out = append(out, Of(n).Lost(sc.own[n])...)
	}
	if sc.version >= FormatShared || sc.shared.all != 0 {
		out = append(out, SharedTables.Lost(sc.shared)...)
	}
	return out
}

// object is a row of sqlite_master.
type object struct {
	kind, name, table string
	sql               string // the beginning of it; "" if there is none
}

// String names an object.
func (o *object) String() string {
	kind, name := o.kind, o.name
	switch kind {
	case "index", "trigger", "view":
	case "table":
		if w := words(o.sql, nil); len(w) > 1 && w[1] == "virtual" {
			kind = "virtual table"
		}
	default:
		kind = "object"
	}
	if len(name) > 80 {
		name = name[:80] + "..."
	}
	return fmt.Sprintf("%s %q", kind, name)
}

// The tables that SQLite makes itself: AUTOINCREMENT's and ANALYZE's.
var sqliteTables = []string{
	"CREATE TABLE sqlite_sequence(name,seq)",
	"CREATE TABLE sqlite_stat1(tbl,idx,stat)",
	"CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
}

// add takes an object in, and reports whether it is harmless.
func (sc *Schema) add(o *object) bool {
	if strings.HasPrefix(o.name, "sqlite_") { // a name that SQLite gives to nobody else
		return o.kind == "table" && slices.Contains(sqliteTables, o.sql) ||
			o.kind == "index" && o.sql == "" && strings.HasPrefix(o.name, "sqlite_autoindex_") // a UNIQUE in a table
	}
	id, ours := Owner(o.table)
	switch {
	case !ours:
		if sc.store.take(storeShapes(), o, Store) {
			return true
		}
	case id == SharedFirst:
		if sc.shared.take(sharedShapes(), o, SharedTables) {
			return true
		}
	default:
		f := sc.own[id]
		if f.take(ownShapes(), o, Of(id)) {
			sc.own[id] = f
			return true
		}
	}
	ours = ours || slices.ContainsFunc(storeParts, func(p part) bool { return strings.EqualFold(p.name, o.table) })
	harmless := false
	// SQLite goes by the SQL alone, so that has to agree with the rest.
	switch w := words(o.sql, nil); {
	case o.kind == "table" && !ours:
		harmless = len(w) > 2 && w[0] == "create" && w[1] == "table" && isNamed(w[2], o.name)
	case o.kind == "index" && ours:
		harmless = isPlainIndex(w) && isNamed(w[4], o.table)
	case o.kind == "index":
		w = slices.DeleteFunc(w, func(w string) bool { return w == "unique" })
		harmless = len(w) > 5 && w[0] == "create" && w[1] == "index" && w[3] == "on" && isNamed(w[4], o.table)
	}
	if harmless {
		sc.Extra = append(sc.Extra, o.String())
	}
	return harmless
}

// shapes are the objects that parts may be, by what take makes of them.
type shapes map[string]shapeOfPart

type shapeOfPart struct {
	i     int
	other bool
}

var (
	ownShapes    = sync.OnceValue(func() shapes { return shapesOf(Default) })
	sharedShapes = sync.OnceValue(func() shapes { return shapesOf(SharedTables) })
	storeShapes  = sync.OnceValue(func() shapes { return shapesOf(Store) })
)

func shapesOf(t *Tables) shapes {
	out := make(shapes)
	for i, p := range t.parts {
		for j, sql := range append([]string{p.sql}, p.also...) {
			o := object{kind: p.kind, name: t.Expand(p.name), table: t.Expand(p.on), sql: t.Expand(sql)}
			out[o.shape(t)] = shapeOfPart{i, j > 0}
		}
	}
	return out
}

// shape is the same for the same object of any collection.
func (o *object) shape(t *Tables) string {
	w := append([]string{o.kind}, words(o.name, t)...)
	w = append(w, words(o.table, t)...)
	return strings.Join(append(w, words(o.sql, t)...), " ")
}

// take takes an object in if it is one of the parts.
func (f *Set) take(s shapes, o *object, t *Tables) bool {
	p, ok := s[o.shape(t)]
	if ok {
		f.all |= 1 << p.i
		if p.other {
			f.other |= 1 << p.i
		}
	}
	return ok
}

// words returns the words, quoted texts and signs of SQL. Case does not matter
// but in quotes, nor which quotes a text has. The names of t, and what begins
// with one of them and an underscore, become those of no collection. A comment
// is so many signs, so that nothing which has one is equal to anything here.
func words(sql string, t *Tables) []string {
	var names [2]string
	if t != nil {
		names = [2]string{strings.ToLower(t.Rows), strings.ToLower(t.Settings)}
	}
	out := make([]string, 0, 64)
	for i := 0; i < len(sql); {
		start := i
		switch c := sql[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			i++
		case isWord(c):
			for i < len(sql) && isWord(sql[i]) {
				i++
			}
			word := strings.ToLower(sql[start:i])
			if names[0] != "" {
				for n, name := range names {
					if rest, ok := strings.CutPrefix(word, name); ok && (rest == "" || rest[0] == '_') {
						word = [...]string{"{t}", "{s}"}[n] + rest
						break
					}
				}
			}
			out = append(out, word)
		case c == '\'' || c == '"' || c == '`' || c == '[':
			end := c
			if c == '[' {
				end = ']'
			}
			for i++; i < len(sql) && sql[i] != end; i++ {
			}
			if c == '"' {
				c = '\''
			}
			out = append(out, string(c)+sql[start+1:i])
			i++
		default:
			i++
			out = append(out, string(c))
		}
	}
	return out
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// isNamed reports whether a word is a name, in quotes or not.
func isNamed(word, name string) bool {
	return strings.EqualFold(strings.TrimLeft(word, "'`["), name)
}

// isPlainIndex reports whether SQL is that of an index on columns, which may
// leave out rows where one is NULL.
func isPlainIndex(w []string) bool {
	if len(w) < 8 || w[0] != "create" || w[1] != "index" || w[3] != "on" || w[5] != "(" {
		return false
	}
	for i := 6; ; i++ {
		if i >= len(w) || !isWord(w[i][0]) {
			return false
		}
		if i++; i < len(w) && (w[i] == "asc" || w[i] == "desc") {
			i++
		}
		if i >= len(w) || w[i] != "," && w[i] != ")" {
			return false
		}
		if w[i] == ")" {
			rest := w[i+1:]
			return len(rest) == 0 || len(rest) == 5 && rest[0] == "where" && isWord(rest[1][0]) && slices.Equal(rest[2:], []string{"is", "not", "null"})
		}
	}
}

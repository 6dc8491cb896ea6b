package sqlite

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// schema is what is in a database, as far as it concerns a store.
//
// Whoever may write to the database may put SQL into it that runs when others
// use it: triggers, views, virtual tables, generated columns, constraints,
// expressions in indexes. So every object has to be one that this project or
// DiskCache makes, or one that runs nothing: a plain table of another program
// (a replicator's, ANALYZE's), or an index on columns that somebody has added.
type schema struct {
	version int64             // of the format; 0: DiskCache's, or none yet
	own     map[int64]partSet // ownParts of each collection that has tables of its own, by its number
	shared  partSet           // sharedParts
	store   partSet           // storeParts
	extra   []string          // harmless objects of others
	empty   bool              // there is nothing
}

// partSet says which of a list of parts there are, and which of these are as
// only DiskCache makes them.
type partSet struct{ all, other partBits }

type partBits uint32

func (b partBits) has(i int) bool { return b&(1<<i) != 0 }

// ready reports whether all tables are there that this project adds to
// DiskCache's.
func (sc *schema) ready() bool { return sc.version >= formatFirst }

// begun reports whether there are some of DiskCache's parts and nothing else: it
// makes them one by one.
func (sc *schema) begun() bool {
	def := sc.own[0].all
	return sc.version == 0 && def != 0 && !(def.has(partSettings) && def.has(partRows)) &&
		len(sc.own) == 1 && sc.shared.all == 0 && sc.store.all == 0 && len(sc.extra) == 0
}

// inspect looks at everything in the database's schema. It is an error if the
// database is somebody else's or a newer version's, or has something in it that
// could run.
func (cn *conn) inspect() (*schema, error) {
	sc := &schema{own: make(map[int64]partSet)}
	var err error
	if sc.version, err = cn.integer("PRAGMA user_version"); err != nil {
		return nil, err
	}
	encoding, err := cn.text("PRAGMA encoding")
	if err != nil {
		return nil, err
	}
	intruder, err := cn.objects(sc)
	if err != nil {
		return nil, translate(err)
	}
	def := sc.own[0].all
	switch {
	case sc.version > formatVersion && sc.version < 1000:
		return nil, fmt.Errorf("the directory has format %d, this version reads up to %d: use a newer version of the module: %w",
			sc.version, formatVersion, driver.ErrNewerFormat)
	case sc.empty && sc.version == 0:
		return sc, nil
	case sc.begun() && encoding == "UTF-8" && intruder == "":
		sc.empty = true // what DiskCache has not made yet is made here; it looks before each part
		return sc, nil
	case sc.version < 0 || sc.version > formatVersion || encoding != "UTF-8" || !def.has(partSettings) || !def.has(partRows):
		if intruder != "" {
			intruder = " (the " + intruder + ")"
		}
		return nil, fmt.Errorf("the database has tables of another program%s: give another directory: %w", intruder, driver.ErrNotStore)
	case intruder != "":
		return nil, fmt.Errorf("%w: the %s of the database is none that this module or DiskCache makes, and would run or be used with every write: "+
			"drop it with the sqlite3 shell if it is not one of the store's, or restore a backup", driver.ErrCorrupt, intruder)
	}
	if lost := sc.store.lost(storeParts, defaultTables); sc.ready() && len(lost) > 0 {
		return nil, fmt.Errorf("%w: the database has no %s: restore a backup", driver.ErrCorrupt, lost[0])
	}
	return sc, nil
}

// objects reads the schema into sc. The intruder is the first object that could
// run.
func (cn *conn) objects(sc *schema) (intruder string, err error) {
	// Parts have a few hundred bytes of SQL.
	s, err := cn.query("SELECT type, name, tbl_name, substr(sql, 1, 2000) FROM sqlite_master")
	if err != nil {
		return "", err
	}
	defer s.Reset()
	sc.empty = true
	for {
		row, err := s.Step()
		if err != nil || !row {
			return intruder, err
		}
		sc.empty = false
		o := object{kind: s.ColumnText(0), name: s.ColumnText(1), table: s.ColumnText(2), sql: s.ColumnText(3)}
		if !sc.add(&o) && intruder == "" {
			intruder = o.String()
		}
	}
}

// missing names the parts that are not there.
func (sc *schema) missing() []string {
	var out []string
	for _, n := range slices.Sorted(maps.Keys(sc.own)) {
		out = append(out, sc.own[n].lost(ownParts, tablesOf(n))...)
	}
	if sc.version >= formatShared || sc.shared.all != 0 {
		out = append(out, sc.shared.lost(sharedParts, sharedTables)...)
	}
	return out
}

// lost names the parts that are not there.
func (f partSet) lost(parts []part, t *tables) []string {
	var out []string
	for i, p := range parts {
		if !f.all.has(i) && !p.lazy {
			out = append(out, fmt.Sprintf("%s %q", p.kind, t.expand(p.name)))
		}
	}
	return out
}

// object is a line of sqlite_master.
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
func (sc *schema) add(o *object) bool {
	if strings.HasPrefix(o.name, "sqlite_") { // a name that SQLite gives to nobody else
		return o.kind == "table" && slices.Contains(sqliteTables, o.sql) ||
			o.kind == "index" && o.sql == "" && strings.HasPrefix(o.name, "sqlite_autoindex_") // a UNIQUE in a table
	}
	id, ours := tableOwner(o.table)
	switch {
	case !ours:
		if sc.store.take(storeShapes(), o, nil) {
			return true
		}
	case id == sharedFirst:
		if sc.shared.take(sharedShapes(), o, sharedTables) {
			return true
		}
	default:
		f := sc.own[id]
		if f.take(ownShapes(), o, tablesOf(id)) {
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
		sc.extra = append(sc.extra, o.String())
	}
	return harmless
}

// tableOwner returns the number of the collection that a table belongs to by its
// name; sharedFirst for those that many share.
func tableOwner(table string) (id int64, ok bool) {
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
		return sharedFirst, true
	}
	digits, ok := strings.CutPrefix(rest, "_")
	id, err := strconv.ParseInt(digits, 10, 64)
	ok = ok && err == nil && id > 0 && id < sharedFirst && strconv.FormatInt(id, 10) == digits
	return id, ok
}

// shapes are the objects that parts may be, by what take makes of them.
type shapes map[string]shapeOfPart

type shapeOfPart struct {
	i     int
	other bool
}

var (
	ownShapes    = sync.OnceValue(func() shapes { return shapesOf(ownParts, defaultTables) })
	sharedShapes = sync.OnceValue(func() shapes { return shapesOf(sharedParts, sharedTables) })
	storeShapes  = sync.OnceValue(func() shapes { return shapesOf(storeParts, nil) })
)

func shapesOf(parts []part, t *tables) shapes {
	out := make(shapes)
	for i, p := range parts {
		for j, sql := range append([]string{p.sql}, p.also...) {
			o := object{kind: p.kind, name: p.name, table: p.on, sql: sql}
			if t != nil {
				o.name, o.table, o.sql = t.expand(o.name), t.expand(o.table), t.expand(o.sql)
			}
			out[o.shape(t)] = shapeOfPart{i, j > 0}
		}
	}
	return out
}

// shape is the same for the same object of any collection.
func (o *object) shape(t *tables) string {
	w := append([]string{o.kind}, words(o.name, t)...)
	w = append(w, words(o.table, t)...)
	return strings.Join(append(w, words(o.sql, t)...), " ")
}

// take takes an object in if it is one of the parts.
func (f *partSet) take(s shapes, o *object, t *tables) bool {
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
func words(sql string, t *tables) []string {
	var names [2]string
	if t != nil {
		names = [2]string{strings.ToLower(t.rows), strings.ToLower(t.settings)}
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
			if t != nil {
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

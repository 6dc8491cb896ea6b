package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/sqlite3"
	"github.com/go-diskcache/diskcache/cache/driver/sqlite/internal/table"
	"github.com/go-diskcache/diskcache/codec"
)

// conn is a connection with its prepared statements: the writer's, those of the pool, the
// maintainer's and the prober's. One goroutine uses it at a time.
type conn struct {
	*sqlite3.Conn
	core     *core
	fixed    map[int64]*[table.NumStatements]*sqlite3.Stmt // by number of the collection, table.SharedFirst for all that share tables
	dynamic  map[string]*sqlite3.Stmt
	scans    map[table.ScanShape]string // SQL of scans
	entryBuf []byte                     // scratch memory for an entry of the near cache

	// ctx interrupts the statement that runs. ctx, deadline and patience end the busy
	// handler's waits for a lock of another connection. A patience becomes a deadline when the
	// connection first waits.
	ctx      context.Context
	deadline time.Time
	patience time.Duration
}

// openConn opens a connection with the same pragmas for all. cacheSize is in
// bytes.
func (c *core) openConn(flags sqlite3.OpenFlags, cacheSize int64) (_ *conn, err error) {
	for _, name := range ownFiles {
		if err := c.files.Vouch(name); err != nil {
			return nil, translate(err)
		}
	}
	lc, err := sqlite3.Open(filepath.Join(c.files.Path(), databaseName), flags|sqlite3.NoFollow)
	if err != nil {
		return nil, translate(err)
	}
	cn := &conn{
		Conn:    lc,
		core:    c,
		fixed:   make(map[int64]*[table.NumStatements]*sqlite3.Stmt),
		dynamic: make(map[string]*sqlite3.Stmt),
		scans:   make(map[table.ScanShape]string),
		ctx:     context.Background(),
	}
	defer func() {
		if err != nil {
			lc.Close()
		}
	}()
	lc.SetBusyHandler(cn.busy)
	lc.SetInterrupt(cn.interrupted)
	lc.SetAutoCheckpointOff()
	// A checkpoint comes from package sqlite alone, also when the last connection
	// is closed: the value files must be synced before it (see durable).
	if err := errors.Join(lc.Distrust(), lc.SetCheckpointOnClose(false)); err != nil {
		return nil, translate(err)
	}
	// While another program changes the journal mode, SQLite says that it is
	// busy without asking the handler whether to wait.
	for i := 0; ; i++ {
		err := lc.Exec(c.pragmas(flags, cacheSize))
		if err == nil {
			return cn, nil
		}
		if !sqlite3.IsBusy(err) || i > 1000 || !cn.busy(i) {
			return nil, translate(err)
		}
	}
}

// pragmas returns the SQL that sets a connection up.
func (c *core) pragmas(flags sqlite3.OpenFlags, cacheSize int64) string {
	// cache_size is negative for KiB, positive for pages.
	// fullfsync: macOS alone has another call for what fsync does elsewhere.
	pragmas := fmt.Sprintf(`
		PRAGMA cache_size = -%d;
		PRAGMA mmap_size = %d;
		PRAGMA synchronous = %s;
		PRAGMA fullfsync = on;
		PRAGMA checkpoint_fullfsync = on;
		PRAGMA journal_size_limit = %d;
		PRAGMA temp_store = memory;
		PRAGMA recursive_triggers = off;
		PRAGMA cell_size_check = on;`,
		max(cacheSize/1024, 64), c.opts.MmapSize, c.opts.Synchronous.pragma(c.opts.JournalMode), c.opts.MaxWALSize)
	if mode := c.opts.JournalMode; c.writer != nil && (mode == JournalTruncate || mode == JournalPersist) {
		// A reader that finds what may be a dead writer's journal ends it in its
		// own mode. SQLite's default, to delete it, fails on Windows: the writer
		// keeps the file open.
		pragmas += "PRAGMA journal_mode = " + string(mode) + ";"
	}
	if flags == sqlite3.ReadOnly || flags == sqlite3.Immutable {
		pragmas += "PRAGMA query_only = on;"
	}
	return pragmas
}

// busy is SQLite's busy handler. It waits for writers that do not hold the
// directory's lock (see package turnstile): other programs (Python's DiskCache, the
// sqlite3 shell) and processes that barge. It also waits for recoveries, and in journal modes
// other than WAL for readers. It polls, since SQLite's locks cannot be waited for with a
// time limit.
func (cn *conn) busy(count int) bool {
	if cn.deadline.IsZero() && cn.patience > 0 {
		cn.deadline = time.Now().Add(cn.patience)
	}
	if cn.ctx.Err() != nil || !cn.deadline.IsZero() && time.Now().After(cn.deadline) {
		return false
	}
	d := 50 * time.Microsecond << min(max(count-40, 0), 5)
	d += rand.N(d)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-cn.ctx.Done():
		return false
	}
}

// waitUntil has waits end with ctx, and at the deadline, if there is one.
func (cn *conn) waitUntil(ctx context.Context, deadline time.Time) {
	cn.ctx, cn.deadline, cn.patience = ctx, deadline, 0
}

// waitFor is waitUntil with a deadline that is not worked out before the
// connection waits. A patience that is not positive is endless.
func (cn *conn) waitFor(ctx context.Context, patience time.Duration) {
	cn.ctx, cn.deadline, cn.patience = ctx, time.Time{}, patience
}

// interrupted ends a statement whose context has ended. It is asked now and then
// in statements that take longer than most, so that the others pay nothing for
// it.
func (cn *conn) interrupted() error {
	if cn.ctx.Err() == nil {
		return nil
	}
	return context.Cause(cn.ctx)
}

// end ends a transaction that reads, whatever has become of its context.
func (cn *conn) end(sql string) error {
	cn.waitUntil(context.Background(), time.Time{})
	return cn.Exec(sql)
}

// waitErr says why a wait ended: the context's cause if it is over, otherwise
// the error itself.
func (cn *conn) waitErr(err error) error {
	if sqlite3.IsBusy(err) && cn.ctx.Err() != nil {
		return context.Cause(cn.ctx)
	}
	return translate(err)
}

// stmt returns the prepared statement of a collection.
func (cn *conn) stmt(c *collection, which table.Statement) (*sqlite3.Stmt, error) {
	id := min(c.id, table.SharedFirst)
	set := cn.fixed[id]
	if set == nil {
		set = new([table.NumStatements]*sqlite3.Stmt)
		cn.fixed[id] = set
	}
	s := set[which]
	if s == nil {
		var err error
		if s, err = cn.Prepare(c.tables.SQL(which)); err != nil {
			return nil, c.explain(err)
		}
		set[which] = s
	}
	c.tables.Bind(s, c.id)
	return s, nil
}

// about is query for SQL about a collection, which it expands.
func (cn *conn) about(c *collection, sql string, args ...codec.Value) (*sqlite3.Stmt, error) {
	s, err := cn.query(c.tables.Expand(sql), args...)
	if err != nil {
		return nil, c.explain(err)
	}
	c.tables.Bind(s, c.id)
	return s, nil
}

// do runs SQL about a collection and keeps no prepared statement of it, since it is run seldom.
func (cn *conn) do(c *collection, sql string) error {
	s, err := cn.Prepare(c.tables.Expand(sql))
	if err != nil {
		return c.explain(err)
	}
	defer s.Finalize()
	if strings.Contains(sql, "{in}") || strings.Contains(sql, "{all}") {
		c.tables.Bind(s, c.id)
	}
	return s.Run()
}

// maxDynamic bounds the statements that a connection keeps for SQL that depends on what is
// asked for, and the SQL of scans.
const maxDynamic = 128

// query returns a prepared statement for SQL that is put together for the
// occasion, with its parameters.
func (cn *conn) query(sql string, args ...codec.Value) (*sqlite3.Stmt, error) {
	s := cn.dynamic[sql]
	if s == nil {
		if len(cn.dynamic) >= maxDynamic {
			for k, s := range cn.dynamic {
				s.Finalize()
				delete(cn.dynamic, k)
			}
		}
		var err error
		if s, err = cn.Prepare(sql); err != nil {
			return nil, translate(err)
		}
		cn.dynamic[sql] = s
	}
	for i, a := range args {
		s.BindValue(i+1, a)
	}
	return s, nil
}

// run runs SQL that returns no rows.
func (cn *conn) run(sql string, args ...codec.Value) error {
	s, err := cn.query(sql, args...)
	if err != nil {
		return err
	}
	return s.Run()
}

// each runs a query and calls fn at each row.
func (cn *conn) each(sql string, fn func(s *sqlite3.Stmt), args ...codec.Value) error {
	s, err := cn.query(sql, args...)
	if err != nil {
		return err
	}
	return cn.waitErr(s.Each(func() { fn(s) }))
}

// first runs a query, calls fn at its first row, and reports whether there is one.
func (cn *conn) first(sql string, fn func(s *sqlite3.Stmt), args ...codec.Value) (ok bool, err error) {
	s, err := cn.query(sql, args...)
	if err != nil {
		return false, err
	}
	ok, err = s.First(func() { fn(s) })
	return ok, translate(err)
}

// forget drops the statements of a collection that is gone.
func (cn *conn) forget(c *collection) {
	if set := cn.fixed[c.id]; set != nil {
		for _, s := range set {
			if s != nil {
				s.Finalize()
			}
		}
		delete(cn.fixed, c.id)
	}
}

// integer runs a query for a single number; no row is 0.
func (cn *conn) integer(sql string) (n int64, err error) {
	_, err = cn.first(sql, func(s *sqlite3.Stmt) { n = s.ColumnInt(0) })
	return n, err
}

// text runs a query for a single text.
func (cn *conn) text(sql string) (text string, err error) {
	_, err = cn.first(sql, func(s *sqlite3.Stmt) { text = s.ColumnText(0) })
	return text, err
}

// setJournalMode asks for the journal mode and checks SQLite's answer, which
// is the mode that it could not change instead of an error.
func (cn *conn) setJournalMode(mode JournalMode) error {
	got, err := cn.text("PRAGMA journal_mode")
	if err != nil {
		return err
	}
	if strings.EqualFold(got, string(mode)) {
		return nil
	}
	for i := 0; ; i++ {
		got, err = cn.text("PRAGMA journal_mode = " + string(mode))
		if err == nil {
			break
		}
		if !sqlite3.IsBusy(err) || !cn.busy(i) {
			return cn.waitErr(err)
		}
	}
	if !strings.EqualFold(got, string(mode)) {
		return fmt.Errorf("the file system or another user of the database allows journal mode %q, not %q: close other users, use a local disk, or open with that JournalMode", got, mode)
	}
	return nil
}

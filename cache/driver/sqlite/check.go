package sqlite

import (
	"context"
	"strings"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// checker looks for damage. It goes through the database while readers and
// writers work, and then through the files with the write lock held, since rows and
// files have to be compared at one moment.
type checker struct {
	store   *Store
	ctx     context.Context
	mend    bool
	report  func(driver.Problem)
	indexes bool // some of the database's are damaged
}

// Check implements [driver.Checker].
func (s *Store) Check(ctx context.Context, mend bool, report func(driver.Problem)) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if mend && s.ReadOnly() {
		return driver.ErrReadOnly
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.core.present(); err != nil {
		return err // its files may be those of another store
	}
	if !s.ReadOnly() {
		// Files that wait for a sync are nothing to be reported.
		if err := s.core.durable.harden(ctx, nil); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s.core.log.Warn("value files stay in the trash", "error", err)
		}
	}
	k := &checker{store: s, ctx: ctx, mend: mend, report: report}
	if err := k.database(); err != nil {
		return err
	}
	if s.ReadOnly() {
		return s.core.view(ctx, s.timeout, func(t driver.Tx) error { return k.everything(t.(*tx)) })
	}
	return s.core.writer.update(ctx, s.deadline(), driver.Alone, func(t driver.Tx) error { return k.everything(t.(*tx)) })
}

// database has SQLite check its pages, and that indexes and tables agree.
func (k *checker) database() error {
	c := k.store.core
	cn, err := c.readers.take(k.ctx, k.store.timeout)
	if err != nil {
		return err
	}
	defer c.readers.put(cn)
	s, err := cn.query("PRAGMA integrity_check")
	if err != nil {
		return cn.waitErr(err)
	}
	err = s.Each(func() {
		if text := s.ColumnText(0); text != "ok" {
			p := driver.Problem{Kind: driver.CorruptDatabase, Detail: text}
			// What REINDEX mends: an index that disagrees with its table.
			if strings.Contains(text, "index") {
				k.indexes = true
				p.Mended = k.mend
			}
			k.report(p)
		}
	})
	if k.ctx.Err() != nil {
		return context.Cause(k.ctx)
	}
	if err != nil {
		// Damage that keeps the check itself from going on.
		k.report(driver.Problem{Kind: driver.CorruptDatabase, Detail: err.Error()})
	}
	return nil
}

// everything checks rows, counters and files. With mend, t can write.
func (k *checker) everything(t *tx) error {
	if k.mend {
		t.changedAll()
		t.core.writer.generation++ // what is known of collections may not hold after it
	}
	rows, err := t.conn.catalog()
	if err != nil {
		return t.fail(err)
	}
	if err := k.objects(t, rows); err != nil {
		return t.fail(err)
	}
	colls, err := k.collections(t, rows)
	if err != nil {
		return t.fail(err)
	}
	files := make(map[string]bool) // all that rows refer to
	for _, c := range colls {
		for _, check := range []func(*tx, *collection) error{
			func(t *tx, c *collection) error { return k.rows(t, c, files) },
			k.badRows, k.counters, k.settings,
		} {
			if k.ctx.Err() != nil {
				return context.Cause(k.ctx)
			}
			if err := check(t, c); err != nil {
				return t.fail(err)
			}
		}
	}
	if err := k.numbers(t); err != nil {
		return t.fail(err)
	}
	if err := k.trashed(t, files); err != nil {
		return t.fail(err)
	}
	if err := k.leftOver(files); err != nil {
		return err
	}
	return k.files(files)
}

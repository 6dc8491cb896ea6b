package memory

import (
	"context"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Check implements [driver.Checker]. Only a mistake in this package can be
// found, so there is nothing to mend.
func (s *Store) Check(ctx context.Context, mend bool, report func(driver.Problem)) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if mend && s.options.ReadOnly {
		return driver.ErrReadOnly
	}
	if err := s.data.lock(ctx, s.options.Timeout, s.closing); err != nil {
		return err
	}
	problems := s.data.problems()
	s.data.unlock()
	// Reported without the lock, so that report can call the store.
	for _, p := range problems {
		report(p)
	}
	return nil
}

// problems looks for contradictions in the state. The caller is the writer.
func (d *Data) problems() []driver.Problem {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []driver.Problem
	used := make(map[string]bool)
	for _, t := range d.state.Load().tables {
		found = append(found, t.problems()...)
		t.ids.all(func(r *row) bool {
			p := driver.Problem{Collection: t.name, Row: r.ID, Path: r.File}
			switch f := d.files[r.File]; {
			case r.File == "":
				return true
			case f == nil:
				p.Kind = driver.MissingFile
			case used[r.File] || !f.committed || f.kind != r.FileKind:
				p.Kind = driver.BadRow
			case f.Size() != r.Size:
				p.Kind = driver.WrongSize
			}
			if p.Kind != "" {
				found = append(found, p)
			}
			used[r.File] = true
			return true
		})
	}
	for name, f := range d.files {
		if f.committed && !used[name] {
			found = append(found, driver.Problem{Kind: driver.UnknownFile, Path: name})
		}
	}
	return found
}

// problems looks for contradictions between the trees and counters of t.
func (t *table) problems() []driver.Problem {
	var found []driver.Problem
	bad := func(kind driver.ProblemKind, id int64, detail string) {
		found = append(found, driver.Problem{Kind: kind, Collection: t.name, Row: id, Detail: detail})
	}
	var rows, expiring, volume int64
	var before *row
	t.ids.all(func(r *row) bool {
		switch {
		case r.ID <= 0 || r.Key.IsNull() || r.life == nil:
			bad(driver.BadRow, r.ID, "without an ID, a key or a life")
		case before != nil && before.ID >= r.ID:
			bad(driver.BadRow, r.ID, "out of order")
		case t.keys.find(r) != r:
			bad(driver.BadRow, r.ID, "not found by its key")
		case r.Expire != 0 && t.expiries.find(r) != r:
			bad(driver.BadRow, r.ID, "not found by its expiry")
		}
		rows++
		volume += r.volume()
		if r.Expire != 0 {
			expiring++
		}
		before = r
		return true
	})
	for _, index := range []struct {
		tree tree
		want int64
	}{{t.ids, t.count}, {t.keys, rows}, {t.expiries, expiring}} {
		var n int64
		index.tree.all(func(*row) bool {
			n++
			return true
		})
		if n != index.want {
			bad(driver.WrongCount, 0, "rows in a tree")
		}
	}
	if volume != t.volume {
		bad(driver.WrongVolume, 0, "")
	}
	return found
}

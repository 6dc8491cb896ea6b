package shard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/go-diskcache/diskcache/cache/driver"
)

// Volume implements [driver.Measurer].
func (s *Store) Volume(ctx context.Context) (sum driver.Volume, err error) {
	if err := s.enter(ctx); err != nil {
		return sum, err
	}
	sum.Parts = make(map[string]int64)
	err = s.everyone(ctx, func(m *member) error {
		st, err := driver.As[driver.Measurer](m.store)
		if err != nil {
			return err
		}
		v, err := st.Volume(ctx)
		sum.Total += v.Total
		for part, n := range v.Parts {
			sum.Parts[part] += n
		}
		return err
	})
	if err != nil {
		return driver.Volume{}, err
	}
	return sum, nil
}

// Metrics implements [driver.Metered]. A transaction over several shards is a commit in
// each of them.
func (s *Store) Metrics() (sum driver.Metrics) {
	for _, m := range s.opened() {
		if st, ok := m.store.(driver.Metered); ok {
			one := st.Metrics()
			if counts, ok := one.Collections[""]; ok && !slices.Contains(s.shards, m) {
				delete(one.Collections, "")
				one.Collections[m.rel] = counts
			}
			sum.Add(one)
		}
	}
	return sum
}

// Compact implements [driver.Compacter].
func (s *Store) Compact(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	return s.everyone(ctx, func(m *member) error {
		if st, ok := m.store.(driver.Compacter); ok {
			return st.Compact(ctx)
		}
		return nil
	})
}

// Backup implements [driver.Directory]. Each shard is copied as of a moment of
// its own.
func (s *Store) Backup(ctx context.Context, dir string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	if s.joined {
		return fmt.Errorf("%w by shards that are in no directory: back up each of them", errors.ErrUnsupported)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("the backup's directory %s is not empty: %w", dir, fs.ErrExist)
	}
	return s.everyone(ctx, func(m *member) error {
		st, err := driver.As[driver.Directory](m.store)
		if err != nil {
			return err
		}
		return st.Backup(ctx, filepath.Join(dir, filepath.FromSlash(m.rel)))
	})
}

// Check implements [driver.Checker]. Beside what the engine finds it reports
// rows that are not in the shard that their key belongs to, where nobody
// finds them.
func (s *Store) Check(ctx context.Context, mend bool, report func(driver.Problem)) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	err := s.everyone(ctx, func(m *member) error {
		st, ok := m.store.(driver.Checker)
		if !ok {
			return nil
		}
		return st.Check(ctx, mend, func(p driver.Problem) {
			if i := s.number(m); i < 0 && p.Collection == "" {
				p.Collection = m.rel
			} else if p.Collection == "" && p.Row != 0 {
				p.Row = globalID(i, p.Row)
			}
			if p.Path != "" {
				p.Path = path.Join(m.rel, p.Path)
			}
			report(p)
		})
	})
	if err != nil || len(s.shards) == 1 {
		return err
	}
	for i, m := range s.shards {
		if err := s.misplaced(ctx, m, i, report); err != nil {
			return err
		}
	}
	return nil
}

// number returns the number of a shard, or -1.
func (s *Store) number(m *member) int {
	for i, o := range s.shards {
		if o == m {
			return i
		}
	}
	return -1
}

// checkPage is how many rows Check reads at a time.
const checkPage = 512

// misplaced reports rows of shard i that belong to another one.
func (s *Store) misplaced(ctx context.Context, m *member, i int, report func(driver.Problem)) error {
	names, err := m.store.Names(ctx)
	if err != nil || !slices.Contains(names, "") {
		return err
	}
	c, err := m.store.Open(ctx, "", driver.Spec{Settings: driver.DefaultSettings()})
	if err != nil {
		return err
	}
	page := driver.Scan{Limit: checkPage, Bare: true}
	for {
		var rows []driver.Row
		err := m.store.View(ctx, func(tx driver.Tx) (err error) {
			rows, err = tx.Scan(ctx, c, page)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if want := Of(r.Key, len(s.shards)); want != i {
				report(driver.Problem{Kind: driver.BadRow, Row: globalID(i, r.ID), Path: m.rel,
					Detail: fmt.Sprintf("the key belongs to shard %s: was the shard written to with another number of shards?", shardName(want))})
			}
		}
		if len(rows) < page.Limit {
			return nil
		}
		page.After = &rows[len(rows)-1]
	}
}

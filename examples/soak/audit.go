//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-diskcache/diskcache/cache"
)

// audit sees that what was acknowledged is stored, and that sums are right. It
// returns all that is stored, by kind and process.
func (s *supervisor) audit(ctx context.Context) (map[string]int64, error) {
	acked := s.acknowledged()
	stored, err := s.tables.audit(ctx)
	s.audits++
	if err == nil {
		err = missing(acked, stored)
	}
	return stored, err
}

// missing is an error where less is stored than was acknowledged.
func missing(acked, stored map[string]int64) error {
	for key, n := range acked {
		if stored[key] < n {
			return fmt.Errorf("lost: %s was acknowledged up to number %d, and number %d is stored", key, n, stored[key])
		}
	}
	return nil
}

// audit reads all counts at one moment, and then the values in files, and sees that
// they go together.
func (t *tables) audit(ctx context.Context) (map[string]int64, error) {
	stored := map[string]int64{}
	err := t.st.View(ctx, func(tx *cache.Tx) error {
		clear(stored)
		for e, err := range t.counts.In(tx).All(ctx) {
			if err != nil {
				return err
			}
			stored[e.Key] = e.Value
		}
		for e, err := range t.shared.In(tx).All(ctx) {
			if err != nil {
				return err
			}
			stored["shared "+e.Key] = e.Value
		}
		sum := int64(0)
		for e, err := range t.accounts.In(tx).Sorted().All(ctx) {
			if err != nil {
				return err
			}
			sum += e.Value
		}
		return consistent(stored, sum)
	})
	if err != nil {
		return nil, err
	}
	for e, err := range t.files.All(ctx) {
		if err != nil {
			return nil, err
		}
		n, err := number(e.Key, e.Value)
		if err != nil {
			return nil, err
		}
		name, i, _ := strings.Cut(e.Key, "/")
		stored["file"+i+" "+name] = n
	}
	return stored, nil
}

// consistent is an error where counts of one moment do not go together. It removes
// those that belong to no process.
func consistent(stored map[string]int64, sum int64) error {
	if sum != accounts*balance {
		return fmt.Errorf("the accounts have %d together, not %d", sum, accounts*balance)
	}
	for total, kind := range map[string]string{"shared total": "shared ", "locked": "lock "} {
		n := int64(0)
		for key, of := range stored {
			if strings.HasPrefix(key, kind) && key != total {
				n += of
			}
		}
		if n != stored[total] {
			return fmt.Errorf("%q is %d; those of all processes are %d", total, stored[total], n)
		}
		delete(stored, total)
	}
	delete(stored, "token")
	for key, done := range stored {
		if name, ok := strings.CutPrefix(key, "done "); ok && done > stored["push "+name] {
			return fmt.Errorf("%s has pushed %d jobs; %d were done", name, stored["push "+name], done)
		}
	}
	return nil
}

// allDone sees that each job was done once.
func allDone(stored map[string]int64) error {
	for key, n := range stored {
		name, ok := strings.CutPrefix(key, "push ")
		if !ok {
			continue
		}
		if done, sum := stored["done "+name], stored["sum "+name]; done != n || sum != n*(n+1)/2 {
			return fmt.Errorf("%s has pushed %d jobs; %d were done, and their numbers are %d together, not %d", name, n, done, sum, n*(n+1)/2)
		}
	}
	return nil
}

// look takes a sample and audits the store, and now and then also a backup of it.
func (s *supervisor) look(ctx context.Context, n int) error {
	if err := s.sample(); err != nil {
		return err
	}
	if _, err := s.audit(ctx); err != nil {
		return err
	}
	if n%60 != 30 {
		return nil
	}
	last := s.samples[len(s.samples)-1]
	fmt.Printf("%v: %d operations, %d kills; %d MiB, %d descriptors, %d goroutines, %d MiB on disk\n", last.at.Round(time.Second),
		last.operations, last.kills, last.memory>>20, last.descriptors, last.goroutines, last.disk>>20)
	if err := s.check(ctx, s.st, true); err != nil {
		return err
	}
	return s.backup(ctx)
}

// backup sees that a backup has what was acknowledged before it.
func (s *supervisor) backup(ctx context.Context) (err error) {
	acked := s.acknowledged()
	dir := filepath.Join(s.dir(), "backup")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.st.Backup(ctx, filepath.Join(dir, "store")); err != nil {
		return err
	}
	t, err := open(ctx, dir)
	if err != nil {
		return err
	}
	stored, err := t.audit(ctx)
	if err == nil {
		err = missing(acked, stored)
	}
	if err == nil {
		err = s.check(ctx, t.st, false)
	}
	if err = errors.Join(err, t.st.Close()); err != nil {
		return fmt.Errorf("in a backup: %w", err)
	}
	return nil
}

// check demands that there is nothing wrong with a store, but for what was left over
// by the dead if that may be.
func (s *supervisor) check(ctx context.Context, st *cache.Store, leftOver bool) error {
	r, err := st.Check(ctx, nil)
	if err != nil {
		return err
	}
	for _, p := range r.Problems {
		if !leftOver || !p.Harmless() {
			return fmt.Errorf("the check has found: %+v", p)
		}
	}
	return nil
}

// finish ends all processes, does the jobs that are left, and sees that all were
// done once and that nothing is left in the directory.
func (s *supervisor) finish(ctx context.Context) error {
	for _, p := range s.processes {
		if err := s.ask(p); err != nil {
			return err
		}
		if err := s.settle(ctx, p.name); err != nil {
			return err
		}
	}
	time.Sleep(2 * longestDelay)
	for more := true; more; {
		err := s.st.Update(ctx, func(tx *cache.Tx) error {
			j, found, err := s.jobs.In(tx).PopFront(ctx)
			more = found
			if !found || err != nil {
				return err
			}
			return s.done(ctx, tx, j)
		})
		if err != nil {
			return err
		}
	}
	stored, err := s.audit(ctx)
	if err != nil {
		return err
	}
	if err := allDone(stored); err != nil {
		return err
	}
	if err := s.st.Close(); err != nil {
		return err
	}
	for _, swept := range []bool{false, true} { // the first that opens it sweeps
		t, err := open(ctx, s.dir())
		if err != nil {
			return err
		}
		s.tables = t
		if _, err := s.audit(ctx); err != nil {
			return err
		}
		if err := s.check(ctx, s.st, !swept); err != nil {
			return err
		}
		if err := s.st.Close(); err != nil {
			return err
		}
	}
	return grown(s.samples)
}
